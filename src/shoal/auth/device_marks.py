"""Device cookies: they mark a browser from which a certain user signed in during the last 30 days.

A mark gives no access. Wrong passwords from a marked browser are counted separately, so that a stranger who guesses at
the same name, or from the same address, does not lock the user out. A mark is signed and contains no name.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from typing import Final

from shoal.language.folding import folded

LIFETIME_SECONDS: Final = 30 * 86_400
MOST_USERS: Final = 5
"""How many users of one browser are remembered; the one who signed in longest ago is dropped first."""
_MAX_CHARACTERS: Final = 1024
_DIGEST: Final = 24


class DeviceMarks:
    """Makes and reads the cookie of a browser: a few signed marks."""

    def __init__(self, secret: bytes, *, now: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._now = now

    def knows(self, kept: str, name: str) -> bool:
        """Return whether that user signed in during the last 30 days from the browser with this cookie."""
        return any(mark.startswith(f"{user_digest(name)}.") for mark in self._valid(kept))

    def with_user(self, kept: str, name: str) -> str:
        """Return the new cookie of the browser: the marks that are still valid, and a new one of that user."""
        user = user_digest(name)
        others = [mark for mark in self._valid(kept) if not mark.startswith(f"{user}.")]
        content = f"{user}.{int(self._now())}"
        return "~".join([*others[-(MOST_USERS - 1) :], f"{content}.{self._signature(content)}"])

    def _valid(self, kept: str) -> Iterator[str]:
        if len(kept) > _MAX_CHARACTERS or not kept.isascii():
            return
        for mark in kept.split("~"):
            content, _, signature = mark.rpartition(".")
            moment = content.partition(".")[2]
            if not hmac.compare_digest(signature, self._signature(content)) or not moment.isdecimal():
                continue
            if -60 <= self._now() - int(moment) <= LIFETIME_SECONDS:
                yield mark

    def _signature(self, content: str) -> str:
        return hmac.new(self._secret, content.encode(), hashlib.sha256).hexdigest()


def user_digest(name: str) -> str:
    """Return the digest by which a user is counted: of fixed length, and the same in any case and width."""
    return hashlib.sha256(folded(name.strip()).encode(errors="replace")).hexdigest()[:_DIGEST]

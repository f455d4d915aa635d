"""Device cookies: by them a browser is known as one from which a certain person signed in lately.

A mark opens nothing. Who has one is counted by itself when a password is wrong, so that a stranger who guesses at the
same name, or from the same address, does not lock that person out. It tells no name, and is signed.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from typing import Final

from shoal.rules.folding import folded

LIFETIME_SECONDS: Final = 30 * 86_400
MOST_PEOPLE: Final = 5
"""So many people of one browser are known; who signed in longest ago goes first."""
_MAX_CHARACTERS: Final = 1024
_DIGEST: Final = 24


class DeviceMarks:
    """Makes and reads what a browser keeps: a few signed marks in one cookie."""

    def __init__(self, secret: bytes, *, now: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._now = now

    def knows(self, kept: str, name: str) -> bool:
        """Whether that person signed in lately from the browser that kept this."""
        return any(mark.startswith(f"{user_digest(name)}.") for mark in self._valid(kept))

    def with_user(self, kept: str, name: str) -> str:
        """What the browser keeps from now on: the marks that still count, and a new one of that person."""
        user = user_digest(name)
        others = [mark for mark in self._valid(kept) if not mark.startswith(f"{user}.")]
        told = f"{user}.{int(self._now())}"
        return "~".join([*others[-(MOST_PEOPLE - 1) :], f"{told}.{self._signature(told)}"])

    def _valid(self, kept: str) -> Iterator[str]:
        if len(kept) > _MAX_CHARACTERS or not kept.isascii():
            return
        for mark in kept.split("~"):
            told, _, signature = mark.rpartition(".")
            moment = told.partition(".")[2]
            if not hmac.compare_digest(signature, self._signature(told)) or not moment.isdecimal():
                continue
            if -60 <= self._now() - int(moment) <= LIFETIME_SECONDS:
                yield mark

    def _signature(self, told: str) -> str:
        return hmac.new(self._secret, told.encode(), hashlib.sha256).hexdigest()


def user_digest(name: str) -> str:
    """A person as they are counted: of bounded length, whatever was typed, and in whatever case and width."""
    return hashlib.sha256(folded(name.strip()).encode(errors="replace")).hexdigest()[:_DIGEST]

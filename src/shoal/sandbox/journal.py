"""Bounded logs with numbered lines; a reader continues from the last number it saw."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from typing import Any

Line = dict[str, Any]


class Journal:
    """The last ``size`` lines, oldest first. ``seq`` starts at 1, never repeats and has no holes."""

    def __init__(self, size: int) -> None:
        self._lines: deque[Line] = deque(maxlen=size)
        self._waiting: set[asyncio.Event] = set()
        self.last_seq = 0
        self.closed = False

    def add(self, **fields: Any) -> Line:
        """Append a line, number it, wake the waiting readers and return it."""
        self.last_seq += 1
        line = {"seq": self.last_seq, **fields}
        self._lines.append(line)
        self._wake()
        return line

    def after(self, seq: int, *, account: str | None = None, limit: int = 1000) -> list[Line]:
        """Return up to ``limit`` lines after ``seq``, of one account if given."""
        first = self.last_seq - len(self._lines) + 1
        lines = islice(self._lines, max(0, seq + 1 - first), None)
        chosen = (line for line in lines if account is None or line.get("account") == account)
        return list(islice(chosen, limit))

    async def wait(self, seq: int, seconds: float, *, account: str | None = None, limit: int = 1000) -> list[Line]:
        """Return lines after ``seq``; wait up to ``seconds`` (real) for the first."""
        woken = asyncio.Event()
        self._waiting.add(woken)
        try:
            async with asyncio.timeout(seconds):
                while not (lines := self.after(seq, account=account, limit=limit)) and not self.closed:
                    await woken.wait()
                    woken.clear()
        except TimeoutError:
            return []
        finally:
            self._waiting.discard(woken)
        return lines

    def close(self) -> None:
        """Wake all waiting readers, with no further lines to come."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        for woken in self._waiting:
            woken.set()

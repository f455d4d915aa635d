"""Judges several servers by what the sandbox saw: whose frames came, which sockets were open, what each buyer holds.

A frame of a shop that comes over an older socket than its newest registered one is from a stale owner. A socket that
opens while another one of the shop is open is an overlap, unless that other one belongs to a process that was frozen:
its sockets cannot close.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Protocol

LOOK_SECONDS = 0.3
_AT_ONCE = "20000"


class Logs(Protocol):
    """Where the sandbox's logs are read."""

    async def get(self, what: str, **query: str) -> dict[str, Any]:
        """Return a page of a log."""
        ...


@dataclass
class Judge:
    """Follows the sandbox's logs from its beginning; what breaks a promise stands in ``violations``."""

    site: Logs
    frozen: AbstractSet[str] = frozenset()
    """Shops whose process is frozen: their old sockets stay open, and may be ended by the site."""
    violations: list[str] = field(default_factory=list)
    frames: int = 0
    connected_ms: dict[str, int] = field(default_factory=dict)
    """When each shop was last connected, by the clock of the machine."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _newest: dict[str, int] = field(default_factory=dict)
    _open: Counter[str] = field(default_factory=Counter)
    _seen: dict[str, int] = field(default_factory=lambda: {"frames": 0, "events": 0})

    async def follow(self) -> None:
        """Look until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Judge what came since the last look."""
        async with self._turn:
            for line in await self._lines("events"):
                self._happened(line)
            for line in await self._lines("frames"):
                if line["direction"] == "in":
                    self._came(line)

    async def _lines(self, journal: str) -> list[dict[str, Any]]:
        found = await self.site.get(journal, after=str(self._seen[journal]), limit=_AT_ONCE)
        lines: list[dict[str, Any]] = found["items"]
        if lines and lines[0]["seq"] != self._seen[journal] + 1:
            self.broke(f"the judge missed {journal}: the log is too short for its pace")
        if lines:
            self._seen[journal] = lines[-1]["seq"]
        return lines

    def broke(self, sentence: str) -> None:
        """Note a violation."""
        self.violations.append(sentence)

    def _happened(self, line: dict[str, Any]) -> None:
        shop = line["account"]
        if line["kind"] == "connected":
            self.connected_ms[shop] = line["wall_ms"]
            self._open[shop] += 1
            if self._open[shop] > 1 and shop not in self.frozen:
                self.broke(f"shop {shop} had {self._open[shop]} sockets at once")
        elif line["kind"] == "disconnected":
            self._open[shop] -= 1
        elif line["kind"] == "kicked_out" and shop not in self.frozen:
            self.broke(f"shop {shop} opened a socket while it had one, with the same token")

    def _came(self, line: dict[str, Any]) -> None:
        self.frames += 1
        shop, socket, frame = line["account"], line["socket"], line["frame"]
        newest = self._newest.get(shop, 0)
        if socket < newest:
            what = frame.get("lwp", "an answer") if isinstance(frame, dict) else "no frame"
            self.broke(f"shop {shop}: {what} came from a stale owner, over socket {socket} after {newest}")
        elif isinstance(frame, dict) and frame.get("lwp") == "/reg":
            self._newest[shop] = socket

"""The site of a world: how connections of each account fare, counted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from shoal.accounts.account import Account, RunKey
from shoal.accounts.account_task import Link
from shoal.errors import ActionRequired, TemporaryFailure

ACCOUNTS = ("ann", "bob", "cyd", "dan")
NUMBERS = {name: number for number, name in enumerate(ACCOUNTS, start=1)}


@dataclass(slots=True)
class Climate:
    """How connections of one account fare."""

    mode: str = "fine"
    """``fine``, ``crash``, ``temporary``, ``owner``, ``end`` or ``hang`` (never registers)."""
    start_seconds: float = 0.0
    farewell_seconds: float = 0.0
    stuck: bool = False
    """Ignores its cancellation for as long as this holds."""


class Site:
    """Where connections live. It keeps count of them and of the gate."""

    def __init__(self) -> None:
        self.climates: dict[str, Climate] = {name: Climate() for name in ACCOUNTS}
        self.live: dict[str, int] = dict.fromkeys(ACCOUNTS, 0)
        self.started = 0
        self.links: list[tuple[str, RunKey, Link]] = []
        self.refused: set[tuple[str, RunKey]] = set()
        """What only an owner can bring back: it must not come by itself."""
        self.offences: list[str] = []
        self.parting: dict[str, int] = dict.fromkeys(ACCOUNTS, 0)
        """How many connections are saying farewell: their accounts are about to move."""
        self._broken: dict[str, asyncio.Event] = {}
        self._released: dict[str, asyncio.Event] = {}

    async def connect(self, account: Account, link: Link) -> None:
        """One connection, as its account's climate is."""
        name = account.id
        if (name, account.run_key) in self.refused:
            self.offences.append(f"{name} is parked, and was tried again")
        self.live[name] += 1
        if self.live[name] > 1:
            self.offences.append(f"{name} has {self.live[name]} connections")
        self.started += 1
        self.links.append((name, account.run_key, link))
        try:
            await self._converse(account, link, self.climates[name])
        except ActionRequired:
            self.refused.add((name, account.run_key))
            raise
        finally:
            self.live[name] -= 1
            self.links.remove((name, account.run_key, link))

    async def _converse(self, account: Account, link: Link, climate: Climate) -> None:
        broken = self._broken[account.id] = asyncio.Event()
        try:
            await asyncio.sleep(climate.start_seconds)
            await self._live(link, climate.mode, broken)
        finally:
            self.parting[account.id] += 1
            try:
                await self._part(account.id, self.climates[account.id])
            finally:
                self.parting[account.id] -= 1

    @staticmethod
    async def _live(link: Link, mode: str, broken: asyncio.Event) -> None:
        if mode == "owner":
            raise ActionRequired("risk_control", action_url="https://site.example/verify")
        if mode == "temporary":
            raise TemporaryFailure("come back later")
        if mode == "crash":
            raise RuntimeError("boom")
        if mode == "hang":
            await broken.wait()
        if mode != "end":
            link.running()
            link.received(message=True)
            await broken.wait()
            raise TemporaryFailure("the link was lost")

    async def _part(self, name: str, climate: Climate) -> None:
        if climate.stuck:
            released = self._released.setdefault(name, asyncio.Event())
            while not released.is_set():
                try:
                    await released.wait()
                except asyncio.CancelledError:
                    continue
        if climate.farewell_seconds:
            await asyncio.shield(asyncio.sleep(climate.farewell_seconds))

    def break_link(self, name: str) -> None:
        """The running connection of that account is lost."""
        if name in self._broken:
            self._broken[name].set()

    def set_climate(self, name: str, climate: Climate) -> None:
        """From now on connections fare like this. Those that hang are lost; those that were stuck part."""
        before, self.climates[name] = self.climates[name], climate
        if before.mode == "hang":
            self.break_link(name)
        if not climate.stuck and name in self._released:
            self._released.pop(name).set()

    def all_well(self) -> None:
        """No more faults."""
        for name in ACCOUNTS:
            self.set_climate(name, Climate())

"""Small worlds for tests of the state plane: cookies with invented ids, connections that do what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Any

from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from shoal.accounts.backoff import BackoffLimits
from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.journal import fold, projection
from shoal.accounts.store import AccountStore
from shoal.config import Settings
from support.databases.memory_store import MemoryStore

ANN = Caller(actor="user:ann")
QUICK = BackoffLimits(first_seconds=0.01, longest_seconds=0.05)
HOURS = BackoffLimits(first_seconds=36_000, longest_seconds=36_000)
"""A back-off that no test outlasts: what connects again before it ends was told to."""


def unb_of(number: int) -> str:
    """An invented platform id."""
    return str(2200000000000 + number)


def cookie_of(number: int, *, secret: str = "s1") -> str:
    """A whole cookie of an invented seller."""
    tk = f"{number:032x}_1900000000000"
    return f"unb={unb_of(number)}; cookie2={secret}{number}; _m_h5_tk={tk}; _m_h5_tk_enc={number:032x}"


class FakeSite:
    """Counts connections per account and lets a test decide how each one fares."""

    def __init__(self) -> None:
        self.live: dict[str, int] = {}
        self.ever: dict[str, int] = {}
        self.most_at_once: dict[str, int] = {}
        self.cookies: list[tuple[str, str]] = []
        self.links: dict[str, Link] = {}
        self.behave: Callable[[Account, Link], Awaitable[None]] | None = None
        self.farewell_seconds = 0.0
        self.released: asyncio.Event | None = None

    async def connect(self, account: Account, link: Link) -> None:
        """A connection that stays until it is told to go, unless ``behave`` says otherwise."""
        name = account.id
        self.live[name] = self.live.get(name, 0) + 1
        self.ever[name] = self.ever.get(name, 0) + 1
        self.most_at_once[name] = max(self.most_at_once.get(name, 0), self.live[name])
        self.cookies.append((name, account.cookie))
        self.links[name] = link
        try:
            if self.behave is not None:
                await self.behave(account, link)
                return
            link.running()
            await asyncio.Event().wait()
        finally:
            if self.released is not None:
                with suppress(TimeoutError):  # a test that fails before it releases them
                    await asyncio.shield(asyncio.wait_for(self.released.wait(), 60))
            elif self.farewell_seconds:
                await asyncio.shield(asyncio.sleep(self.farewell_seconds))
            self.live[name] -= 1

    def hold_farewells(self) -> asyncio.Event:
        """Let no connection end before the returned event is set."""
        self.released = asyncio.Event()
        return self.released


def quick_settings(**values: Any) -> Settings:
    """Settings whose waits are short."""
    return Settings(**{"start_wait_seconds": 60.0, "stop_wait_seconds": 60.0, "allowed_hosts": "shoal.test", **values})


@asynccontextmanager
async def managing(
    site: FakeSite, store: AccountStore | None = None, *, backoff: BackoffLimits = QUICK, **settings: Any
) -> AsyncIterator[CookieManager]:
    """An open manager over a store; closed at the end."""
    manager = CookieManager(
        store or MemoryStore(), site.connect, quick_settings(**settings), rng=Random(7), backoff=backoff
    )
    await manager.open()
    try:
        yield manager
    finally:
        await manager.close()


async def until_told(ask: Callable[[], Awaitable[Any]], wanted: Any, *, seconds: float = 60.0) -> None:
    """Ask until the answer is the wanted one; fails the test with the last answer when it is not in time."""
    loop = asyncio.get_running_loop()
    late = loop.time() + seconds
    while (told := await ask()) != wanted and loop.time() < late:
        await asyncio.sleep(0.02)
    assert told == wanted


async def until(condition: Callable[[], bool], *, seconds: float = 60.0) -> None:
    """Wait until a condition holds; fails the test when it does not in time."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def in_step(store: MemoryStore, manager: CookieManager) -> None:
    """Published, stored and folded are the same for every account."""
    contents = await store.load()
    assert dict(manager.accounts) == dict(contents.accounts)
    assert fold(await store.journal()) == {name: projection(account) for name, account in manager.accounts.items()}
    assert not manager.pending
    assert len(manager.locks) == 0

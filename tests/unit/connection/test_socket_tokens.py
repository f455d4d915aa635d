"""A connection's token: replaced when it is old, and used for longer while the site gives no other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shoal.connection import socket_tokens
from shoal.connection.socket_tokens import FIRST_WAIT_MS, SocketTokens
from shoal.errors import TemporaryFailure
from shoal.storage.token_cache import SocketToken, TokenSlot
from shoal.xianyu.mtop import ImToken

HOUR_MS = 3_600_000


class Login:
    """The login of an account whose database works."""

    account_id = "shop"

    def __init__(self) -> None:
        self.slot = TokenSlot((1, 1))

    def token_slot(self) -> TokenSlot:
        return self.slot

    async def cached_token(self) -> SocketToken | None:
        return None

    async def device_id(self) -> str:
        return "device"

    async def keep_token(self, _: SocketToken) -> None:
        pass


class Site:
    """Gives a token with each call, or does what ``answer`` does."""

    def __init__(self) -> None:
        self.calls = 0
        self.answer: Any = None

    async def im_token(self, _: str) -> ImToken:
        self.calls += 1
        if self.answer is not None:
            await self.answer()
        return ImToken(f"t{self.calls}", "", lifetime_seconds=24 * 3600)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the clock shows, to be set."""
    shown = [10 * HOUR_MS]
    monkeypatch.setattr(socket_tokens, "steady_ms", lambda: shown[0])
    return shown


def tokens_of(site: Site, login: Login | None = None) -> SocketTokens:
    async def at_once() -> None:
        pass

    mine: Any = login or Login()
    calls: Any = site
    return SocketTokens(mine, calls, at_once, renewal_ms=HOUR_MS)


async def _failing() -> None:
    raise TemporaryFailure("not now", code="unreachable")


async def test_an_old_token_is_replaced_at_the_next_registration_and_a_young_one_is_not(now: list[int]) -> None:
    tokens = tokens_of(Site())
    said = []
    for later_ms in (0, HOUR_MS - 1, 1):
        now[0] += later_ms
        said.append((await tokens.current()).access_token)
    assert said == ["t1", "t1", "t2"]


async def test_an_old_token_is_used_while_the_site_gives_none_and_the_site_is_asked_again_later(now: list[int]) -> None:
    site = Site()
    tokens = tokens_of(site)
    await tokens.current()
    now[0] += HOUR_MS
    site.answer = _failing
    said = [(await tokens.current()).access_token for _ in range(3)]
    assert (said, site.calls) == (["t1"] * 3, 2)
    site.answer = None
    now[0] += FIRST_WAIT_MS
    assert (await tokens.current()).access_token == "t3"


async def test_the_first_call_that_fails_after_a_start_is_not_made_again_at_once(now: list[int]) -> None:
    login, site = Login(), Site()
    old = SocketToken(
        access_token="old", device_id="device", obtained_steady_ms=now[0] - HOUR_MS, life_ms=24 * HOUR_MS,
        is_cached=False,
    )  # fmt: skip
    login.slot.put(old, is_unkept=False)
    site.answer = _failing
    assert (await tokens_of(site, login).current()).access_token == "old"
    assert login.slot.not_before_steady_ms == now[0] + FIRST_WAIT_MS


async def test_a_call_that_outlasts_the_end_of_its_connection_is_given_up(
    now: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_tokens, "FAREWELL_SECONDS", 0.01)
    asked, given_up = asyncio.Event(), asyncio.Event()

    async def lasting() -> None:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    site = Site()
    site.answer = lasting
    registering = asyncio.create_task(tokens_of(site).current())
    await asyncio.wait_for(asked.wait(), 60)
    registering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await registering
    assert given_up.is_set()

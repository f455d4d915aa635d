"""What a server asks of the site when it starts: no more than it must, and never all at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Set as AbstractSet
from typing import Any

import pytest

from shoal.accounts.account import AccountState
from shoal.accounts.change_path import Caller
from support.site.sandboxed import Shoal
from support.site.standins import until

QUICK = Caller(actor="user:ann", wait_seconds=0)
SHOPS = 50
REMEMBERED = 25
"""Of so many the server has a token when it starts again; the first of them needs its owner."""
CALLS_PER_SECOND = 20.0
SLACK_SECONDS = 0.05
"""By so much the clocks of the limiter and of the sandbox may differ; it does not add up."""

SELDOM: dict[str, Any] = {"heartbeat_seconds": 60.0}
"""Twice a second, as in other tests, the heartbeats of fifty shops would cost more the longer a start takes."""


async def _token_calls(shoal: Shoal) -> list[tuple[str, float]]:
    """Who asked for a token, and when, in seconds since 1970."""
    items = (await shoal.sandbox.get("calls"))["items"]
    return [(call["account"], call["wall_ms"] / 1000) for call in items if str(call["api"]).endswith("login.token")]


async def _running(shoal: Shoal, names: AbstractSet[str]) -> None:
    manager = shoal.manager

    def they_are() -> bool:
        return all(manager.observation(name).state is AccountState.RUNNING for name in names)

    await until(they_are)


@pytest.mark.settings(token_calls_per_second=1000.0, starts_per_second=1000.0, **SELDOM)
async def test_a25_a_start_of_fifty_shops_spaces_its_token_calls_and_makes_none_that_it_need_not(shoal: Shoal) -> None:
    unbs = {f"shop{n}": shoal.sandbox.world.add_seller().unb for n in range(SHOPS)}
    cookies = {name: shoal.sandbox.world.cookie_header(unb) for name, unb in unbs.items()}
    add = shoal.manager.add_cookie
    await asyncio.gather(*(add(name, cookie, owner_id=1, caller=QUICK) for name, cookie in cookies.items()))
    await _running(shoal, unbs.keys())
    await shoal.sandbox.do("fault", account=unbs["shop0"], kind="kickout", when="now", times=1)
    await until(lambda: shoal.manager.observation("shop0").state is AccountState.PARKED)
    assert sorted(name for name, _ in await _token_calls(shoal)) == sorted(unbs.values())

    forgotten = [f"shop{n}" for n in range(REMEMBERED, SHOPS)]
    await asyncio.gather(*(shoal.credentials.forget_token(name) for name in forgotten))
    await shoal.close()
    began = time.time()
    await shoal.open(token_calls_per_second=CALLS_PER_SECOND, **SELDOM)
    await _running(shoal, unbs.keys() - {"shop0"})
    assert shoal.manager.observation("shop0").reason == "kicked_out", "a restart does not try what needs its owner"
    calls = (await _token_calls(shoal))[SHOPS:]
    asked = sorted(name for name, _ in calls)
    assert asked == sorted(unbs[name] for name in forgotten), "a token that is remembered needs no call"
    early = [n for n, (_, at) in enumerate(calls) if at - began < n / CALLS_PER_SECOND - SLACK_SECONDS]
    assert not early, "the calls leave one after the other, evenly spaced"

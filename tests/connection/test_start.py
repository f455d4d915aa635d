"""What a server asks of the site when it starts: no more than it must, and never all at once."""

from __future__ import annotations

import asyncio
import time

from sandboxed import Shoal
from shoal.accounts.account import AccountState
from shoal.accounts.change_path import Caller
from standins import until

QUICK = Caller(actor="user:ann", wait_seconds=0)
SHOPS = 50
CALLS_PER_SECOND = 40.0
SLACK_SECONDS = 0.05
"""By so much the clocks of the limiter and of the sandbox may differ; it does not add up."""


async def _token_calls(shoal: Shoal) -> list[float]:
    """When each token call came, in seconds since 1970."""
    items = (await shoal.sandbox.get("calls"))["items"]
    return [call["wall_ms"] / 1000 for call in items if str(call["api"]).endswith("login.token")]


async def _running(shoal: Shoal, count: int) -> None:
    manager = shoal.manager

    def so_many() -> bool:
        return sum(manager.observation(name).state is AccountState.RUNNING for name in manager.accounts) == count

    await until(so_many, seconds=60)


async def test_a25_a_start_of_fifty_shops_spaces_its_token_calls_and_makes_none_that_it_need_not(shoal: Shoal) -> None:
    await shoal.close()
    await shoal.open(token_calls_per_second=1000.0, starts_per_second=1000.0)
    sellers = [(await shoal.sandbox.do("sellers"))["unb"] for _ in range(SHOPS)]
    cookies = [shoal.sandbox.world.cookie_header(unb) for unb in sellers]
    add = shoal.manager.add_cookie
    await asyncio.gather(*(add(f"shop{n}", cookie, owner_id=1, caller=QUICK) for n, cookie in enumerate(cookies)))
    await _running(shoal, SHOPS)
    await shoal.sandbox.do("fault", account=sellers[0], kind="kickout", when="now", times=1)
    await until(lambda: shoal.manager.observation("shop0").state is AccountState.PARKED)
    before = await _token_calls(shoal)
    assert len(before) == SHOPS

    await shoal.close()
    await shoal.open(token_calls_per_second=CALLS_PER_SECOND)
    await _running(shoal, SHOPS - 1)
    assert shoal.manager.observation("shop0").reason == "kicked_out", "a restart does not try what needs its owner"
    assert await _token_calls(shoal) == before, "a token that is remembered needs no call"

    for number in range(SHOPS):
        await shoal.credentials.forget_token(f"shop{number}")
    await shoal.close()
    began = time.time()
    await shoal.open(token_calls_per_second=CALLS_PER_SECOND)
    await _running(shoal, SHOPS - 1)
    calls = (await _token_calls(shoal))[SHOPS:]
    assert len(calls) == SHOPS - 1
    early = [n for n, at in enumerate(calls) if at - began < n / CALLS_PER_SECOND - SLACK_SECONDS]
    assert not early, "the calls leave one after the other, evenly spaced"

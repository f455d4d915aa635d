"""The site's bad hours: refused handshakes, silence, calls that fail. No storm, and everything comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import uvloop

from shoal.accounts.account import AccountState, Observation
from shoal.accounts.backoff import BackoffLimits
from shoal.accounts.events import AccountStateChanged
from support.site.sandboxed import Sandbox, Shoal, standing_sandbox
from support.site.standins import until

SHOPS = 6
LIMITS = BackoffLimits(first_seconds=0.1, longest_seconds=0.5)


def most_tries(seconds: float) -> int:
    """However short the random waits: once there were more failures than a crash loop takes, each waits the longest."""
    return LIMITS.crash_loop_failures + 2 + int(seconds / LIMITS.longest_seconds)


class Counted:
    """How often each shop knocked at the site's doors since it was made."""

    def __init__(self, sandbox: Sandbox, unbs: list[str]) -> None:
        self._sandbox, self._unbs = sandbox, unbs
        self._since = asyncio.get_running_loop().time()
        self._before: dict[str, tuple[int, int]] = {}

    async def begin(self) -> Counted:
        self._before = await self._now()
        return self

    async def _now(self) -> dict[str, tuple[int, int]]:
        return {
            unb: (
                (await self._sandbox.sockets(unb)).get("handshakes", 0),
                len(await self._sandbox.calls("login.token", unb)),
            )
            for unb in self._unbs
        }

    async def end(self) -> tuple[list[int], list[int], int]:
        """Handshakes and token calls of each shop, and the most that there may be in that time."""
        now = await self._now()
        seconds = asyncio.get_running_loop().time() - self._since
        tries = [[now[unb][place] - self._before[unb][place] for unb in self._unbs] for place in (0, 1)]
        return tries[0], tries[1], most_tries(seconds)


async def bad_hours(data_dir: Path) -> None:
    async with standing_sandbox(shops=SHOPS) as sandbox:
        shoal = Shoal(sandbox, data_dir)
        await shoal.open(backoff=LIMITS, heartbeat_seconds=0.1, heartbeat_timeout_seconds=0.5, site_timeout_seconds=0.8)
        try:
            await _bad_hours(shoal, sandbox)
        finally:
            await shoal.close()


@dataclass(frozen=True)
class Shops:
    """The shops of one server, and what is asked of all of them."""

    shoal: Shoal
    sandbox: Sandbox
    unbs: list[str]

    async def all_back(self, times: int) -> None:
        await self.sandbox.do("faults/clear")
        states = [self.shoal.manager.observation(f"shop{number}") for number in range(SHOPS)]
        assert not [seen.reason for seen in states if seen.state is AccountState.PARKED], "no shop is to blame"
        for number in range(SHOPS):
            await until(partial(self._runs, f"shop{number}"))
        for unb in self.unbs:
            assert await self.sandbox.seen_soon(unb, "小鱼", times) == ["hi"] * times

    def _runs(self, account_id: str) -> bool:
        return self.shoal.manager.observation(account_id).state is AccountState.RUNNING

    async def each_is(self, wanted: Callable[[Observation], bool]) -> None:
        """Wait until each shop has been seen so at some time: while it tries again it is not."""
        so: set[int] = set()

        def all_were() -> bool:
            so.update(n for n in range(SHOPS) if wanted(self.shoal.manager.observation(f"shop{n}")))
            return len(so) == SHOPS

        await until(all_were)

    async def are_all_asked(self) -> None:
        for unb in self.unbs:
            await self.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")


async def _bad_hours(shoal: Shoal, sandbox: Sandbox) -> None:
    unbs = [await shoal.add(f"shop{number}", number=number, keywords={"在吗": "hi"}) for number in range(SHOPS)]
    shops = Shops(shoal, sandbox, unbs)

    with shoal.manager.events.subscribe() as events:
        counted = await Counted(sandbox, unbs).begin()
        await sandbox.do("fault", kind="handshake_refused")
        await sandbox.do("fault", kind="close", code=1006, when="now", times=1)
        await shops.are_all_asked()
        await shops.each_is(lambda seen: seen.reason == "handshake_refused")
        await asyncio.sleep(0.5)  # in which they might storm
        waits: set[int] = set()
        async with asyncio.timeout(60):  # what fell together does not rise together: no few waits are those of all
            while len(waits) <= SHOPS:
                told = [event.observation for event in await events.take() if isinstance(event, AccountStateChanged)]
                waits |= {
                    round(seen.next_attempt_at_ms - seen.since_ms, -1) for seen in told if seen.next_attempt_at_ms
                }
    handshakes, token_calls, most = await counted.end()
    assert max(handshakes) <= most
    assert token_calls == [0] * SHOPS, "the token is not to blame"
    await shops.all_back(1)

    counted = await Counted(sandbox, unbs).begin()
    await sandbox.do("fault", kind="silent_zombie", heartbeats=False, sticky=True)
    await shops.are_all_asked()
    await shops.each_is(lambda seen: seen.state is AccountState.RETRYING)
    await asyncio.sleep(0.5)  # in which they might storm
    handshakes, token_calls, most = await counted.end()
    assert max(handshakes) <= most
    assert token_calls == [0] * SHOPS
    await shops.all_back(2)

    counted = await Counted(sandbox, unbs).begin()
    for unb in unbs:
        await sandbox.do("expire", account=unb, what="im_token")
    await sandbox.do("fault", kind="http_500", which="token", times=10_000)
    await sandbox.do("fault", kind="close", code=1006, when="now", times=1)
    await shops.are_all_asked()
    await shops.each_is(lambda seen: seen.reason == "temporary_failure")
    await asyncio.sleep(0.5)  # in which they might storm
    handshakes, token_calls, most = await counted.end()
    assert max(token_calls) <= most
    assert max(handshakes) <= most
    await shops.all_back(3)
    assert {(await sandbox.sockets(unb))["max"] for unb in unbs} == {1}


@pytest.mark.timeout(300, method="thread")  # a loop of uvloop that does not close hears no signal
@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_the_sites_bad_hours_make_no_storm_and_lose_nothing(
    tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(bad_hours(tmp_path / "data"))

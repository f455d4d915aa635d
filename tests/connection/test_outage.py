"""After an outage, shops follow the first that got in; a deaf line is found while its messages are young."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from shoal.accounts.account import AccountState
from shoal.accounts.backoff import BackoffLimits
from shoal.accounts.observed_state import is_of_the_site
from shoal.connection import keepalive
from shoal.errors import ActionRequired, ComeBackLater, TemporaryFailure
from support.messages.chat_steps import pass_by
from support.site.sandboxed import Machine, Shoal, Waits, standing_sandbox
from support.site.standins import ANN, quick_settings, until

SHOPS = 16
SITS_LONG = BackoffLimits(first_seconds=0.05, longest_seconds=300.0, crash_loop_failures=1)
"""Who failed twice waits five minutes."""


async def test_f3_after_an_outage_shops_follow_the_first_that_got_in_and_not_those_that_were_refused(
    tmp_path: Path,
) -> None:
    async with standing_sandbox(shops=SHOPS) as sandbox:
        shoal = Shoal(sandbox, tmp_path / "data")
        await shoal.open(backoff=SITS_LONG, reconnects_per_second=50.0)
        try:
            await _outage(shoal)
        finally:
            await shoal.close()


async def _outage(shoal: Shoal) -> None:
    unbs = await asyncio.gather(*(shoal.add(f"shop{number}", number=number) for number in range(SHOPS)))
    refused = unbs[-1]

    def state(number: int) -> AccountState:
        return shoal.manager.observation(f"shop{number}").state

    def runs(number: int) -> bool:
        return state(number) is AccountState.RUNNING

    def waits_long(number: int) -> bool:
        seen = shoal.manager.observation(f"shop{number}")
        return seen.state is AccountState.RETRYING and seen.crash_loop

    await shoal.sandbox.do("fault", account=refused, kind="connect_limit")
    for unb in unbs[:-1]:
        await shoal.sandbox.do("fault", account=unb, kind="handshake_refused")
    await shoal.sandbox.do("fault", kind="close", code=1006, when="now", times=1)
    for unb in unbs:
        await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    for number in range(SHOPS):
        await until(partial(waits_long, number))
    assert shoal.manager.observation(f"shop{SHOPS - 1}").reason == "connect_limit"
    knocks = (await shoal.sandbox.sockets(refused))["handshakes"]
    await shoal.sandbox.do("faults/clear")
    await asyncio.sleep(0.2)  # their waits are five minutes; a shop that did not wait would be in by now
    assert {state(number) for number in range(SHOPS)} == {AccountState.RETRYING}, "they sit out their waits"

    await shoal.manager.update_cookie_status("shop0", True, caller=ANN)
    for number in range(SHOPS - 1):
        await until(partial(runs, number))
    assert state(SHOPS - 1) is AccountState.RETRYING, "it was refused for a reason of its own"
    assert (await shoal.sandbox.sockets(refused))["handshakes"] == knocks
    assert {(await shoal.sandbox.sockets(unb))["max"] for unb in unbs} == {1}


@pytest.mark.parametrize(
    ("error", "of_the_site"),
    [
        (TemporaryFailure(code="unreachable"), True),
        (TemporaryFailure(code="handshake_refused", status=503), True),
        (TemporaryFailure(code="handshake_refused", status=403), False),
        (TemporaryFailure(code="proxy_unreachable"), False),
        (ComeBackLater(code="connect_limit"), False),
        (ActionRequired("login_expired"), False),
        (None, False),
    ],
)
def test_f3_a_refusal_of_one_account_is_no_outage_of_the_site(error: Exception | None, of_the_site: bool) -> None:
    assert is_of_the_site(error) is of_the_site


@pytest.mark.parametrize("age", [1.0, 60.0, 300.0, 86400.0])
def test_f3_a_quiet_line_is_looked_at_twice_before_a_message_is_too_old(age: float) -> None:
    settings = quick_settings(message_age_seconds=age)
    assert settings.look_seconds <= age / 2
    assert settings.look_seconds == min(settings.probe_seconds, age / 2)
    assert quick_settings(message_age_seconds=age, probe_seconds=0.2).look_seconds == 0.2


async def test_f3_what_a_deaf_line_kept_back_is_answered_while_it_is_young(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_its_way = keepalive.ON_ITS_WAY_SECONDS
    monkeypatch.setattr(keepalive, "ON_ITS_WAY_SECONDS", 0.2)
    machine, waits = Machine(monkeypatch), Waits(monkeypatch, keepalive)
    await shoal.close()
    await shoal.sandbox.do("policy", replays_missed=False)
    await shoal.open(message_age_seconds=60.0, heartbeat_seconds=0.1)
    assert shoal.settings.probe_seconds > 60
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("fault", account=unb, kind="silent_zombie")
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    look_seconds = shoal.settings.look_seconds
    await pass_by(shoal, machine, round(look_seconds + on_its_way))  # so old it is when it is missed twice
    async with asyncio.timeout(60):
        while not await shoal.sandbox.seen(unb, "小鱼"):  # a push that comes late puts the look off
            waits.pass_by(look_seconds)
            await asyncio.sleep(0.1)
    assert await shoal.sandbox.seen(unb, "小鱼") == ["hi"]

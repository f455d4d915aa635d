"""Whatever the site is asked: when it wants to see a person, the shop parks at once, is told once, and asks no more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from unittest import mock

import aiohttp
import pytest

from connection.test_pictures import give_picture
from shoal.accounts.account import AccountState, Observation
from shoal.accounts.change_path import Caller
from shoal.accounts.events import AccountStateChanged
from support.orders.order_steps import held
from support.site.sandboxed import Shoal
from support.site.standins import ANN, until

QUICK = Caller(actor="user:ann", wait_seconds=0)
Provoke = Callable[[Shoal, str], Awaitable[object]]


async def wait_for_it(shoal: Shoal, unb: str) -> None:
    """Nothing to do: it comes by itself."""


async def reconnect(shoal: Shoal, unb: str) -> None:
    await shoal.sandbox.do("fault", account=unb, kind="close", code=1006, when="now", times=1)


async def ask_for_a_token(shoal: Shoal, unb: str) -> None:
    await shoal.credentials.forget_token("shop")
    await reconnect(shoal, unb)


async def be_asked(shoal: Shoal, unb: str) -> None:
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")


async def be_asked_for_a_picture(shoal: Shoal, unb: str) -> None:
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="图")


async def be_paid(shoal: Shoal, unb: str) -> None:
    await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=shoal.item_of(unb))


async def be_bought_by_a_group(shoal: Shoal, unb: str) -> None:
    await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=shoal.item_of(unb), card="group")


DOORS: list[tuple[str, Provoke]] = [
    ("token", ask_for_a_token),
    ("haslogin", wait_for_it),
    ("upload", be_asked_for_a_picture),
    ("consign", be_paid),
    ("freeshipping", be_bought_by_a_group),
    ("order", be_paid),
    ("reg", reconnect),
    ("getstate", reconnect),
    ("ackdiff", reconnect),
    ("heartbeat", wait_for_it),
    ("send", be_asked),
    ("conversations", reconnect),
    ("history", be_asked),
]


async def ready(shoal: Shoal, **settings: Any) -> str:
    """A running shop that uses every door."""
    await shoal.close()
    await shoal.open(**{"login_check_seconds": 0.5, "heartbeat_seconds": 0.1, **settings})
    shoal.sandbox.expected.add("proof")  # of calls that were under way when the check began
    unb = await shoal.add(keywords={"在吗": "hi"})
    await give_picture(shoal)
    changes = {"paid_message": "网盘链接", "free_shipping": True}
    await shoal.manager.update_settings("shop", changes, caller=ANN)
    await shoal.manager.update_auto_confirm_setting("shop", True, caller=ANN)
    await shoal.sandbox.do("say", account=unb, buyer="老客", text="在吗")
    await shoal.sandbox.seen_soon(unb, "老客", 1)
    return unb


async def parked(shoal: Shoal) -> Observation:
    await until(lambda: shoal.manager.observation("shop").state is AccountState.PARKED, seconds=60)
    return shoal.manager.observation("shop")


async def asked_so_far(shoal: Shoal, unb: str) -> tuple[int, int]:
    """How many calls were made, and how many frames were sent, by the account."""
    calls = (await shoal.sandbox.get("calls", account=unb))["items"]
    frames = (await shoal.sandbox.get("frames", account=unb))["items"]
    return len(calls), sum(line["direction"] == "in" for line in frames)


async def is_silent(shoal: Shoal, unb: str) -> None:
    sent: list[Any] = []
    send = aiohttp.ClientWebSocketResponse.send_str

    async def watched(line: aiohttp.ClientWebSocketResponse, *values: Any) -> None:
        sent.append(values)
        await send(line, *values)

    with mock.patch.object(aiohttp.ClientWebSocketResponse, "send_str", watched):
        before, _ = await asked_so_far(shoal, unb)
        await shoal.is_out()
        await shoal.sandbox.left(unb)
        frames = await asked_so_far(shoal, unb)  # what had left before may have come to the site after
        await asyncio.sleep(0.1)  # longer than the back-off of a shop that would be tried again
    assert sent == [], "nothing leaves before the owner has acted"
    assert await asked_so_far(shoal, unb) == (before, frames[1])


@pytest.mark.parametrize(("which", "provoke"), DOORS, ids=[which for which, _ in DOORS])
async def test_risk_control_at_any_door_parks_once_with_the_link_and_nothing_leaves_any_more(
    shoal: Shoal, which: str, provoke: Provoke
) -> None:
    unb = await ready(shoal)
    with shoal.manager.events.subscribe() as events:
        await shoal.sandbox.do("fault", account=unb, kind="risk_control", which=which)
        await provoke(shoal, unb)
        if which == "history":  # what was said is pulled at the next connection
            await reconnect(shoal, unb)
        seen = await parked(shoal)
        assert seen.reason == "risk_control"
        assert "punish" in seen.action_url
        await is_silent(shoal, unb)
        told = [event.observation for event in await events.take() if isinstance(event, AccountStateChanged)]
    assert [told_of.state for told_of in told].count(AccountState.PARKED) == 1, "one notice"
    assert (await shoal.pass_check(unb)).observation.state is AccountState.RUNNING


@pytest.mark.lenient("proof")  # each call meets a fault of its own
async def test_several_calls_in_flight_that_all_meet_it_make_one_incident(shoal: Shoal) -> None:
    unb = await ready(shoal)
    met = {"consign": "consign.dummy", "upload": "upload.api", "loginuser": "loginuser.get"}
    for which in met:
        await shoal.sandbox.do("fault", account=unb, kind="risk_control", which=which)
        await shoal.sandbox.do("fault", account=unb, kind="hold", which=which)
    await shoal.sandbox.do("fault", account=unb, kind="session_expired", which="haslogin")
    with shoal.manager.events.subscribe() as events:
        await be_paid(shoal, unb)
        await held(shoal, "consign")  # what the order has to say in the chat is said: the picture would hold it up
        await be_asked_for_a_picture(shoal, unb)
        async with asyncio.timeout(60):
            while not all([await shoal.sandbox.calls(api, unb) for api in met.values()]):
                await asyncio.sleep(0.02)
        before = await asked_so_far(shoal, unb)
        await shoal.sandbox.do("fault/release")
        assert (await parked(shoal)).reason == "risk_control"
        await is_silent(shoal, unb)
        told = [event.observation for event in await events.take() if isinstance(event, AccountStateChanged)]
    assert (await asked_so_far(shoal, unb))[0] == before[0], "no call but those that were under way"
    assert [(seen.state, seen.reason) for seen in told] == [(AccountState.PARKED, "risk_control")]
    moves = await shoal.store.timeline("shop")
    assert [move.reason for move in moves if move.state is AccountState.PARKED] == ["risk_control"]


@pytest.mark.parametrize("ending", ["the site hangs up", "the owner switches off"])
async def test_an_answer_that_comes_while_the_line_ends_parks_all_the_same(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr("shoal.connection.xianyu_live.FAREWELL_SECONDS", 60.0)
    unb = await ready(shoal, login_check_seconds=60)
    await shoal.sandbox.do("fault", account=unb, kind="risk_control", which="consign")
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="consign")
    await be_paid(shoal, unb)
    async with asyncio.timeout(60):
        while not await shoal.sandbox.calls("consign.dummy", unb):
            await asyncio.sleep(0.02)
    live = shoal.live_connections
    if ending == "the site hangs up":
        await reconnect(shoal, unb)
    else:
        await shoal.manager.update_cookie_status("shop", False, caller=QUICK)
    await until(lambda: live.sender("shop") is None)  # what is under way may still finish
    await shoal.sandbox.do("fault/release")
    if ending == "the owner switches off":
        await until(lambda: shoal.manager.observation("shop").state is AccountState.STOPPED)
        await shoal.manager.update_cookie_status("shop", False, caller=QUICK)
        assert shoal.manager.observation("shop").parked_reason == "risk_control", "kept for when it is on again"
        return
    assert (await parked(shoal)).reason == "risk_control"
    await is_silent(shoal, unb)
    assert len(await shoal.sandbox.calls("consign.dummy", unb)) == 1


async def test_a_page_of_the_check_in_place_of_a_token_parks_with_its_link(shoal: Shoal) -> None:
    unb = await ready(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="html_answer", which="token", punish=True, times=9)
    await ask_for_a_token(shoal, unb)
    seen = await parked(shoal)
    assert (seen.reason, "punish?x5secdata" in seen.action_url) == ("risk_control", True)
    assert len(await shoal.sandbox.calls("login.token", unb)) == 2


async def test_another_page_in_place_of_a_token_is_tried_again(shoal: Shoal) -> None:
    unb = await ready(shoal)
    await shoal.sandbox.do("fault", account=unb, kind="html_answer", which="token", times=2)
    await ask_for_a_token(shoal, unb)
    async with asyncio.timeout(60):
        while len(await shoal.sandbox.calls("login.token", unb)) < 4:
            await asyncio.sleep(0.02)
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)

"""A shop's login: rotated cookies are kept, the owner's new one wins, and what only the owner can mend parks."""

from __future__ import annotations

import asyncio
import threading

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import Connection

from shoal.accounts.account import AccountState
from shoal.accounts.change_path import Caller
from shoal.accounts.events import AccountStateChanged
from shoal.accounts.task_manager import TaskManager
from shoal.connection.site_login import SiteLogin
from shoal.orders.order_store import Action, ActionState
from shoal.xianyu.browser import chrome
from shoal.xianyu.cookie_jar import GATEWAY
from shoal.xianyu.cookie_string import parse_cookie
from shoal.xianyu.mtop import MtopClient
from shoal.xianyu.site_session import open_site_session
from support.orders.order_steps import action_state
from support.site.sandboxed import Shoal
from support.site.standins import ANN, until

QUICK = Caller(actor="user:ann", wait_seconds=0)


@pytest.mark.parametrize("order", ["validate_first", "rgv_first"])
async def test_b13_risk_control_parks_at_once_with_the_link_and_no_further_call(shoal: Shoal, order: str) -> None:
    unb = await shoal.add()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    await shoal.sandbox.do("fault", account=unb, kind="risk_control", order=order)
    outcome = await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    assert outcome.observation.state is AccountState.PARKED
    assert outcome.observation.reason == "risk_control"
    assert "punish" in outcome.observation.action_url
    calls = len(await shoal.sandbox.calls("login.token", unb))
    await shoal.is_out()
    assert len(await shoal.sandbox.calls("login.token", unb)) == calls


async def test_an_expired_login_parks(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    await shoal.sandbox.do("fault", account=unb, kind="session_expired")
    outcome = await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    assert (outcome.observation.state, outcome.observation.reason) == (AccountState.PARKED, "login_expired")


async def test_a_replaced_cookie_makes_exactly_one_reconnect_and_a_rotated_one_none(shoal: Shoal) -> None:
    unb = await shoal.add()
    world = shoal.sandbox.world
    await shoal.sandbox.do("fault", account=unb, kind="rotate_cookie", times=1)
    await shoal.manager.resume("shop", caller=ANN)
    before = (await shoal.sandbox.sockets(unb))["total"]
    cookie = world.cookie_header(world.seller(unb)) + "; extra=1"
    await shoal.manager.update_cookie("shop", cookie, caller=ANN)
    await shoal.is_done()
    await shoal.manager.update_settings("shop", {"remark": "looked at again"}, caller=ANN)
    after = await shoal.sandbox.sockets(unb)
    assert (after["total"], after["now"], after["max"]) == (before + 1, 1, 1)


async def test_a6_a_rotated_cookie_survives_off_and_on(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    await shoal.sandbox.do("fault", account=unb, kind="rotate_cookie", name="sgcookie", value="rotated1", times=1)
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    assert "sgcookie=rotated1" in (await shoal.sandbox.sockets(unb))["cookie"]
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    assert "sgcookie=rotated1" in (await shoal.sandbox.sockets(unb))["cookie"]
    assert shoal.manager.account("shop").cookie_version == 1


async def test_a7_an_old_reply_cannot_write_over_the_owners_new_cookie(shoal: Shoal) -> None:
    """The owner's cookie and, behind it, what the old connection's reply rotated wait for the database together."""
    unb = await shoal.add()
    world = shoal.sandbox.world
    cookie = world.cookie_header(world.seller(unb)) + "; mine=1"
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    await shoal.sandbox.do("fault", account=unb, kind="rotate_cookie", name="sgcookie", value="late", times=1)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="token", times=1)
    await shoal.manager.update_cookie_status("shop", True, caller=QUICK)
    async with asyncio.timeout(60):
        while not any(fault["held"] for fault in (await shoal.sandbox.get("state"))["faults"]):
            await asyncio.sleep(0.02)
    stands, go_on = threading.Event(), threading.Event()
    writer = shoal.database.group_writer

    def stand(_: Connection) -> None:
        stands.set()
        go_on.wait(60)

    stuck = asyncio.create_task(shoal.database.write(stand))
    await until(stands.is_set)
    before = writer.waiting
    renewing = asyncio.create_task(shoal.manager.update_cookie("shop", cookie, caller=QUICK))
    await until(lambda: writer.waiting > before)
    await shoal.sandbox.do("fault/release")
    await until(lambda: writer.waiting > before + 1)
    go_on.set()
    await stuck
    await renewing
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    account = shoal.manager.account("shop")
    assert account.cookie.endswith("mine=1")
    assert (await shoal.store.get_cookie_details("shop")).cookie == account.cookie
    assert "late" not in str(await shoal.credentials.jar(account))
    for _ in range(2):  # the connection that took the new cookie up, and the next one
        assert "sgcookie=late" not in (await shoal.sandbox.sockets(unb))["cookie"]
        await shoal.manager.update_cookie_status("shop", False, caller=ANN)
        await shoal.manager.update_cookie_status("shop", True, caller=ANN)
        await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)


async def test_b7_a_new_cookie_that_comes_while_the_old_one_expires_runs(shoal: Shoal) -> None:
    unb = await shoal.add()
    world = shoal.sandbox.world
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    await shoal.sandbox.do("fault", account=unb, kind="session_expired")
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="token", times=1)
    await shoal.manager.update_cookie_status("shop", True, caller=QUICK)
    async with asyncio.timeout(60):
        while len(await shoal.sandbox.calls("login.token", unb)) < 2:
            await asyncio.sleep(0.01)
    world.login(world.seller(unb))
    await shoal.manager.update_cookie("shop", world.cookie_header(unb), caller=QUICK)
    await shoal.sandbox.do("fault/release")
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)


async def test_b10_a_cookie_that_comes_with_a_confirmation_is_kept_and_used(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.manager.update_settings("shop", {"paid_message": "网盘链接"}, caller=ANN)
    await shoal.manager.update_auto_confirm_setting("shop", True, caller=ANN)
    await shoal.sandbox.do(
        "fault", account=unb, kind="rotate_cookie", which="consign", name="sgcookie", value="fromconsign", times=1
    )
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=shoal.item_of(unb))
    async with asyncio.timeout(60):
        while await action_state(shoal.book, "shop", paid["order_id"], Action.CONFIRM) is not ActionState.DONE:
            await asyncio.sleep(0.02)
    assert (await shoal.credentials.jar(shoal.manager.account("shop")) or {}).get("sgcookie") == "fromconsign"
    await shoal.close()
    await shoal.open()
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    assert "sgcookie=fromconsign" in (await shoal.sandbox.sockets(unb))["cookie"]


async def test_b10_b13_risk_control_at_a_confirmation_parks_after_one_call(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.manager.update_settings("shop", {"paid_message": "网盘链接"}, caller=ANN)
    await shoal.manager.update_auto_confirm_setting("shop", True, caller=ANN)
    shoal.sandbox.expected.add("proof")  # of the orders that were under way
    await shoal.sandbox.do("fault", account=unb, kind="risk_control", which="consign")
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="consign", times=1)
    with shoal.manager.events.subscribe() as events:
        for buyer in ("甲", "乙", "丙"):
            await shoal.sandbox.do("pay", account=unb, buyer=buyer, item=shoal.item_of(unb))
        async with asyncio.timeout(60):  # the others wait for their turn, and nothing of theirs is on its way
            while [len(await shoal.sandbox.calls(api, unb)) for api in ("order.detail", "consign.dummy")] != [3, 1]:
                await asyncio.sleep(0.02)
        asked = (await shoal.sandbox.get("calls", account=unb))["last_seq"]
        await shoal.sandbox.do("fault/release")
        await shoal.is_out()
        told = [event for event in await events.take() if isinstance(event, AccountStateChanged)]
    assert [event.observation.reason for event in told] == ["risk_control"], "one notice"
    assert (await shoal.sandbox.get("calls", account=unb))["last_seq"] == asked, "no call of any kind after it"


async def test_a_parked_shop_makes_no_call_after_a_restart_until_its_owner_acts(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken, wake = [], TaskManager.wake

    def watched(self: TaskManager, account_id: str) -> None:
        woken.append(account_id)
        wake(self, account_id)

    monkeypatch.setattr(TaskManager, "wake", watched)
    unb = await shoal.add()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    await shoal.sandbox.do("fault", account=unb, kind="risk_control")
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    before = (await shoal.sandbox.get("calls", account=unb))["last_seq"]
    await shoal.close()
    await shoal.open(resync_seconds=0.05)
    await until(lambda: len(woken) > 3)
    await shoal.is_out()
    assert shoal.manager.observation("shop").state is AccountState.PARKED
    assert (await shoal.sandbox.get("calls", account=unb))["last_seq"] == before
    await shoal.sandbox.do("faults/clear")
    passed = await shoal.sandbox.do("check", account=unb)
    renewed = await shoal.manager.update_cookie("shop", passed["cookie"], caller=ANN)
    assert renewed.observation.state is AccountState.RUNNING


async def test_the_login_is_kept_alive_and_what_that_renews_is_kept(shoal: Shoal) -> None:
    await shoal.close()
    await shoal.open(login_check_seconds=0.2, heartbeat_seconds=0.1)
    unb = await shoal.add()
    async with asyncio.timeout(60):
        while len(await shoal.sandbox.calls("hasLogin.do", unb)) < 2:
            await asyncio.sleep(0.02)
    calls = await shoal.sandbox.calls("hasLogin.do", unb)
    assert {tuple(call["ret"]) for call in calls} == {("SUCCESS",)}
    jar = await shoal.credentials.jar(shoal.manager.account("shop")) or {}
    assert len(jar["_tb_token_"]) == 13
    assert f"_tb_token_={jar['_tb_token_']}" not in shoal.manager.account("shop").cookie
    assert (await shoal.sandbox.sockets(unb))["total"] == 1
    assert shoal.manager.account("shop").cookie_version == 1


async def test_a_login_that_ended_is_found_out_while_nothing_happens(shoal: Shoal) -> None:
    await shoal.close()
    await shoal.open(login_check_seconds=0.2, heartbeat_seconds=0.1)
    unb = await shoal.add()
    await shoal.sandbox.do("expire", account=unb, what="login")
    await until(lambda: shoal.manager.observation("shop").state is AccountState.PARKED)
    assert shoal.manager.observation("shop").reason == "login_expired"
    asked = len((await shoal.sandbox.get("calls", account=unb))["items"])
    await shoal.is_out()
    assert len((await shoal.sandbox.get("calls", account=unb))["items"]) == asked


async def test_the_passport_alone_is_not_believed(shoal: Shoal) -> None:
    await shoal.close()
    await shoal.open(login_check_seconds=0.2, heartbeat_seconds=0.1)
    unb = await shoal.add()
    await shoal.sandbox.do("fault", account=unb, kind="session_expired", which="haslogin")
    async with asyncio.timeout(60):
        while len(await shoal.sandbox.calls("loginuser.get", unb)) < 2:  # what followed the first is over
            await asyncio.sleep(0.02)
    assert shoal.manager.observation("shop").state is AccountState.RUNNING


async def test_risk_control_at_the_login_check_parks_with_the_link_and_without_another_call(shoal: Shoal) -> None:
    await shoal.close()
    await shoal.open(login_check_seconds=0.2, heartbeat_seconds=0.1)
    unb = await shoal.add()
    await shoal.sandbox.do("fault", account=unb, kind="risk_control", which="haslogin")
    await until(lambda: shoal.manager.observation("shop").state is AccountState.PARKED)
    seen = shoal.manager.observation("shop")
    assert (seen.reason, seen.action_url[:30]) == ("risk_control", "https://passport.goofish.com/n")
    asked = (await shoal.sandbox.get("calls", account=unb))["items"]
    await shoal.is_out()
    assert (await shoal.sandbox.get("calls", account=unb))["items"] == asked
    assert str(asked[-1]["api"]) == "hasLogin.do"


@pytest.mark.parametrize("kind", ["http_500", "html_answer"])
async def test_a_login_check_without_an_answer_harms_nothing(shoal: Shoal, kind: str) -> None:
    await shoal.close()
    await shoal.open(login_check_seconds=0.1, heartbeat_seconds=0.1)
    unb = await shoal.add()
    await shoal.sandbox.do("fault", account=unb, kind=kind, which="haslogin", times=3)
    async with asyncio.timeout(60):
        while not await shoal.sandbox.calls("hasLogin.do", unb):
            await asyncio.sleep(0.02)
    assert shoal.manager.observation("shop").state is AccountState.RUNNING
    assert (await shoal.sandbox.sockets(unb))["total"] == 1


async def test_b13_an_ordinary_error_that_asks_for_patience_is_no_risk_control(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.manager.update_settings("shop", {"paid_message": "网盘链接"}, caller=ANN)
    await shoal.manager.update_auto_confirm_setting("shop", True, caller=ANN)
    await shoal.sandbox.do(
        "fault", account=unb, kind="business_error", which="consign", reason="FAIL_BIZ_BUSY::系统繁忙,请稍后重试"
    )
    paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=shoal.item_of(unb))
    async with asyncio.timeout(60):
        while await action_state(shoal.book, "shop", paid["order_id"], Action.CONFIRM) is not ActionState.FAILED:
            await asyncio.sleep(0.02)
    assert shoal.manager.observation("shop").state is AccountState.RUNNING
    assert len(await shoal.sandbox.calls("consign.dummy", unb)) == 1


async def test_a_cookie_of_one_host_that_the_site_deletes_lets_the_sites_own_through(shoal: Shoal) -> None:
    """As the site does: `_m_h5_tk` is set for all of it and deleted for `m.goofish.com`, in one answer."""
    await shoal.add()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    lines: list[str] = []

    async def answer(_: web.Request) -> web.Response:
        response = web.json_response({"ret": ["SUCCESS::x"]})
        for line in lines:
            response.headers.add("Set-Cookie", line)
        return response

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    account = shoal.manager.account("shop")
    login = await SiteLogin.open(account, shoal.credentials)
    async with TestServer(app) as server, open_site_session() as session:
        mtop = MtopClient(session, str(server.make_url("/")), login, browser=chrome(151))
        lines += ["_m_h5_tk=narrow_1; Domain=m.goofish.com; Path=/", "cna=; Path=/; Max-Age=0"]
        await mtop.login_user()
        sent = parse_cookie(login.header(GATEWAY))
        assert (sent["_m_h5_tk"], "cna" in sent) == ("narrow_1", False)
        lines[:] = [
            "_m_h5_tk=fresh_1; Domain=.goofish.com; Path=/",
            "_m_h5_tk=; Domain=m.goofish.com; Path=/; Max-Age=0",
        ]
        await mtop.login_user()
        assert parse_cookie(login.header(GATEWAY))["_m_h5_tk"] == "fresh_1"
    again = await SiteLogin.open(account, shoal.credentials)
    assert (parse_cookie(again.header(GATEWAY))["_m_h5_tk"], "cna=" in again.header()) == ("fresh_1", False)

"""A shop's login: rotated cookies are kept, the owner's new one wins, and what only the owner can mend parks."""

from __future__ import annotations

import asyncio

import pytest

from sandboxed import Shoal
from shoal.account import AccountState
from shoal.change_path import Caller
from standins import ANN, until

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
    await asyncio.sleep(0.3)
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
    await asyncio.sleep(0.3)
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
    unb = await shoal.add()
    world = shoal.sandbox.world
    cookie = world.cookie_header(world.seller(unb)) + "; mine=1"
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.credentials.forget_token("shop")
    await shoal.sandbox.do("fault", account=unb, kind="rotate_cookie", name="sgcookie", value="late", times=1)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="token")
    await shoal.manager.update_cookie_status("shop", True, caller=QUICK)
    await asyncio.sleep(0.3)
    await shoal.manager.update_cookie("shop", cookie, caller=QUICK)
    await shoal.sandbox.do("faults/clear")
    await shoal.sandbox.do("fault/release")
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    account = shoal.manager.account("shop")
    assert account.cookie.endswith("mine=1")
    assert (await shoal.store.get_cookie_details("shop")).cookie == account.cookie
    assert "sgcookie=late" not in (await shoal.sandbox.sockets(unb))["cookie"]

"""The line to the site: it is up or says why not, it comes back by itself, and nothing that came over it is lost."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from typing import Any

import pytest

from shoal.accounts.account import AccountState
from shoal.accounts.backoff import BackoffLimits
from shoal.accounts.change_path import Caller
from shoal.errors import StoreError
from shoal.orders.order_store import Action, ActionState
from shoal.storage.data_directory import DATABASE_FILE
from support.orders.order_steps import order_action, order_soon, pay, paying_shop
from support.site.sandboxed import Shoal
from support.site.standins import ANN, until

QUICK = Caller(actor="user:ann", wait_seconds=0)


async def test_b1_a_refused_registration_is_not_running(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.sandbox.do("fault", account=unb, kind="token_refused")
    await shoal.manager.resume("shop", caller=QUICK)
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RETRYING)
    assert shoal.manager.observation("shop").reason == "token_refused"
    await shoal.sandbox.do("faults/clear")
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)


async def test_b6_a_drop_just_after_a_push_reconnects_at_once_with_the_same_token(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    before = len(await shoal.sandbox.calls("login.token", unb))
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    await shoal.sandbox.do("fault", account=unb, kind="close", code=1006, when="now", times=1)
    async with asyncio.timeout(60):
        while (await shoal.sandbox.sockets(unb))["total"] < 2:
            await asyncio.sleep(0.02)
    assert len(await shoal.sandbox.calls("login.token", unb)) == before


@pytest.mark.settings(heartbeat_seconds=0.05)
async def test_a_connection_that_has_nothing_to_store_comes_up_and_stays_while_the_disk_is_full(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    unb = await shoal.add()

    async def full(_: object) -> Any:
        raise StoreError("disk full")

    monkeypatch.setattr(shoal.database, "write", full)
    await shoal.sandbox.do("fault", account=unb, kind="close", code=1006, when="now", times=1)
    async with asyncio.timeout(60):
        while (await shoal.sandbox.sockets(unb))["total"] < 2:
            await asyncio.sleep(0.02)
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    await shoal.beats(3)
    assert await shoal.sandbox.sockets(unb) | {"now": 1, "total": 2} == await shoal.sandbox.sockets(unb)


async def test_what_cannot_be_stored_beside_the_pushes_ends_no_line_and_is_done_later(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shoal.close()
    await shoal.sandbox.do("policy", replays_missed=False)
    await shoal.open(probe_seconds=0.2, login_check_seconds=0.2, heartbeat_seconds=0.1)
    unb = await paying_shop(shoal)
    await shoal.manager.update_keywords("shop", [("在吗", "hi")], caller=ANN)
    order_id = await pay(shoal, unb)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    with closing(sqlite3.connect(shoal.data_dir / DATABASE_FILE, isolation_level=None)) as database:
        database.execute("UPDATE intents SET state = 'uncertain' WHERE action = 'confirm'")  # the site will be asked
        database.execute("UPDATE orders SET status = 'pending_ship'")
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")  # it will be pulled
    await shoal.sandbox.do("fault", account=unb, kind="rotate_cookie", which="loginuser", name="sgcookie", value="new")
    before = await shoal.sandbox.sockets(unb)

    tries = 0

    async def full(*_: object, **__: object) -> Any:
        nonlocal tries
        tries += 1
        raise StoreError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr("shoal.orders.orders.FIRST_WAIT_SECONDS", 0.2, raising=False)
        broken.setattr(shoal.database, "write", full)
        await shoal.manager.update_cookie_status("shop", True, caller=ANN)
        await until(lambda: tries > 10)
        await shoal.beats(3)
        assert shoal.manager.observation("shop").state is AccountState.RUNNING
    assert "hi" in await shoal.sandbox.seen_soon(unb, "小鱼", 3)
    await order_soon(shoal, order_id, status="shipped", problem="")
    assert (await shoal.sandbox.sockets(unb))["total"] == before["total"] + 1


@pytest.mark.parametrize("code", [1000, 1001, 1006])
async def test_b8_a_site_that_closes_after_every_registration_is_not_stormed(shoal: Shoal, code: int) -> None:
    await shoal.close()
    await shoal.open(backoff=BackoffLimits(first_seconds=0.2, longest_seconds=60.0))
    unb = await shoal.add()
    await shoal.sandbox.do("fault", account=unb, kind="close", code=code, when="reg")
    await shoal.manager.resume("shop", caller=QUICK)
    async with asyncio.timeout(60):
        while (await shoal.sandbox.sockets(unb))["total"] < 2:
            await asyncio.sleep(0.02)
    await asyncio.sleep(1.0)  # a storm would not need more
    tries = (await shoal.sandbox.sockets(unb))["total"] - 1
    assert tries <= 10, "waits of up to 0.2, 0.4, 0.8, … s, and the longest from the ninth failure on"
    assert len(await shoal.sandbox.calls("login.token", unb)) == 1
    await shoal.sandbox.do("faults/clear")
    # A registration of the moment before may still be closed by the fault, and the next wait be a minute.
    async with asyncio.timeout(60):
        while (await shoal.manager.update_cookie_status("shop", True, caller=ANN)).observation.state != "running":
            await asyncio.sleep(0.02)


async def test_a_site_without_room_is_given_time(shoal: Shoal) -> None:
    await shoal.close()
    await shoal.open(backoff=None)
    unb = await shoal.add()
    await shoal.sandbox.do("fault", account=unb, kind="connect_limit")
    await shoal.manager.resume("shop", caller=QUICK)
    await until(lambda: shoal.manager.observation("shop").reason == "connect_limit")
    seen = shoal.manager.observation("shop")
    assert seen.next_attempt_at_ms is not None
    assert seen.next_attempt_at_ms - seen.since_ms >= 8000
    assert len(await shoal.sandbox.calls("login.token", unb)) == 1, "the token is not to blame"


async def test_a_restart_reuses_the_token_and_the_device(shoal: Shoal) -> None:
    unb = await shoal.add()
    devices = (await shoal.sandbox.sockets(unb))["devices"]
    calls = len(await shoal.sandbox.calls("login.token", unb))
    await shoal.close()
    await shoal.open()
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    assert (await shoal.sandbox.sockets(unb))["devices"] == devices
    assert len(await shoal.sandbox.calls("login.token", unb)) == calls


async def test_a_kick_parks(shoal: Shoal) -> None:
    unb = await shoal.add()
    await shoal.sandbox.do("fault", account=unb, kind="kickout", when="now", times=1)
    await until(lambda: shoal.manager.observation("shop").state is AccountState.PARKED)
    assert shoal.manager.observation("shop").reason == "kicked_out"


async def test_b15_every_entry_of_a_push_is_read(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("fault", account=unb, kind="batch_push", size=3)
    for buyer in ("甲", "乙", "丙"):
        await shoal.sandbox.do("say", account=unb, buyer=buyer, text="在吗")
    for buyer in ("甲", "乙", "丙"):
        assert await shoal.sandbox.seen_soon(unb, buyer, 1) == ["hi"]


async def test_an_undecodable_push_is_acknowledged_and_harms_nothing(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("push", account=unb, shape="raw", data="%%%")
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]
    async with asyncio.timeout(60):  # the echo of the answer is to be acknowledged too
        while (await shoal.sandbox.sockets(unb))["unacked"]:
            await asyncio.sleep(0.02)


async def test_c18_a_message_is_acknowledged_only_once_it_is_stored(shoal: Shoal) -> None:
    """While the database does not take it, the site keeps it as not delivered; a crash then loses nothing."""
    unb = await shoal.add()
    go_on = threading.Event()
    stuck = asyncio.create_task(shoal.database.write(lambda _: go_on.wait(60)))
    try:
        said = await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
        await until(lambda: shoal.database.group_writer.waiting > 0)  # the message waits for its turn to be stored
        for _ in range(5):
            assert (await shoal.sandbox.sockets(unb))["unacked"] == 1
            await asyncio.sleep(0.02)
    finally:
        go_on.set()
    await stuck
    async with asyncio.timeout(60):
        while (await shoal.sandbox.sockets(unb))["unacked"]:
            await asyncio.sleep(0.02)
    stored = await shoal.log.list_messages(["shop"])
    assert [logged.message.message_id for logged in stored] == [said["message_id"]]

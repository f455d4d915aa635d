"""What may happen while an order is delivered: refusals, silence, refunds, deaths, a full disk. Nothing comes twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from shoal.errors import StoreError
from shoal.messages.decisions import Decision
from shoal.messages.outbox import Outbox, insert_rows
from shoal.messages.sender import Sender
from shoal.orders import deliveries as deliveries_module
from shoal.orders import orders as orders_module
from shoal.orders.delivery_rows import DeliveryState
from shoal.orders.order_store import Action, ActionState
from support.orders.delivery_steps import (
    CODES,
    ORDER,
    bound,
    came_to,
    confirmations,
    delivery_of,
    paid,
    says,
    sells,
)
from support.orders.goods_steps import states_of
from support.site.standins import until
from support.site.without_sockets import ME, SEND, OneShop


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_module, "PAGE_LAG_SECONDS", 0.01)
    monkeypatch.setattr(deliveries_module, "ECHO_GRACE_SECONDS", 0.01)
    monkeypatch.setattr("shoal.connection.xianyu_live.FAREWELL_SECONDS", 0.05)


def refuse_from(shop: OneShop, number: int) -> None:
    """Let the site refuse the message of that number (from 1), and all later ones."""
    sent = 0

    def answer(path: str) -> None:
        nonlocal sent
        sent += path == SEND
        if path == SEND and sent >= number:
            shop.site.refusal = {"reason": "CSI_FORBID"}

    shop.site.before_answer = answer


# ── what stands where ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_units_stand_in_clear_nowhere_but_in_the_frames(
    shop: OneShop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await paid(shop, "码 {codes}", quantity="1")
    shop.site.pays(ORDER)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert shop.site.said == [f"码 {CODES[0]}"]
    echo = shop.site.says(f"码 {CODES[0]}", by=ME, message_id="echo.PNM")
    logged = await shop.decided(echo, Decision.ECHO.value)
    assert logged.message.text == "码 CA…01"
    assert not await shop.log.list_messages(["shop"], query="0001")
    await shop.close()
    for file in (tmp_path / "data").rglob("*"):
        assert not file.is_file() or b"CANARY7" not in file.read_bytes(), file
    logged_lines = capsys.readouterr().out
    assert "number held" in logged_lines
    assert "CANARY7" not in logged_lines
    await shop.open()


async def test_an_echo_that_was_stored_before_a_restart_is_recognised_masked(shop: OneShop) -> None:
    await paid(shop, "码 {codes}", quantity="1")
    await shop.reopen(send_timeout_seconds=0.3)
    await shop.running()
    shop.site.silent = [SEND]
    shop.site.pays(ORDER)
    await came_to(shop, Action.PAID_MESSAGE, ActionState.UNCERTAIN)
    (uncertain,) = await shop.sendings("uncertain")
    claimed = await shop.log.outbox.claim_echo("shop", uncertain.row.chat_id, "e.PNM", "码 CA…01", "1")
    assert claimed is not None
    assert claimed.id == uncertain.id


# ── refused, unanswered ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_refusal_part_way_goes_on_with_the_same_units_when_the_owner_asks(shop: OneShop) -> None:
    goods = await paid(shop, "您好", "码 {codes}")
    refuse_from(shop, 3)
    shop.site.pays(ORDER)
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert order.problem == "delivery_partly"
    assert shop.site.said == ["您好", f"码 {CODES[0]}", f"码 {CODES[1]}"]
    assert await bound(shop) == ["out", "held", "held"]
    assert confirmations(shop) == 0
    shop.site.before_answer, shop.site.refusal = lambda _: None, None
    await sells(shop, goods, "其他 {codes}")
    assert await shop.orders.ask_again("shop", ORDER, Action.PAID_MESSAGE, actor="user:ann")
    order = await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert shop.site.said[3:] == [f"码 {CODES[1]}", f"码 {CODES[2]}"]
    assert (await bound(shop), order.problem) == (["out"] * 3, "")


async def test_a_first_message_that_is_refused_keeps_its_units_and_takes_the_new_text(shop: OneShop) -> None:
    goods = await paid(shop, quantity="1")
    refuse_from(shop, 1)
    shop.site.pays(ORDER)
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert (order.problem, await bound(shop)) == ("message_refused", ["held"])
    shop.site.before_answer, shop.site.refusal = lambda _: None, None
    await sells(shop, goods, "新 {codes}")
    await shop.orders.ask_again("shop", ORDER, Action.PAID_MESSAGE, actor="user:ann")
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert shop.site.said == [f"码 {CODES[0]}", f"新 {CODES[0]}"]
    assert await states_of(shop.database, goods.id) == {"free": 2, "out": 1}


@pytest.mark.slow
async def test_an_unanswered_message_stops_there_and_its_echo_goes_on(shop: OneShop) -> None:
    goods = await paid(shop, quantity="2")
    await shop.reopen(send_timeout_seconds=1.5)  # its second message is answered in time
    await shop.running()
    shop.site.silent = [SEND]
    shop.site.pays(ORDER)
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.UNCERTAIN)
    assert (order.problem, await bound(shop)) == ("message_uncertain", ["out", "held"])
    assert shop.site.said == [f"码 {CODES[0]}"]
    shop.site.says(f"码 {CODES[0]}", by=ME, message_id="echo.PNM")
    order = await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert shop.site.said == [f"码 {CODES[0]}", f"码 {CODES[1]}"]
    assert await states_of(shop.database, goods.id) == {"free": 1, "out": 2}


# ── refunds and cancellations ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_refund_between_two_messages_drops_the_rest_whose_units_stay_the_orders(shop: OneShop) -> None:
    goods = await paid(shop)
    shop.site.held = []
    shop.site.pays(ORDER)
    await until(lambda: len(shop.site.said) == 1)
    await says(shop, "refunding")
    shop.site.release()
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert (order.problem, len(shop.site.said), confirmations(shop)) == ("refund_asked", 1, 0)
    assert await states_of(shop.database, goods.id) == {"held": 2, "out": 1}
    assert [one.reason for one in await shop.sendings("sent", "dropped", "dropped")][1] == "order_ended"
    await says(shop, "cancelled")
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert order.problem == "delivery_partly"
    await shop.orders.owner_settles("shop", ORDER, Action.PAID_MESSAGE, ActionState.NOT_NEEDED, actor="user:ann")
    assert (await came_to(shop, Action.PAID_MESSAGE, ActionState.NOT_NEEDED)).problem == ""


@pytest.mark.parametrize("status", ["refunding", "cancelled"])
async def test_an_order_that_ends_before_anything_left_gives_its_units_back(shop: OneShop, status: str) -> None:
    goods = await paid(shop, quantity="2")
    refuse_from(shop, 1)
    shop.site.pays(ORDER)
    await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert await states_of(shop.database, goods.id) == {"free": 1, "held": 2}
    await says(shop, status)
    assert await states_of(shop.database, goods.id) == {"free": 3}
    assert (await delivery_of(shop)).state is DeliveryState.RELEASED
    if status == "refunding":  # it is withdrawn, and the owner serves the order: it may get other units now
        shop.site.before_answer, shop.site.refusal = lambda _: None, None
        await says(shop, "refund_cancelled")
        await shop.orders.ask_again("shop", ORDER, Action.PAID_MESSAGE, actor="user:ann")
        await came_to(shop, Action.CONFIRM, ActionState.DONE)
        assert await states_of(shop.database, goods.id) == {"free": 1, "out": 2}


async def test_an_owner_who_has_served_the_order_keeps_its_units_from_others(shop: OneShop) -> None:
    goods = await paid(shop, quantity="1")
    refuse_from(shop, 1)
    shop.site.pays(ORDER)
    await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    await shop.orders.owner_settles("shop", ORDER, Action.PAID_MESSAGE, ActionState.DONE, actor="user:ann")
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert await states_of(shop.database, goods.id) == {"free": 2, "out": 1}


# ── deaths ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_full_disk_at_the_binding_binds_nothing_and_serves_once_there_is_room(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    goods = await paid(shop, quantity="1")
    begin, full = shop.orders.deliveries.begin, asyncio.Event()

    async def no_room(*values: Any) -> Any:
        if not full.is_set():
            full.set()
            raise StoreError("disk full", code="disk_full")
        return await begin(*values)

    monkeypatch.setattr(shop.orders.deliveries, "begin", no_room)
    shop.site.pays(ORDER)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert full.is_set()
    assert shop.site.said == [f"码 {CODES[0]}"]
    assert await states_of(shop.database, goods.id) == {"free": 2, "out": 1}


async def test_a_failure_within_the_transaction_leaves_nothing_of_it(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the order is served again while the connection ends: a short farewell would cut off its confirmation
    monkeypatch.setattr("shoal.connection.xianyu_live.FAREWELL_SECONDS", 60.0)
    goods = await paid(shop, quantity="1")
    inserts = []

    def fails_once(*arguments: Any, **named: Any) -> Any:
        inserts.append(arguments)
        if len(inserts) == 1:
            raise StoreError("disk full", code="disk_full")
        return insert_rows(*arguments, **named)

    monkeypatch.setattr("shoal.orders.delivery_store.insert_rows", fails_once)
    shop.site.pays(ORDER)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert len(inserts) == 2
    assert await states_of(shop.database, goods.id) == {"free": 2, "out": 1}
    assert shop.site.said == [f"码 {CODES[0]}"]


async def test_a_death_between_two_messages_goes_on_with_the_same_texts_and_units(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    goods = await paid(shop, "码 {codes}", "谢谢", quantity="2")
    reached = asyncio.Event()

    async def dies(*_: Any) -> bool:
        reached.set()
        await asyncio.Event().wait()
        return False

    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "begin", dies)
        shop.site.pays(ORDER)
        await reached.wait()
        await sells(shop, goods, "其他 {codes}")
        await shop.close()
    await shop.open()
    order = await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert shop.site.said == [f"码 {CODES[0]}", f"码 {CODES[1]}", "谢谢"]
    assert (order.problem, confirmations(shop)) == ("", 1)
    assert await states_of(shop.database, goods.id) == {"free": 1, "out": 2}


async def test_a_death_after_the_binding_leaves_it_to_the_owner_with_its_units(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    goods = await paid(shop, quantity="2")
    reached = asyncio.Event()

    async def dies(*_: Any, **__: Any) -> Any:
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(Sender, "_deliver", dies)
        shop.site.pays(ORDER)
        await reached.wait()
        await shop.close()
    await shop.open()
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.UNCERTAIN)
    assert (order.problem, shop.site.said) == ("message_uncertain", [])
    assert await states_of(shop.database, goods.id) == {"free": 1, "held": 1, "out": 1}
    await shop.running()
    await shop.orders.ask_again("shop", ORDER, Action.PAID_MESSAGE, actor="user:ann")
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert shop.site.said == [f"码 {CODES[0]}", f"码 {CODES[1]}"]


async def test_a_death_before_the_confirmation_confirms_once_and_sends_nothing_again(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await paid(shop, quantity="1")
    reached = asyncio.Event()

    async def dies(*_: Any, **__: Any) -> bool:
        reached.set()
        await asyncio.Event().wait()
        return False

    with monkeypatch.context() as patch:
        patch.setattr(shop.orders, "begin_action", dies)
        shop.site.pays(ORDER)
        await reached.wait()
        await shop.close()
    await shop.open()
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert (len(shop.site.said), confirmations(shop)) == (1, 1)

"""What may happen while an order is delivered: refusals, silence, refunds, deaths, a full disk. Nothing comes twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, update

from delivery_steps import (
    CONFIRM,
    ORDER,
    PAGE,
    bound,
    came_to,
    delivery_of,
    more,
    page_of,
    sells,
    stocked,
)
from goods_steps import states_of
from shoal.clock import now_ms
from shoal.errors import StoreError
from shoal.goods.goods import Goods
from shoal.messages.decisions import Decision
from shoal.messages.outbox import Outbox
from shoal.messages.sender import Sender
from shoal.orders import deliveries as deliveries_module
from shoal.orders import orders as orders_module
from shoal.orders.delivery_rows import DeliveryState
from shoal.orders.order_store import Action, ActionState, OrderUpdate
from shoal.storage.order_tables import order_actions
from standins import until
from without_sockets import BUYER, ME, SEND, OneShop

CODES = ("CANARY7-0001", "CANARY7-0002", "CANARY7-0003")
SECOND = "4000000000000000002"


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_module, "PAGE_LAG_SECONDS", 0.01)
    monkeypatch.setattr(deliveries_module, "ECHO_GRACE_SECONDS", 0.01)


async def paid(shop: OneShop, *texts: str, quantity: str = "3", **rule: Any) -> Goods:
    """A shop with three codes that sells them by these texts; its page says what was bought."""
    await shop.add(auto_confirm=True)
    goods = await stocked(shop, *CODES)
    await sells(shop, goods, *(texts or ("码 {codes}",)), **rule)
    shop.site.answers[PAGE] = page_of(quantity=quantity)
    return goods


def refuse_from(shop: OneShop, number: int) -> None:
    """Let the site refuse the message of that number (from 1), and all later ones."""
    sent = 0

    def answer(path: str) -> None:
        nonlocal sent
        sent += path == SEND
        if path == SEND and sent >= number:
            shop.site.refusal = {"reason": "CSI_FORBID"}

    shop.site.before_answer = answer


def confirmations(shop: OneShop) -> int:
    return sum(api.endswith(CONFIRM) for api in shop.site.calls)


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
    assert "running" in logged_lines
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


async def test_an_unanswered_message_stops_there_and_its_echo_goes_on(shop: OneShop) -> None:
    goods = await paid(shop, quantity="2")
    await shop.reopen(send_timeout_seconds=0.3)
    await shop.running()
    shop.site.silent = [SEND]
    shop.site.pays(ORDER)
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.UNCERTAIN)
    assert (order.problem, await bound(shop)) == ("message_uncertain", ["out", "out"])
    assert shop.site.said == [f"码 {CODES[0]}"]
    shop.site.says(f"码 {CODES[0]}", by=ME, message_id="echo.PNM")
    order = await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert shop.site.said == [f"码 {CODES[0]}", f"码 {CODES[1]}"]
    assert await states_of(shop.database, goods.id) == {"free": 1, "out": 2}


# ── refunds and cancellations ───────────────────────────────────────────────────────────────────────────────────────


async def says(shop: OneShop, status: str) -> None:
    await shop.orders.receive("shop", OrderUpdate(order_id=ORDER, status=status, source="card"))


async def test_a_refund_between_two_messages_drops_the_rest_and_the_units_are_out(shop: OneShop) -> None:
    goods = await paid(shop)
    shop.site.held = []
    shop.site.pays(ORDER)
    await until(lambda: len(shop.site.said) == 1)
    await says(shop, "refunding")
    shop.site.release()
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert (order.problem, len(shop.site.said), confirmations(shop)) == ("refund_asked", 1, 0)
    assert await states_of(shop.database, goods.id) == {"out": 3}
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
    goods = await paid(shop, quantity="1")
    failed = 0

    def fails(*_: Any) -> Any:
        nonlocal failed
        failed += 1
        monkeypatch.undo()
        raise StoreError("disk full", code="disk_full")

    monkeypatch.setattr("shoal.orders.delivery_store.insert_rows", fails)
    shop.site.pays(ORDER)
    await until(lambda: failed == 1)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
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
        patch.setattr("shoal.connection.xianyu_live.FAREWELL_SECONDS", 0.05)
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
        patch.setattr("shoal.connection.xianyu_live.FAREWELL_SECONDS", 0.05)
        shop.site.pays(ORDER)
        await reached.wait()
        await shop.close()
    await shop.open()
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.UNCERTAIN)
    assert (order.problem, shop.site.said) == ("message_uncertain", [])
    assert await states_of(shop.database, goods.id) == {"free": 1, "out": 2}
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
        patch.setattr("shoal.connection.xianyu_live.FAREWELL_SECONDS", 0.05)
        shop.site.pays(ORDER)
        await reached.wait()
        await shop.close()
    await shop.open()
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert (len(shop.site.said), confirmations(shop)) == (1, 1)


# ── later ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_delay_outlives_a_restart_and_a_refund_before_its_end_binds_nothing(shop: OneShop) -> None:
    goods = await paid(shop, quantity="1", delay_seconds=3600)
    shop.site.pays(ORDER)
    shop.site.pays(SECOND)
    for order_id in (ORDER, SECOND):
        await until_put_off(shop, order_id, Action.PAID_MESSAGE)
    await shop.reopen()
    await shop.running()
    assert (shop.site.said, await states_of(shop.database, goods.id)) == ([], {"free": 3})
    await says(shop, "cancelled")
    await came_to(shop, Action.PAID_MESSAGE, ActionState.NOT_NEEDED)
    await due_now(shop, SECOND, Action.PAID_MESSAGE)
    await came_to(shop, Action.CONFIRM, ActionState.DONE, SECOND)
    assert shop.site.said == [f"码 {CODES[0]}"]


async def test_a_short_delay_ends_by_itself(shop: OneShop) -> None:
    await paid(shop, quantity="1", delay_seconds=1)
    shop.site.pays(ORDER)
    await until_put_off(shop, ORDER, Action.PAID_MESSAGE)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)


async def test_a_confirmation_some_hours_later_outlives_a_restart(shop: OneShop) -> None:
    await paid(shop, quantity="1", confirm=2)
    shop.site.pays(ORDER)
    await until_put_off(shop, ORDER, Action.CONFIRM)
    await shop.reopen()
    await shop.running()
    assert (len(shop.site.said), confirmations(shop)) == (1, 0)
    await due_now(shop, ORDER, Action.CONFIRM)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert confirmations(shop) == 1


async def due_at(shop: OneShop, order_id: str, action: Action) -> int | None:
    found = await shop.orders.order_actions("shop", order_id)
    return next((one.due_at_ms for one in found if one.action == action), None)


async def until_put_off(shop: OneShop, order_id: str, action: Action) -> None:
    async with asyncio.timeout(60):
        while await due_at(shop, order_id, action) is None:
            await asyncio.sleep(0.005)


async def due_now(shop: OneShop, order_id: str, action: Action) -> None:
    """Let what is put off be due, and let the connection look."""
    mine = (order_actions.c.order_id == order_id, order_actions.c.action == action.value)

    earlier = {"due_at_ms": now_ms() - 1, "created_at_ms": order_actions.c.created_at_ms - 8 * 3600_000}

    def job(connection: Connection) -> int:
        return connection.execute(update(order_actions).where(*mine).values(earlier)).rowcount

    assert await shop.database.write(job) == 1
    shop.orders.look("shop")


# ── known first ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_page_that_stays_unread_is_the_owners_turn_in_the_end_and_holds_up_no_fixed_goods(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries_module, "PAGE_WAITS_MS", (3_600_000,))
    goods = await paid(shop, quantity="1")
    shop.site.refused_calls[PAGE] = "FAIL_SYS_SERVICE_TIMEOUT::busy"
    shop.site.pays(ORDER)
    await until_put_off(shop, ORDER, Action.PAID_MESSAGE)
    await sells(shop, None, "固定")
    shop.site.pays(SECOND)
    await came_to(shop, Action.CONFIRM, ActionState.DONE, SECOND)
    assert shop.site.said == ["固定"]
    await sells(shop, goods, "码 {codes}")
    monkeypatch.setattr(deliveries_module, "PAGE_PATIENCE_MS", 0)
    await due_now(shop, ORDER, Action.PAID_MESSAGE)
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert (order.problem, await states_of(shop.database, goods.id)) == ("quantity_unknown", {"free": 3})


async def test_a_page_that_is_read_later_serves_what_waited_for_it(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries_module, "PAGE_WAITS_MS", (20, 40))
    await paid(shop)
    read = shop.site.answers.pop(PAGE)
    shop.site.answers[PAGE] = {"components": []}  # it says nothing of what was bought
    shop.site.pays(ORDER)
    await until_put_off(shop, ORDER, Action.PAID_MESSAGE)
    shop.site.answers[PAGE] = {**read, "peerUserId": BUYER}
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert len(shop.site.said) == 3


async def test_a_rule_by_title_asks_for_the_items_title(shop: OneShop) -> None:
    await paid(shop, quantity="1", item_id="", title_contains="月卡")
    shop.site.answers["pc.detail"] = {"itemDO": {"title": "会员 月卡"}}
    shop.site.pays(ORDER)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert shop.site.said == [f"码 {CODES[0]}"]
    shop.site.answers["pc.detail"] = {}
    await shop.reopen()
    await shop.running()
    shop.site.pays(SECOND)
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED, SECOND)
    assert order.problem == "unknown_title"


async def test_codes_that_came_in_serve_an_order_that_waits_when_its_owner_asks(shop: OneShop) -> None:
    goods = await paid(shop, quantity="4")
    shop.site.pays(ORDER)
    assert (await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)).problem == "out_of_stock"
    await more(shop, goods, "CANARY7-0004")
    await shop.running()
    assert shop.site.said == []
    await shop.orders.ask_again("shop", ORDER, Action.PAID_MESSAGE, actor="user:ann")
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    assert len(shop.site.said) == 4


async def test_pictures_and_texts_come_in_their_order(shop: OneShop) -> None:
    await paid(shop, "一", "https://example.com/a.png", "码 {codes}", quantity="1")
    shop.site.pays(ORDER)
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    rows = [(one.row.text or one.row.image_url) for one in await shop.sendings("sent", "sent", "sent")]
    assert rows == ["一", "https://example.com/a.png", "码 {codes}"]


async def test_the_switch_turned_off_between_two_messages_leaves_the_rest_to_the_owner(shop: OneShop) -> None:
    await paid(shop, quantity="2")
    shop.site.held = []
    shop.site.pays(ORDER)
    await until(lambda: len(shop.site.said) == 1)
    await shop.set(delivery=False)
    shop.site.release()
    order = await came_to(shop, Action.PAID_MESSAGE, ActionState.FAILED)
    assert (order.problem, await bound(shop)) == ("delivery_partly", ["out", "held"])
    await shop.orders.ask_again("shop", ORDER, Action.PAID_MESSAGE, actor="user:ann")
    await came_to(shop, Action.CONFIRM, ActionState.FAILED)
    assert shop.site.said == [f"码 {CODES[0]}", f"码 {CODES[1]}"]


async def test_actions_of_before_have_no_time(shop: OneShop) -> None:
    """A time that was set once does not outlive what it was for."""
    await paid(shop, quantity="1", delay_seconds=3600)
    shop.site.pays(ORDER)
    await until_put_off(shop, ORDER, Action.PAID_MESSAGE)
    await shop.orders.ask_again("shop", ORDER, Action.PAID_MESSAGE, actor="user:ann")
    await came_to(shop, Action.CONFIRM, ActionState.DONE)
    query = select(order_actions.c.due_at_ms).where(order_actions.c.order_id == ORDER)
    assert await shop.database.read(lambda connection: set(connection.scalars(query))) == {None}

"""Deliveries in both databases: begun once, settled by the outbox, the units of each order its own for ever."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from contract.delivering_shop import CODES, Shop, a_shop
from contract.order_book_steps import paid, told
from shoal.accounts.events import MessageEvent
from shoal.errors import StoreError
from shoal.goods.imports import Imports
from shoal.goods.unit_lines import lines_of_list
from shoal.messages.message_log import Direction, IncomingMessage, MessageLog
from shoal.messages.outbox_rows import OutboxKind, OutboxRow, SendOutcome
from shoal.orders.delivery_rows import Delivery, DeliveryState
from shoal.orders.delivery_store import Begun
from shoal.orders.order_store import Action, ActionState
from shoal.orders.planned_messages import PlannedMessage
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.schema import messages
from shoal.storage.vault import Vault
from support.databases.store_steps import Clock, an_account, created
from support.orders.goods_steps import by, some_goods, states_of, unit_texts
from support.orders.order_steps import action_state


@pytest.fixture
async def shop(database: Database, vault: Vault, manager: DBManager, clock: Clock) -> Shop:
    return await a_shop(database, vault, manager, clock)


async def test_one_of_many_begins_and_binds_the_units_with_its_messages(shop: Shop) -> None:
    await paid(shop.book)
    racing = await asyncio.gather(*(shop.begin("o1") for _ in range(5)))
    (begun,) = [one for one in racing if one.sendings]
    assert [one.outcome for one in begun.sendings] == [SendOutcome.SENDING, SendOutcome.WAITING, SendOutcome.WAITING]
    assert [one.row.text for one in begun.sendings] == ["您好", "码 {codes}", "码 {codes}"]
    assert [await shop.outbox.text_of(one.row) for one in begun.sendings] == [
        "您好",
        f"码 {CODES[0]}",
        f"码 {CODES[1]}",
    ]
    assert await states_of(shop.database, shop.goods.id) == {"free": 2, "held": 2}
    assert await action_state(shop.book, "shop", "o1", Action.PAID_MESSAGE) is ActionState.INTENDED


async def test_g17_nothing_is_bound_or_begun_when_it_may_not_be_any_more(shop: Shop) -> None:
    """It is asked in the transaction itself: the switch may be turned off while the writer had other work."""
    await paid(shop.book)
    asked: list[int] = []

    def may() -> bool:
        asked.append(1)
        return False

    assert await shop.begin("o1", may=may) == Begun()
    assert asked
    assert await states_of(shop.database, shop.goods.id) == {"free": 4}
    assert (await shop.units("o1"), await shop.delivery("o1")) == ([], None)
    assert await action_state(shop.book, "shop", "o1", Action.PAID_MESSAGE) is ActionState.PENDING
    assert len((await shop.begin("o1")).sendings) == 3


async def test_orders_that_race_for_the_last_units_get_all_or_none(shop: Shop) -> None:
    for number in range(4):
        await paid(shop.book, order_id=f"o{number}")
    begun = await asyncio.gather(*(shop.begin(f"o{number}", 3) for number in range(4)))
    assert sorted(len(one.sendings) for one in begun) == [0, 0, 0, 4]
    assert sorted(one.why_not for one in begun) == ["", "out_of_stock", "out_of_stock", "out_of_stock"]
    assert await states_of(shop.database, shop.goods.id) == {"free": 1, "held": 3}
    problems = [order.problem for order in await shop.book.orders(["shop"])]
    assert sorted(problems) == ["", "out_of_stock", "out_of_stock", "out_of_stock"]


async def test_a_begin_that_fails_leaves_everything_as_it_was(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    await paid(shop.book)

    def fails(*_: object) -> None:
        raise StoreError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("shoal.orders.delivery_store.insert_rows", fails)
        with pytest.raises(StoreError):
            await shop.begin("o1")
    assert await states_of(shop.database, shop.goods.id) == {"free": 4}
    assert (await shop.units("o1"), await shop.delivery("o1")) == ([], None)
    assert await action_state(shop.book, "shop", "o1", Action.PAID_MESSAGE) is ActionState.PENDING
    assert len((await shop.begin("o1")).sendings) == 3


async def test_an_uncertain_message_that_is_asked_for_is_the_same_row_and_the_rest_waits(shop: Shop) -> None:
    await paid(shop.book)
    begun = await shop.begin("o1")
    await shop.arrived(begun.sendings[:1])
    assert await shop.outbox.begin(begun.sendings[1])
    (cut,) = await shop.outbox.interrupted("shop")
    await shop.book.interrupted("shop")
    assert await action_state(shop.book, "shop", "o1", Action.PAID_MESSAGE) is ActionState.UNCERTAIN
    assert await shop.book.deliveries.doubted_since("shop", "o1") == cut.created_at_ms
    assert await shop.book.ask_again("shop", "o1", Action.PAID_MESSAGE, actor="user:ann")
    again = await shop.begin("o1")
    assert [(one.row.part, one.outcome) for one in again.sendings] == [
        (1, SendOutcome.UNCERTAIN),
        (2, SendOutcome.WAITING),
    ]
    assert (again.sendings[0].id, again.sendings[0].row.uuid) == (cut.id, cut.row.uuid)
    assert again.sendings[0].resends == 1
    await shop.arrived(again.sendings)
    assert await shop.book.settle_messages("shop", "o1") is ActionState.DONE
    assert [state for _, state in await shop.units("o1")] == ["out", "out"]


async def test_all_that_arrived_after_it_was_asked_for_is_not_sent_again(shop: Shop) -> None:
    await paid(shop.book)
    begun = await shop.begin("o1", 1)
    await shop.arrived(begun.sendings[:1])
    assert await shop.outbox.begin(begun.sendings[1])
    await shop.outbox.interrupted("shop")
    await shop.book.interrupted("shop")
    assert await shop.book.ask_again("shop", "o1", Action.PAID_MESSAGE, actor="user:ann")
    assert await shop.outbox.claim_echo("shop", "c", "echo", f"码 {CODES[0]}", "1")
    again = await shop.begin("o1", 1)
    assert (again.sendings, again.have_arrived, again.why_not) == ((), True, "")
    assert await shop.book.settle_messages("shop", "o1") is ActionState.DONE


async def test_what_was_cut_off_goes_on_at_the_first_message_that_did_not_arrive(shop: Shop) -> None:
    await paid(shop.book)
    begun = await shop.begin("o1")
    await shop.arrived(begun.sendings[:2])
    before = await shop.units("o1")
    assert await shop.outbox.interrupted("shop") == []
    assert await shop.book.interrupted("shop") == []
    assert await action_state(shop.book, "shop", "o1", Action.PAID_MESSAGE) is ActionState.PENDING
    again = await shop.begin("o1")
    assert await shop.texts(again.sendings) == [f"码 {CODES[1]}"]
    assert [unit for unit, _ in await shop.units("o1")] == [unit for unit, _ in before]
    await shop.arrived(again.sendings)
    assert await shop.book.settle_messages("shop", "o1") is ActionState.DONE
    assert [state for _, state in await shop.units("o1")] == ["out", "out"]
    assert await action_state(shop.book, "shop", "o1", Action.CONFIRM) is ActionState.PENDING
    delivery = await shop.delivery("o1")
    assert delivery is not None
    assert (delivery.state, delivery.arrived) == (DeliveryState.DONE, 3)


async def test_what_was_on_its_way_is_uncertain_and_its_units_go_to_nobody_else(shop: Shop) -> None:
    await paid(shop.book)
    begun = await shop.begin("o1")
    await shop.arrived(begun.sendings[:1])
    await shop.outbox.begin(begun.sendings[1])
    assert [one.id for one in await shop.outbox.interrupted("shop")] == [begun.sendings[1].id]
    assert [one.action for one in await shop.book.interrupted("shop")] == [Action.PAID_MESSAGE]
    assert [state for _, state in await shop.units("o1")] == ["out", "held"]
    assert await shop.book.interrupted("shop") == []
    assert await action_state(shop.book, "shop", "o1", Action.CONFIRM) is None
    claimed = await shop.outbox.claim_echo("shop", "c", "echo", f"码 {CODES[0]}", "1")
    assert claimed is not None
    assert await shop.book.follow_outbox("shop", "o1")
    again = await shop.begin("o1")
    assert await shop.texts(again.sendings) == [f"码 {CODES[1]}"]


@pytest.mark.parametrize("status", ["refunding", "cancelled", "shipped", "completed"])
async def test_an_order_that_ends_before_its_units_left_gives_them_back(shop: Shop, status: str) -> None:
    await paid(shop.book)
    begun = await shop.begin("o1")
    await shop.outbox.take_back("shop", [one.id for one in begun.sendings], "connection_lost")
    assert await shop.book.settle_messages("shop", "o1") is ActionState.PENDING
    assert await states_of(shop.database, shop.goods.id) == {"free": 2, "held": 2}
    await told(shop.book, status)
    assert await states_of(shop.database, shop.goods.id) == {"free": 4}
    assert (await shop.begin("o1")).sendings == ()


@pytest.mark.parametrize("status", ["refunding", "cancelled", "shipped", "completed"])
async def test_an_order_that_ends_after_a_unit_left_keeps_all_and_says_so(shop: Shop, status: str) -> None:
    await paid(shop.book)
    begun = await shop.begin("o1")
    await shop.arrived(begun.sendings[:2])
    await shop.book.interrupted("shop")
    order = await told(shop.book, status)
    assert await states_of(shop.database, shop.goods.id) == {"free": 2, "held": 1, "out": 1}
    assert order.problem == ("refund_asked" if status == "refunding" else "delivery_partly")
    assert await action_state(shop.book, "shop", "o1", Action.PAID_MESSAGE) is ActionState.FAILED


async def test_g3_only_units_that_may_have_left_are_out_and_their_order_tells_it(shop: Shop) -> None:
    """Died while the second of three units was on its way: the first arrived, the third never left."""
    await paid(shop.book)
    begun = await shop.begin("o1", 3)
    await shop.arrived(begun.sendings[:2])
    await shop.outbox.begin(begun.sendings[2])
    await shop.outbox.interrupted("shop")
    await shop.book.interrupted("shop")
    assert [state for _, state in await shop.units("o1")] == ["out", "out", "held"]
    order = await told(shop.book, "pending_ship")
    assert order.problem == "message_uncertain"
    assert await shop.outbox.claim_echo("shop", "c", "echo", f"码 {CODES[1]}", "1")
    assert await shop.book.follow_outbox("shop", "o1")  # it goes on: what is out is what its buyer has
    assert await action_state(shop.book, "shop", "o1", Action.PAID_MESSAGE) is ActionState.PENDING
    assert [state for _, state in await shop.units("o1")] == ["out", "out", "held"]
    order = await told(shop.book, "cancelled")
    assert (order.problem, [state for _, state in await shop.units("o1")]) == (
        "delivery_partly",
        ["out", "out", "held"],
    )


async def test_g3_an_order_that_is_cancelled_while_its_unit_may_have_left_tells_it_until_its_owner_settles_it(
    shop: Shop,
) -> None:
    await paid(shop.book)
    begun = await shop.begin("o1", 1)
    await shop.arrived(begun.sendings[:1])
    await shop.outbox.begin(begun.sendings[1])
    await shop.outbox.interrupted("shop")
    await shop.book.interrupted("shop")
    order = await told(shop.book, "cancelled")
    assert (order.problem, await shop.units("o1")) == ("message_uncertain", [(1, "out")])
    settled = (Action.PAID_MESSAGE, ActionState.NOT_NEEDED)
    assert await shop.book.owner_settles("shop", "o1", *settled, actor="user:ann")
    after = await shop.book.order("shop", "o1")
    assert after is not None
    assert after.problem == ""


async def test_a_shop_that_is_added_again_goes_on_with_the_same_units(shop: Shop, manager: DBManager) -> None:
    await paid(shop.book)
    begun = await shop.begin("o1")
    await shop.arrived(begun.sendings[:2])
    await shop.outbox.begin(begun.sendings[2])
    await shop.outbox.settle(begun.sendings[2].id, SendOutcome.REFUSED, "CSI_FORBID")
    assert await shop.book.settle_messages("shop", "o1") is ActionState.FAILED
    before = await shop.units("o1")
    twin = await created(manager, an_account("twin", unb=shop.unb, owner_id=2))
    assert twin[0].unb == shop.unb
    await paid(shop.book, "twin")
    again = await shop.begin("o1", account_id="twin")
    assert await shop.texts(again.sendings) == [f"码 {CODES[1]}"]
    assert [unit for unit, _ in await shop.units("o1")] == [unit for unit, _ in before]


async def test_an_echo_is_stored_masked_even_where_the_site_wrote_blanks_anew(shop: Shop) -> None:
    told: list[MessageEvent] = []
    log = MessageLog(shop.database, sealed=shop.sealed, publish=told.append)
    await paid(shop.book)
    begun = await shop.begin("o1")
    await shop.arrived(begun.sendings)
    for number, said in enumerate((f"码 {CODES[0]}", f"码  {CODES[1]} ", "别的")):
        own = IncomingMessage(message_id=f"e{number}", chat_id="c", direction=Direction.OUT, text=said)
        await log.store_incoming("shop", [own])
    query = select(messages.c.text).order_by(messages.c.id)
    stored = await shop.database.read(lambda connection: list(connection.scalars(query)))
    assert stored == ["码 CA…00", "码 CA…01", "别的"]
    assert len(told) == 3
    assert "CANARY7" not in repr(told)


async def test_an_order_that_is_uncertain_under_an_earlier_id_is_uncertain_here_too(
    shop: Shop, manager: DBManager
) -> None:
    await paid(shop.book)
    begun = await shop.begin("o1")
    await shop.arrived(begun.sendings[:1])
    await shop.outbox.begin(begun.sendings[1])
    await shop.outbox.interrupted("shop")
    await shop.book.interrupted("shop")
    before = await shop.units("o1")
    await created(manager, an_account("twin", unb=shop.unb, owner_id=2))
    order = await paid(shop.book, "twin")
    assert order.problem == "uncertain_before"
    (said,) = await shop.book.order_actions("twin", "o1")
    assert (said.state, said.detail) == (ActionState.UNCERTAIN, "uncertain_before")
    assert (await shop.begin("o1", account_id="twin")).sendings == ()
    assert await shop.book.interrupted("twin") == []
    assert await shop.book.ask_again("twin", "o1", Action.PAID_MESSAGE, actor="user:ann")
    again = await shop.begin("o1", account_id="twin")
    assert await shop.texts(again.sendings) == [f"码 {CODES[0]}", f"码 {CODES[1]}"]
    assert await shop.units("o1") == before
    await paid(shop.book, order_id="o2")
    await shop.arrived((await shop.begin("o2")).sendings)
    assert await shop.book.settle_messages("shop", "o2") is ActionState.DONE
    done = await paid(shop.book, "twin", order_id="o2")
    assert (done.problem, await shop.book.ask_again("twin", "o2", Action.PAID_MESSAGE, actor="user:ann")) == ("", False)


async def test_a_message_that_its_units_make_too_long_is_not_begun_and_binds_nothing(shop: Shop, vault: Vault) -> None:
    long = await some_goods(shop.database, shop.goods.owner_id, name="长", per_message=3)
    lines = lines_of_list([f"{number}{'x' * 1_999}" for number in range(3)])
    await Imports(shop.database, await unit_texts(shop.database, vault)).run(long, lines, by())
    for count, why in ((3, "message_too_long"), (1, "")):
        await paid(shop.book, order_id=f"o{count}")
        message = PlannedMessage(text="码 {codes}", first=0, count=count)
        planned = Delivery(
            unb=shop.unb, order_id=f"o{count}", owner_id=long.owner_id, goods_id=long.id, wanted=count,
            messages=(message,),
        )  # fmt: skip
        row = OutboxRow(
            account_id="shop", chat_id="c", uuid=f"long-{count}", kind=OutboxKind.PAID, order_id=f"o{count}",
            buyer_id="b", text=message.text,
        )  # fmt: skip
        begun = await shop.book.deliveries.begin("shop", planned, [row], lambda: True)
        assert (begun.why_not, len(begun.sendings)) == (why, 0 if why else 1)
    order = await shop.book.order("shop", "o3")
    assert order is not None
    assert (order.problem, await shop.delivery("o3")) == ("message_too_long", None)
    assert await states_of(shop.database, long.id) == {"free": 2, "held": 1}

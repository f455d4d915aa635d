"""Units that a person gives back: never what a buyer has, and what he may have only by an explicit word."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from contract.delivering_shop import CODES, Shop, a_shop
from contract.order_book_steps import paid, told
from shoal.errors import Conflict, InvalidInput
from shoal.goods.goods_store import GoodsStore
from shoal.goods.stock_history import StockEvent
from shoal.goods.stock_units import StockUnits, UnknownUnit
from shoal.messages.outbox_rows import SendOutcome
from shoal.orders.delivery_rows import DeliveryState
from shoal.orders.order_store import Action, ActionState
from shoal.orders.unit_returns import UnitReturns
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.notice_tables import incidents
from shoal.storage.schema import accounts
from shoal.storage.vault import Vault
from support.databases.store_steps import Clock
from support.orders.goods_steps import by, changed, states_of
from support.orders.order_steps import action_state

ONE_DATABASE = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""For what is decided by the program, not by the database."""


@pytest.fixture
async def shop(database: Database, vault: Vault, manager: DBManager, clock: Clock) -> Shop:
    return await a_shop(database, vault, manager, clock)


async def back(shop: Shop, unit_id: int, **more: Any) -> tuple[int, ...]:
    """Give the units back of the order that has this one."""
    giving = UnitReturns(shop.database)
    values = {"reason": "shipped by hand", **more}
    return (await giving.give_back(shop.goods, unit_id, values.pop("when", by()), **values)).units


async def _incidents_of_stock(shop: Shop) -> list[str]:
    of_stock = incidents.c.subject.like("goods:%")
    query = select(incidents.c.kind).where(incidents.c.closed_at_ms.is_(None), of_stock)
    return await shop.database.read(lambda connection: list(connection.scalars(query)))


async def refused(shop: Shop, unit_id: int, **more: Any) -> str:
    with pytest.raises(Conflict) as conflict:
        await back(shop, unit_id, **more)
    return conflict.value.code


async def begun_and(shop: Shop, outcome: SendOutcome, after: int = 0) -> list[int]:
    """Begin an order of two units; its message number ``after`` has that outcome. Return its units."""
    await paid(shop.book)
    begun = await shop.begin("o1")
    await shop.arrived(begun.sendings[:after])
    cut = begun.sendings[after]
    await shop.outbox.begin(cut)
    assert await shop.outbox.settle(cut.id, outcome, "CSI_FORBID", None)
    await shop.book.settle_messages("shop", "o1")
    return [unit_id for unit_id, _ in await shop.units("o1")]


async def test_what_was_refused_and_shipped_by_hand_is_free_again_with_its_reason(shop: Shop) -> None:
    units = await begun_and(shop, SendOutcome.REFUSED)
    await told(shop.book, "shipped")
    assert await states_of(shop.database, shop.goods.id) == {"free": 2, "held": 2}
    when = by("op-back")
    assert list(await back(shop, units[1], when=when)) == units
    assert await states_of(shop.database, shop.goods.id) == {"free": 4}
    assert list(await back(shop, units[1], when=by("op-back", repeats=True))) == units
    newest = (await GoodsStore(shop.database).history(shop.goods.id, limit=2))[0]
    assert (newest.what, newest.order_id, newest.reason, newest.actor) == (
        StockEvent.RELEASED, "o1", "shipped by hand", "user:ann",
    )  # fmt: skip
    line = (await shop.book.events("shop", "o1"))[-1]
    assert (line.action, line.words, line.source) == ("given_back", "shipped by hand", "user:ann")
    delivery = await shop.delivery("o1")
    assert delivery is not None
    assert (delivery.state, delivery.why) == (DeliveryState.RELEASED, "given_back")
    assert await refused(shop, units[0]) == "unit_of_no_order"
    with pytest.raises(UnknownUnit):
        await back(shop, 999)
    with pytest.raises(InvalidInput):
        await back(shop, units[0], reason=" ")


async def test_units_of_a_removed_shop_are_free_again(shop: Shop, manager: DBManager) -> None:
    units = await begun_and(shop, SendOutcome.REFUSED)
    await changed(shop.database, update(accounts).where(accounts.c.id == "shop").values(deleted=True))
    await manager.purge("shop")
    assert list(await back(shop, units[0])) == units
    assert await states_of(shop.database, shop.goods.id) == {"free": 4}


async def test_what_may_have_arrived_needs_an_explicit_word_and_is_doubted_when_it_arrived_after_all(
    shop: Shop,
) -> None:
    units = await begun_and(shop, SendOutcome.UNCERTAIN, after=1)
    assert await refused(shop, units[0]) == "units_may_have_arrived"
    assert await states_of(shop.database, shop.goods.id) == {"free": 2, "held": 1, "out": 1}
    assert list(await back(shop, units[0], never_arrived=True)) == units
    assert await states_of(shop.database, shop.goods.id) == {"free": 4}
    await GoodsStore(shop.database).change(shop.goods.id, {"low_at": 3}, by())
    assert await _incidents_of_stock(shop) == []
    assert await shop.outbox.claim_echo("shop", "c", "echo", f"码 {CODES[0]}", "1")
    await shop.book.follow_outbox("shop", "o1")
    assert await states_of(shop.database, shop.goods.id) == {"free": 3, "doubted": 1}
    assert await _incidents_of_stock(shop) == [IncidentKind.LOW_STOCK]


@ONE_DATABASE
async def test_what_is_being_sent_or_has_arrived_stays_with_its_order(shop: Shop) -> None:
    await paid(shop.book)
    begun = await shop.begin("o1")
    units = [unit_id for unit_id, _ in await shop.units("o1")]
    assert await refused(shop, units[0], never_arrived=True) == "act_under_way"
    await shop.arrived(begun.sendings)
    await shop.book.settle_messages("shop", "o1")
    assert await refused(shop, units[0], never_arrived=True) == "units_arrived"
    assert await states_of(shop.database, shop.goods.id) == {"free": 2, "out": 2}


@ONE_DATABASE
async def test_an_order_that_got_some_gives_the_others_back_and_can_be_served_with_new_ones(shop: Shop) -> None:
    units = await begun_and(shop, SendOutcome.REFUSED, after=2)
    assert list(await back(shop, units[0])) == units[1:]
    delivery = await shop.delivery("o1")
    assert delivery is not None
    assert (delivery.state, delivery.arrived) == (DeliveryState.PARTLY, 2)
    await paid(shop.book, order_id="o2")
    await shop.begin("o2", 1)
    assert await shop.book.ask_again("shop", "o1", Action.PAID_MESSAGE, actor="user:ann")
    again = await shop.begin("o1")
    assert await shop.texts(again.sendings) == [f"码 {CODES[2]}"]
    assert [unit_id for unit_id, _ in await shop.units("o1")] == [units[0], units[1] + 1]


@ONE_DATABASE
async def test_a_unit_that_was_revealed_needs_an_explicit_word(shop: Shop) -> None:
    units = await begun_and(shop, SendOutcome.REFUSED)
    texts = shop.sealed._texts
    await StockUnits(shop.database, texts).reveal(shop.goods, units[0], by(), reason="by hand")
    assert await refused(shop, units[0]) == "units_may_have_arrived"
    assert list(await back(shop, units[0], never_arrived=True)) == units


@ONE_DATABASE
async def test_an_order_with_a_revealed_unit_is_served_after_its_refund_was_withdrawn(shop: Shop) -> None:
    units = await begun_and(shop, SendOutcome.REFUSED)
    await StockUnits(shop.database, shop.sealed._texts).reveal(shop.goods, units[0], by(), reason="by hand")
    await told(shop.book, "refunding")
    assert await states_of(shop.database, shop.goods.id) == {"free": 3, "out": 1}
    await told(shop.book, "refund_cancelled")
    assert await shop.book.ask_again("shop", "o1", Action.PAID_MESSAGE, actor="user:ann")
    again = await shop.begin("o1")
    assert await shop.texts(again.sendings) == ["您好", f"码 {CODES[0]}", f"码 {CODES[1]}"]
    assert await action_state(shop.book, "shop", "o1", Action.PAID_MESSAGE) is ActionState.INTENDED

"""Units of orders: picked oldest first, bound for ever, released only when asked, alike on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, insert, select

from shoal.errors import Conflict, InvalidInput, NotApplied
from shoal.goods.bindings import (
    OutOfStock,
    bind_another,
    bind_units,
    release_units,
    units_of_order,
    units_went_out,
)
from shoal.goods.goods import Goods, GoodsKind
from shoal.goods.goods_store import GoodsStore
from shoal.goods.imports import Imports
from shoal.goods.stock_history import By, StockEvent
from shoal.goods.stock_units import MAX_REASON, StockUnits, UnknownUnit, checked_reason
from shoal.goods.unit_lines import lines_of_list
from shoal.goods.unit_states import UnitState
from shoal.storage.database import Database
from shoal.storage.goods_tables import bindings, units
from shoal.storage.vault import Vault
from support.databases.asked_statements import asked
from support.databases.store_steps import Place
from support.orders.goods_steps import an_owner, by, changed, some_goods, states_of, unit_texts

T = TypeVar("T")
UNB = "2200000000001"


@pytest.fixture
async def codes(database: Database, vault: Vault) -> Goods:
    made = await some_goods(database, await an_owner(database))
    await filled(database, vault, made, 6)
    return made


async def filled(database: Database, vault: Vault, goods: Goods, count: int) -> None:
    lines = lines_of_list([f"CODE-{number:04}" for number in range(count)])
    await Imports(database, await unit_texts(database, vault)).run(goods, lines, by())


def bound(
    goods: Goods, order_id: str, count: int = 1, *, when: By | None = None
) -> Callable[[Connection], tuple[int, ...]]:
    return lambda connection: tuple(
        one.unit_id for one in bind_units(connection, goods, unb=UNB, order_id=order_id, count=count, by=when or by())
    )


async def bind(database: Database, goods: Goods, order_id: str, count: int = 1) -> tuple[int, ...]:
    return await database.write(bound(goods, order_id, count))


async def code_of(call: Any) -> str:
    with pytest.raises(Conflict) as refused:
        await call
    return refused.value.code


async def test_an_order_gets_the_oldest_free_units_and_the_same_ones_again(database: Database, codes: Goods) -> None:
    first = await bind(database, codes, "o1", 2)
    second = await bind(database, codes, "o2", 3)
    ids = await database.read(lambda connection: tuple(connection.scalars(select(units.c.id).order_by(units.c.id))))
    assert (first, second) == (ids[:2], ids[2:5])
    assert await bind(database, codes, "o1", 2) == first
    assert await states_of(database, codes.id) == {"free": 1, "held": 5}
    assert await code_of(bind(database, codes, "o1", 3)) == "order_has_other_units"
    other = await some_goods(database, codes.owner_id)
    assert await code_of(bind(database, other, "o1", 2)) == "order_has_other_units"
    assert await code_of(bind(database, codes, "o3", 201)) == "too_many_units_of_order"
    history = await GoodsStore(database).history(codes.id)
    assert [(one.what, one.order_id) for one in history[:5]] == [
        *[(StockEvent.BOUND, "o2")] * 3, *[(StockEvent.BOUND, "o1")] * 2,
    ]  # fmt: skip


async def test_too_few_units_bind_nothing(database: Database, codes: Goods) -> None:
    await bind(database, codes, "o1", 4)
    with pytest.raises(OutOfStock) as refused:
        await bind(database, codes, "o2", 3)
    assert (refused.value.params["wanted"], refused.value.params["free"]) == (3, 2)
    assert await database.read(lambda connection: units_of_order(connection, UNB, "o2")) == ()
    assert await states_of(database, codes.id) == {"free": 2, "held": 4}


async def test_units_that_went_out_stay_with_their_order_and_held_ones_may_come_back(
    database: Database, codes: Goods
) -> None:
    kept = await bind(database, codes, "o1", 2)
    back = await bind(database, codes, "o2", 2)
    assert await database.write(lambda connection: units_went_out(connection, UNB, "o1", by(), only=[1])) == 1
    assert await states_of(database, codes.id) == {"free": 2, "held": 3, "out": 1}
    assert await database.write(lambda connection: units_went_out(connection, UNB, "o1", by())) == 1
    assert await database.write(lambda connection: release_units(connection, UNB, "o1", by(), reason="refund")) == 0
    assert await database.write(lambda connection: release_units(connection, UNB, "o2", by(), reason="refund")) == 2
    assert await states_of(database, codes.id) == {"free": 4, "out": 2}
    assert await database.read(lambda connection: units_of_order(connection, UNB, "o2")) == ()
    assert await bind(database, codes, "o3", 2) == back
    there = await database.read(lambda connection: units_of_order(connection, UNB, "o1"))
    assert [(one.unit_id, one.state) for one in there] == [(unit_id, "out") for unit_id in kept]
    assert await bind(database, codes, "o2", 1) not in {kept, back}


async def test_many_units_of_an_order_cost_as_many_statements_as_few(
    database: Database, vault: Vault, codes: Goods
) -> None:
    await filled(database, vault, codes, 90)
    counts = []
    for order, count in (("few", 2), ("many", 40)):
        with asked() as statements:
            await bind(database, codes, order, count)
            await bind(database, codes, f"{order} of another", count)
            await database.write(partial(units_went_out, unb=UNB, order_id=order, by=by()))
            gone = partial(release_units, unb=UNB, order_id=f"{order} of another", by=by(), reason="refund")
            await database.write(gone)
        counts.append(len(statements))
    assert await states_of(database, codes.id) == {"free": 48, "out": 42}
    assert counts[0] == counts[1]


async def test_a_person_sends_another_unit_in_place_of_one_that_went_out(database: Database, codes: Goods) -> None:
    await bind(database, codes, "o1", 2)

    def another(number: int, goods: Goods = codes) -> Callable[[Connection], Any]:
        return lambda connection: bind_another(
            connection, goods, unb=UNB, order_id="o1", replaces=number, reason="did not work", by=by()
        )

    assert await code_of(database.write(another(1))) == "no_unit_to_replace"
    await database.write(lambda connection: units_went_out(connection, UNB, "o1", by()))
    fresh = await database.write(another(1))
    assert (fresh.unit_no, fresh.replaces, fresh.reason, fresh.state) == (3, 1, "did not work", "held")
    assert await code_of(database.write(another(1))) == "unit_replaced"
    assert await code_of(database.write(another(9))) == "no_unit_to_replace"
    other = await some_goods(database, codes.owner_id)
    assert await code_of(database.write(another(2, other))) == "no_unit_to_replace", "that number is of other goods"
    assert len(await bind(database, codes, "o1", 2)) == 3
    await database.write(lambda connection: units_went_out(connection, UNB, "o1", by()))
    assert await states_of(database, codes.id) == {"free": 3, "out": 3}


async def test_a_reusable_unit_goes_out_as_often_as_its_owner_says(database: Database, vault: Vault) -> None:
    seats = await some_goods(database, await an_owner(database), kind=GoodsKind.REUSABLE, uses_each=3)
    await filled(database, vault, seats, 2)
    one, two = await bind(database, seats, "o1", 2), await bind(database, seats, "o2", 2)
    assert (one[0] == one[1] == two[0], two[0] < two[1]) == (True, True)
    assert await states_of(database, seats.id) == {"free": 1, "held": 1}
    await database.write(lambda connection: units_went_out(connection, UNB, "o1", by()))
    assert await states_of(database, seats.id) == {"free": 1, "held": 1}
    await database.write(lambda connection: release_units(connection, UNB, "o2", by(), reason="refund"))
    assert await states_of(database, seats.id) == {"free": 2}
    await bind(database, seats, "o3", 4)
    await database.write(lambda connection: units_went_out(connection, UNB, "o3", by()))
    assert await states_of(database, seats.id) == {"out": 2}
    assert await code_of(bind(database, seats, "o4")) == "out_of_stock"
    free = await some_goods(database, seats.owner_id, kind=GoodsKind.REUSABLE)
    await filled(database, vault, free, 1)
    assert len(set(await bind(database, free, "o5", 50))) == 1


async def test_the_stock_of_reusable_goods_is_how_often_their_units_may_still_go_out(
    database: Database, vault: Vault
) -> None:
    store, owner = GoodsStore(database), await an_owner(database)
    seats = await some_goods(database, owner, kind=GoodsKind.REUSABLE, uses_each=3)
    free = await some_goods(database, owner, kind=GoodsKind.REUSABLE)
    assert {one.free for one in (await store.stock([seats.id, free.id])).values()} == {0}
    await filled(database, vault, seats, 2)
    await filled(database, vault, free, 1)
    await bind(database, seats, "o1", 2)
    stock = await store.stock([seats.id, free.id])
    assert (stock[seats.id].free, stock[free.id].free) == (4, 200)
    assert await store.uses_left([seats, free]) == {seats.id: 4, free.id: None}
    assert await code_of(bind(database, seats, "o2", 5)) == "out_of_stock"
    fewer = await store.change(seats.id, {"uses_each": 2}, by())
    assert await states_of(database, seats.id) == {"free": 1, "held": 1}
    assert (await store.stock([seats.id]))[seats.id].free == 2
    assert await code_of(bind(database, fewer, "o2", 3)) == "out_of_stock"
    await bind(database, fewer, "o2", 2)
    assert await store.uses_left([fewer]) == {seats.id: 0}


async def test_a_unit_that_is_used_up_under_a_lower_limit_is_not_free_when_an_order_gives_it_back(
    database: Database, vault: Vault
) -> None:
    seats = await some_goods(database, await an_owner(database), kind=GoodsKind.REUSABLE, uses_each=3)
    await filled(database, vault, seats, 1)
    for order in ("o1", "o2", "o3"):
        await bind(database, seats, order)
    await GoodsStore(database).change(seats.id, {"uses_each": 1}, by())
    for order, state in (("o1", "held"), ("o2", "held"), ("o3", "free")):
        await database.write(partial(release_units, unb=UNB, order_id=order, by=by(), reason="refund"))
        assert await states_of(database, seats.id) == {state: 1}
    twice = await GoodsStore(database).change(seats.id, {"uses_each": 2}, by())
    for order in ("o4", "o5"):
        await bind(database, twice, order)
    await GoodsStore(database).change(seats.id, {"uses_each": 1}, by())
    await database.write(lambda connection: units_went_out(connection, UNB, "o4", by()))
    await database.write(partial(release_units, unb=UNB, order_id="o5", by=by(), reason="refund"))
    assert await states_of(database, seats.id) == {"out": 1}, "no order holds it any more"


async def test_units_that_were_used_up_may_go_out_again_once_the_limit_is_raised(
    database: Database, vault: Vault
) -> None:
    store, owner = GoodsStore(database), await an_owner(database)
    seats = await some_goods(database, owner, kind=GoodsKind.REUSABLE, uses_each=1)
    await filled(database, vault, seats, 3)
    await bind(database, seats, "o1", 1)
    (gone,) = await bind(database, seats, "o2", 1)
    await database.write(lambda connection: units_went_out(connection, UNB, "o1", by()))
    (last,) = await bind(database, seats, "o3", 1)
    await database.write(lambda connection: units_went_out(connection, UNB, "o3", by()))
    texts = await unit_texts(database, vault)
    await StockUnits(database, texts).move(seats, last, UnitState.DOUBTED, by(), reason="does not work")
    assert await states_of(database, seats.id) == {"held": 1, "out": 1, "doubted": 1}
    more = await store.change(seats.id, {"uses_each": 3}, by())
    assert await states_of(database, seats.id) == {"free": 2, "doubted": 1}
    assert await store.uses_left([more]) == {seats.id: 4}
    assert gone in await bind(database, more, "o4", 4)
    assert await states_of(database, seats.id) == {"held": 2, "doubted": 1}
    await store.change(seats.id, {"uses_each": None}, by())
    assert await states_of(database, seats.id) == {"free": 2, "doubted": 1}


async def test_the_database_itself_refuses_a_unit_of_two_orders_and_two_units_of_one_number(
    database: Database, codes: Goods
) -> None:
    (unit_id,) = await bind(database, codes, "o1")
    row = {"goods_id": codes.id, "owner_id": codes.owner_id, "unb": UNB, "one_time": True}
    for doubled in (
        {"unit_id": unit_id, "order_id": "o2", "unit_no": 1},
        {"unit_id": 99, "order_id": "o1", "unit_no": 1},
    ):
        with pytest.raises(NotApplied):
            await changed(database, insert(bindings).values(**row, **doubled))


async def test_transactions_at_the_same_time_pick_other_units(place: Place, database: Database, codes: Goods) -> None:
    if database.is_sqlite:
        pytest.skip("one transaction writes")
    engine = database._engines.writer()
    with engine.connect() as one, engine.connect() as two, one.begin(), two.begin():
        first, second = bound(codes, "o1", 3)(one), bound(codes, "o2", 3)(two)
        assert not {*first} & {*second}
        with pytest.raises(OutOfStock):
            bound(codes, "o3", 1)(two)


async def test_the_owner_sees_units_masked_and_moves_single_ones_with_a_reason(
    database: Database, codes: Goods, vault: Vault
) -> None:
    stock = StockUnits(database, await unit_texts(database, vault))
    (sold,) = await bind(database, codes, "o1")
    await database.write(lambda connection: units_went_out(connection, UNB, "o1", by()))
    listed = await stock.list(codes, limit=2)
    assert [(one.id, one.masked, one.state, one.order_id) for one in listed] == [
        (sold, "CO…00", UnitState.OUT, "o1"), (listed[1].id, "CO…01", UnitState.FREE, None),
    ]  # fmt: skip
    free = await stock.list(codes, state=UnitState.FREE, after=listed[1].id)
    assert (len(free), len(await stock.list(codes, state=UnitState.OUT))) == (4, 1)
    shown = await stock.reveal(codes, sold, by("seen"), reason="buyer asks")
    assert shown.text == "CODE-0000"
    assert (await stock.reveal(codes, sold, by("seen", repeats=True), reason="buyer asks")).text == "CODE-0000"
    assert checked_reason(f" {'x' * MAX_REASON} ") == "x" * MAX_REASON, "the limit itself is allowed"
    assert (await stock.move(codes, sold, UnitState.RETURNED, by(), reason="sent back")).state is UnitState.RETURNED
    assert await code_of(stock.move(codes, sold, UnitState.VOID, by(), reason="x")) == "unit_not_free"
    void = await stock.move(codes, free[0].id, UnitState.VOID, by(), reason="burnt")
    assert await stock.move(codes, void.id, UnitState.VOID, by(), reason="again") == void
    assert await code_of(stock.move(codes, free[1].id, UnitState.RETURNED, by(), reason="x")) == "unit_not_out"
    history = await GoodsStore(database).history(codes.id, unit_id=sold)
    assert [(one.what, one.reason) for one in history] == [
        (StockEvent.RETURNED, "sent back"), (StockEvent.REVEALED, "buyer asks"), (StockEvent.OUT, ""),
        (StockEvent.BOUND, ""),
    ]  # fmt: skip
    for reason, code in ((" ", "reason_missing"), ("x" * 201, "reason_too_long")):
        with pytest.raises(InvalidInput) as refused:
            await stock.reveal(codes, sold, by(), reason=reason)
        assert refused.value.code == code
    with pytest.raises(UnknownUnit):
        await stock.reveal(replace(codes, id=codes.id + 1), sold, by(), reason="x")


async def test_the_pace_counts_what_orders_got_in_the_last_week(database: Database, codes: Goods) -> None:
    now = 1_800_000_000_000
    for order_id, age_days in (("o1", 1), ("o2", 6), ("o3", 8)):
        when = replace(by(), at_ms=now - age_days * 86_400_000)
        await database.write(bound(codes, order_id, 2, when=when))
    assert await GoodsStore(database, now_ms=lambda: now).pace([codes.id, 10**9]) == {codes.id: 4}


async def test_a_unit_that_a_person_revealed_while_an_order_had_it_is_not_given_back(
    database: Database, vault: Vault, codes: Goods
) -> None:
    stock = StockUnits(database, await unit_texts(database, vault))
    for unit in (await stock.list(codes))[:2]:
        await stock.reveal(codes, unit.id, by(), reason="before any order")
    seen, kept = await bind(database, codes, "o1", 2)
    await stock.reveal(codes, seen, by(), reason="sent by hand")
    assert await database.write(lambda connection: release_units(connection, UNB, "o1", by(), reason="refund")) == 1
    there = await database.read(lambda connection: units_of_order(connection, UNB, "o1"))
    assert [(one.unit_id, one.state) for one in there] == [(seen, "out")]
    assert await bind(database, codes, "o2") == (kept,)

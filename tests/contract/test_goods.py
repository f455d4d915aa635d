"""Goods: made, changed and listed with their history, alike on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select

from shoal.auth import user_removal
from shoal.errors import Conflict, InvalidInput, StaleGeneration
from shoal.goods import goods_store
from shoal.goods.goods import GoodsKind, Stock, UnknownGoods
from shoal.goods.goods_store import GoodsStore
from shoal.goods.stock_history import StockEvent
from shoal.goods.unit_states import UnitState
from shoal.storage.database import Database
from shoal.storage.goods_tables import bindings, deliveries, goods, stock_history, units
from shoal.storage.user_tables import users
from support.orders.goods_steps import an_owner, by, changed, some_goods


async def add_units(database: Database, goods_id: int, owner_id: int, **states: int) -> None:
    rows = [
        {"goods_id": goods_id, "owner_id": owner_id, "state": state, "digest": f"{state}{number}"}
        for state, count in states.items()
        for number in range(count)
    ]
    await database.write(lambda connection: connection.execute(insert(units), rows).rowcount)


async def test_goods_are_made_with_their_history_and_read_back(database: Database) -> None:
    store, owner, other = GoodsStore(database), await an_owner(database), await an_owner(database)
    made = await store.create(owner, {"name": " 月卡 ", "kind": GoodsKind.STOCK, "low_at": 5}, by("op-a"))
    assert (made.name, made.kind, made.low_at, made.active, made.version) == ("月卡", GoodsKind.STOCK, 5, True, 1)
    assert await store.get(made.id) == made
    fixed = await some_goods(database, owner, name="网盘", kind=GoodsKind.FIXED, text="链接")
    await some_goods(database, other)
    assert await store.list(owner) == [made, fixed]
    assert await store.get(10**9) is None
    (entry,) = await store.history(made.id)
    assert (entry.what, entry.actor, entry.op_id, entry.at_ms > 0) == (StockEvent.CREATED, "user:ann", "op-a", True)


async def test_the_stock_of_goods_counts_only_what_an_order_can_get(database: Database) -> None:
    store, owner = GoodsStore(database), await an_owner(database)
    codes, fixed = await some_goods(database, owner), await some_goods(database, owner, kind=GoodsKind.FIXED, text="x")
    await add_units(database, codes.id, owner, free=3, held=2, out=1, void=1)
    assert await store.stock([codes.id, fixed.id, 10**9]) == {
        codes.id: Stock(kind=GoodsKind.STOCK, active=True, free=3, owner_id=owner, name="月卡", text=""),
        fixed.id: Stock(kind=GoodsKind.FIXED, active=True, free=0, owner_id=owner, name="月卡", text="x"),
    }
    assert await store.stock([]) == {}
    many = await some_goods(database, owner, low_at=300)
    await add_units(database, many.id, owner, free=301)
    assert not (await store.stock([many.id]))[many.id].is_low
    await changed(database, delete(units).where(units.c.goods_id == many.id, units.c.digest == "free0"))
    assert (await store.stock([many.id]))[many.id].is_low
    counts = (await store.counts([codes.id, fixed.id]))[codes.id]
    assert {state: count for state, count in counts.items() if count} == {
        UnitState.FREE: 3, UnitState.HELD: 2, UnitState.OUT: 1, UnitState.VOID: 1,
    }  # fmt: skip


async def test_a_change_names_what_differs_and_holds_to_the_version_that_was_read(database: Database) -> None:
    store, owner = GoodsStore(database), await an_owner(database)
    made = await some_goods(database, owner)
    after = await store.change(made.id, {"low_at": 9, "name": "年卡"}, by(), versions=frozenset({1}))
    assert (after.low_at, after.name, after.version) == (9, "年卡", 2)
    assert await store.get(made.id) == after
    entry = (await store.history(made.id))[0]
    assert (entry.what, entry.facts) == (StockEvent.CHANGED, {"low_at": [0, 9], "name": ["月卡", "年卡"]})
    with pytest.raises(StaleGeneration):
        await store.change(made.id, {"low_at": 1}, by(), versions=frozenset({1}))
    assert await store.change(made.id, {"low_at": 9}, by()) == after
    assert len(await store.history(made.id)) == 2
    with pytest.raises(UnknownGoods):
        await store.change(10**9, {"low_at": 1}, by())


async def test_a_repeated_op_makes_and_changes_nothing_twice(database: Database) -> None:
    store, owner = GoodsStore(database), await an_owner(database)
    values = {"name": "月卡", "kind": GoodsKind.STOCK}
    first = await store.create(owner, values, by("same"))
    assert await store.create(owner, values, by("same", repeats=True)) == first
    changed = await store.change(first.id, {"low_at": 3}, by("again"), versions=frozenset({1}))
    assert await store.change(first.id, {"low_at": 3}, by("again", repeats=True), versions=frozenset({1})) == changed
    assert len(await store.list(owner)) == 1
    assert len(await store.history(first.id)) == 2


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"name": " "}, "bad_goods_name"),
        ({"name": "x" * 101}, "bad_goods_name"),
        ({"kind": GoodsKind.SUPPLIER}, "supplier_missing"),
        ({"per_message": 0}, "goods_number"),
        ({"low_at": -1}, "goods_number"),
        ({"uses_each": 3}, "uses_only_reusable"),
        ({"text": "link"}, "text_only_fixed"),
        ({"kind": GoodsKind.FIXED, "text": "x" * 2001}, "goods_text_too_long"),
        ({"kind": GoodsKind.FIXED, "image_url": "https://elsewhere.example/a.png"}, "bad_image_url"),
    ],
)
async def test_goods_that_cannot_be_are_refused(database: Database, values: dict[str, Any], code: str) -> None:
    owner = await an_owner(database)
    with pytest.raises(InvalidInput) as refused:
        await some_goods(database, owner, **values)
    assert refused.value.code == code
    assert await GoodsStore(database).list(owner) == []


async def test_kind_and_owner_of_goods_cannot_be_changed(database: Database) -> None:
    made = await some_goods(database, await an_owner(database))
    for values in ({"kind": GoodsKind.FIXED}, {"owner_id": 1}, {"id": 3}):
        with pytest.raises(InvalidInput) as refused:
            await GoodsStore(database).change(made.id, values, by())
        assert refused.value.code == "goods_field_fixed"


async def test_an_owner_has_a_bounded_number_of_goods(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = await an_owner(database)
    monkeypatch.setattr(goods_store, "MAX_GOODS", 1)
    await some_goods(database, owner)
    with pytest.raises(Conflict) as refused:
        await some_goods(database, owner)
    assert refused.value.code == "too_many_goods"


async def test_goods_go_with_their_owner_and_the_order_stays_served(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_removal, "ROWS", 2)
    owner, other = await an_owner(database), await an_owner(database)
    made, kept = await some_goods(database, owner), await some_goods(database, other)
    for one in (made, kept):
        await add_units(database, one.id, one.owner_id, free=5)
    served = {"unb": "1", "order_id": "o1", "owner_id": owner, "goods_id": made.id}
    await changed(database, insert(bindings).values(**served, unit_id=1, unit_no=1))
    await changed(database, insert(deliveries).values(**served, parts="text"))
    assert await user_removal.delete_units_of(database, owner) == 5
    await changed(database, delete(users).where(users.c.id == owner))
    counted = select(
        *(select(func.count()).select_from(one).scalar_subquery() for one in (goods, units, stock_history, bindings)),
        select(deliveries.c.parts).scalar_subquery(),
    )
    assert tuple(await database.read(lambda connection: connection.execute(counted).one())) == (1, 5, 1, 1, "")

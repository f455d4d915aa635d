"""Imports of units: what is taken, named as a double or refused, what a fault leaves behind, and how one is undone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, update

from shoal.errors import Conflict, InvalidInput, NotApplied, StoreError
from shoal.goods import batches as batches_module
from shoal.goods import imports as imports_module
from shoal.goods.batches import BatchState, UnknownBatch
from shoal.goods.bindings import bind_units, release_units
from shoal.goods.goods import Goods, GoodsKind
from shoal.goods.goods_store import GoodsStore
from shoal.goods.imports import Double, Imports
from shoal.goods.stock_history import StockEvent
from shoal.goods.stock_units import StockUnits
from shoal.goods.unit_lines import lines_of_list
from shoal.goods.unit_states import UnitState
from shoal.storage.database import Database
from shoal.storage.goods_tables import batches, units
from shoal.storage.key_rotation import KeyRotation
from shoal.storage.sealed_values import count_by_key
from shoal.storage.vault import Vault
from support.databases.store_steps import Place
from support.orders.goods_steps import an_owner, by, changed, some_goods, states_of, unit_texts


@pytest.fixture
async def codes(database: Database) -> Goods:
    return await some_goods(database, await an_owner(database))


@pytest.fixture
async def living(database: Database, vault: Vault) -> Imports:
    found = Imports(database, await unit_texts(database, vault))
    await found.open()
    return found


def named(count: int, start: int = 0) -> list[str]:
    return [f"CODE-{number:06}" for number in range(start, start + count)]


async def counted(database: Database, goods: Goods) -> None:
    """Each batch counts exactly the units that it has."""

    def job(connection: Connection) -> list[Any]:
        mine = select(func.count()).where(units.c.batch_id == batches.c.id).scalar_subquery()
        return list(connection.execute(select(batches.c.taken - batches.c.undone, mine)))

    assert all(counted == there for counted, there in await database.read(job))


async def test_lines_become_units_and_doubles_are_named_by_line(
    database: Database, codes: Goods, living: Imports
) -> None:
    sent = lines_of_list(["A-1", "", " A-2 ", "Ａ-1", "x" * 2001, "A-3\x00", "a-1"])
    preview = await living.preview(codes, sent)
    assert (preview.batch, preview.taken, preview.doubles) == (None, 3, [Double(4, "same_file", 1)])
    assert [(one.line, one.error.code) for one in preview.refused] == [(5, "unit_too_long"), (6, "unit_unreadable")]
    assert await states_of(database, codes.id) == {}
    result = await living.run(codes, sent, by("op-1"), file_name="codes.txt", data=b"whatever")
    assert (result.taken, result.doubles) == (preview.taken, preview.doubles)
    batch = result.batch
    assert batch is not None
    assert (batch.state, batch.lines, batch.done, batch.taken, batch.doubles, batch.refused) == (
        BatchState.DONE, 6, 6, 3, 1, 2,
    )  # fmt: skip
    assert (batch.actor, batch.op_id, batch.file_name, bool(batch.file_hash)) == (
        "user:ann", "op-1", "codes.txt", True,
    )  # fmt: skip
    assert await states_of(database, codes.id) == {"free": 3}
    entry = (await GoodsStore(database).history(codes.id))[0]
    assert (entry.what, entry.count, entry.batch_id) == (StockEvent.IMPORTED, 3, batch.id)


async def test_a_double_of_a_unit_that_is_out_or_void_is_named_as_such(
    database: Database, codes: Goods, living: Imports
) -> None:
    await living.run(codes, lines_of_list(named(3)), by())
    for place, state in enumerate(("out", "void")):
        mine = select(units.c.id).order_by(units.c.id).offset(place).limit(1).scalar_subquery()
        await changed(database, update(units).where(units.c.id == mine).values(state=state))
    found = await living.preview(codes, lines_of_list(named(4)))
    assert (found.taken, found.doubles) == (1, [Double(1, "out"), Double(2, "void"), Double(3, "free")])


async def test_the_same_text_in_other_goods_is_no_double(database: Database, codes: Goods, living: Imports) -> None:
    other = await some_goods(database, codes.owner_id)
    await living.run(codes, lines_of_list(named(2)), by())
    assert (await living.run(other, lines_of_list(named(2)), by())).taken == 2


async def test_units_are_stored_sealed_and_rotated_with_the_key(
    database: Database, codes: Goods, living: Imports, vault: Vault, place: Place
) -> None:
    await living.run(codes, lines_of_list(["SECRET-CODE-1"]), by())
    assert not [path for path in place.data_dir.glob("shoal.db*") if b"SECRET-CODE" in path.read_bytes()]
    before = vault.key_ids[0]
    kept = (await database.read(count_by_key))[before]
    rotation = KeyRotation(database, vault, place.data_dir / "secret.key", from_setting=False)
    await rotation.rotate()
    async with asyncio.timeout(60):
        while (await rotation.figures()).rotating:
            await asyncio.sleep(0.02)
    await rotation.close()
    assert (await database.read(count_by_key)) == {vault.key_ids[0]: kept}
    texts = await unit_texts(database, vault)
    sealed = await database.read(lambda connection: connection.scalar(select(units.c.sealed)))
    assert sealed is not None
    assert texts.open(sealed, codes.owner_id) == "SECRET-CODE-1"
    with pytest.raises(StoreError):
        texts.open(sealed, codes.owner_id + 1)
    assert [one.why for one in (await living.preview(codes, lines_of_list(["SECRET-CODE-1"]))).doubles] == ["free"]


async def test_an_import_that_a_fault_ends_keeps_what_it_took_and_the_same_file_adds_the_rest(
    database: Database, codes: Goods, living: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports_module, "SLICE", 10)
    take, calls = imports_module._take, []

    def full_disk(connection: Connection, **arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise NotApplied("no space left on the disk")
        return take(connection, **arguments)

    sent = lines_of_list(named(45))
    with monkeypatch.context() as patch:
        patch.setattr(imports_module, "_take", full_disk)
        with pytest.raises(StoreError) as cut_off:
            await living.run(codes, sent, by("key"))
    assert (cut_off.value.code, cut_off.value.params) == ("import_cut_off", {"taken": 20})
    (batch,) = await living.batches(codes.id)
    assert (batch.state, batch.taken, batch.done, batch.lines) == (BatchState.STOPPED, 20, 20, 45)
    await counted(database, codes)
    again = await living.run(codes, sent, by("other"))
    assert (again.taken, len(again.doubles)) == (25, 20)
    assert await states_of(database, codes.id) == {"free": 45}
    same_op = await living.run(codes, sent, by("key", repeats=True))
    assert same_op.batch is not None
    assert (same_op.batch.id, same_op.batch.state, same_op.taken, len(same_op.doubles)) == (
        batch.id, BatchState.DONE, 20, 25,
    )  # fmt: skip
    await counted(database, codes)


async def test_an_import_that_a_crash_cut_off_is_marked_at_the_next_start(
    database: Database, codes: Goods, living: Imports, vault: Vault
) -> None:
    batch = await database.write(lambda connection: living._begun(connection, by(), codes.id, {"lines": 9}))
    assert (await living.batch(codes.id, batch.id)).state is BatchState.IMPORTING
    with pytest.raises(Conflict) as refused:
        await living.undo(codes.id, batch.id, by())
    assert refused.value.code == "batch_importing"
    await living.open()
    assert (await living.batch(codes.id, batch.id)).state is BatchState.IMPORTING
    await Imports(database, await unit_texts(database, vault)).open()
    assert (await living.batch(codes.id, batch.id)).state is BatchState.STOPPED


async def test_two_imports_of_one_file_at_once_share_its_units(
    database: Database, codes: Goods, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports_module, "SLICE", 7)
    sent = lines_of_list(named(60))
    texts = await unit_texts(database, vault)
    one, two = await asyncio.gather(*(Imports(database, texts).run(codes, sent, by()) for _ in range(2)))
    assert (one.taken + two.taken, len(one.doubles) + len(two.doubles)) == (60, 60)
    assert await states_of(database, codes.id) == {"free": 60}
    await counted(database, codes)


async def test_a_batch_is_taken_back_only_while_its_units_are_free(
    database: Database, codes: Goods, living: Imports
) -> None:
    await living.run(codes, lines_of_list(named(2)), by())
    result = await living.run(codes, lines_of_list(named(3, start=10)), by())
    assert result.batch is not None
    number = result.batch.id
    oldest = select(func.min(units.c.id)).where(units.c.batch_id == number).scalar_subquery()

    async def set_to(state: str) -> None:
        await changed(database, update(units).where(units.c.id == oldest).values(state=state))

    await set_to("held")
    with pytest.raises(Conflict) as refused:
        await living.undo(codes.id, number, by())
    assert (refused.value.code, refused.value.params["units"]) == ("batch_in_use", 1)
    assert await states_of(database, codes.id) == {"free": 4, "held": 1}
    await set_to("void")
    undone = await living.undo(codes.id, number, by("undo"))
    assert (undone.state, undone.taken, undone.undone) == (BatchState.UNDONE, 3, 2)
    assert await states_of(database, codes.id) == {"free": 2, "void": 1}
    await counted(database, codes)
    assert await living.undo(codes.id, number, by("undo", repeats=True)) == undone
    entry = (await GoodsStore(database).history(codes.id))[0]
    assert (entry.what, entry.count, entry.batch_id, entry.op_id) == (StockEvent.UNDONE, 2, number, "undo")
    assert (await living.preview(codes, lines_of_list(named(3, start=10)))).taken == 2
    with pytest.raises(UnknownBatch):
        await living.undo(codes.id, 10**9, by())


async def test_a_server_keeps_a_bounded_number_of_units(
    database: Database, codes: Goods, living: Imports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches_module, "MAX_UNITS", 5)
    first = await living.run(codes, lines_of_list(named(3)), by())
    with pytest.raises(Conflict) as refused:
        await living.run(codes, lines_of_list(named(3, start=10)), by())
    assert refused.value.code == "too_many_units"
    assert len(await living.batches(codes.id)) == 1
    assert first.batch is not None
    await living.undo(codes.id, first.batch.id, by())
    assert (await living.run(codes, lines_of_list(named(5)), by())).taken == 5


async def test_fixed_goods_take_no_units(database: Database, codes: Goods, living: Imports) -> None:
    fixed = await some_goods(database, codes.owner_id, kind=GoodsKind.FIXED)
    for call in (living.preview(fixed, lines_of_list(["x"])), living.run(fixed, lines_of_list(["x"]), by())):
        with pytest.raises(InvalidInput) as refused:
            await call
        assert refused.value.code == "goods_without_units"


async def test_a_batch_whose_reusable_units_went_to_orders_is_not_taken_back(
    database: Database, codes: Goods, living: Imports
) -> None:
    seats = await some_goods(database, codes.owner_id, kind=GoodsKind.REUSABLE, uses_each=3)
    batch = (await living.run(seats, lines_of_list(named(2)), by())).batch
    assert batch is not None
    order = {"unb": "2200000000001", "order_id": "o1"}
    await database.write(lambda connection: bind_units(connection, seats, count=1, by=by(), **order))
    assert await states_of(database, seats.id) == {"free": 2}
    with pytest.raises(Conflict) as refused:
        await living.undo(seats.id, batch.id, by())
    assert (refused.value.code, refused.value.params["units"]) == ("batch_in_use", 1)
    await database.write(lambda connection: release_units(connection, by=by(), reason="refund", **order))
    assert (await living.undo(seats.id, batch.id, by())).undone == 2


async def test_a_unit_that_cannot_be_opened_is_listed_and_can_be_voided(
    database: Database, codes: Goods, living: Imports, vault: Vault
) -> None:
    await living.run(codes, lines_of_list(named(2)), by())
    damaged = select(func.min(units.c.id)).scalar_subquery()
    await changed(database, update(units).where(units.c.id == damaged).values(sealed=b"damaged"))
    stock = StockUnits(database, await unit_texts(database, vault))
    listed = await stock.list(codes)
    assert [one.masked for one in listed] == ["…", "CO…01"]
    with pytest.raises(StoreError):
        await stock.reveal(codes, listed[0].id, by(), reason="why")
    assert (await stock.move(codes, listed[0].id, UnitState.VOID, by(), reason="damaged")).state is UnitState.VOID

"""What left since a backup never leaves again after it is restored, alike on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, func, select, update

from shoal.goods.bindings import bind_units, release_units, units_of_order, units_went_out
from shoal.goods.goods import Goods
from shoal.goods.goods_store import GoodsStore
from shoal.goods.imports import Imports
from shoal.goods.sent_units import SentUnits
from shoal.goods.unit_lines import lines_of_list
from shoal.storage.database import Database
from shoal.storage.goods_tables import bindings, units
from shoal.storage.vault import Vault
from support.orders.goods_steps import an_owner, by, changed, some_goods, states_of, unit_texts

UNB = "2200000000001"
LINES = [f"CODE-{number:04}" for number in range(6)]


@pytest.fixture
async def codes(database: Database, vault: Vault) -> Goods:
    made = await some_goods(database, await an_owner(database))
    await Imports(database, await unit_texts(database, vault)).run(made, lines_of_list(LINES), by())
    return made


async def opened(database: Database, vault: Vault, path: Path, node: str | None = None) -> SentUnits:
    found = SentUnits(database, await unit_texts(database, vault), path / "units.log", node=node)
    await found.open()
    return found


async def bind(database: Database, goods: Goods, order_id: str, count: int = 1) -> tuple[int, ...]:
    def job(connection: Connection) -> tuple[int, ...]:
        bound = bind_units(connection, goods, unb=UNB, order_id=order_id, count=count, by=by())
        return tuple(one.unit_id for one in bound)

    return await database.write(job)


async def newest(database: Database) -> int:
    return int(await database.read(lambda connection: connection.scalar(select(func.max(bindings.c.id)))) or 0)


async def back_to(database: Database, number: int, *, without_units: tuple[int, ...] = ()) -> None:
    """What a backup brings back that was made when this was the newest binding."""
    later = select(bindings.c.unit_id).where(bindings.c.id > number)
    await changed(database, update(units).where(units.c.id.in_(later)).values(state="free", uses=0))
    await changed(database, delete(bindings).where(bindings.c.id > number))
    if without_units:
        await changed(database, delete(units).where(units.c.id.in_(without_units)))


async def of_order(database: Database, order_id: str) -> tuple[int, ...]:
    found = await database.read(lambda connection: units_of_order(connection, UNB, order_id))
    return tuple(one.unit_id for one in found)


async def test_units_that_left_after_the_backup_are_doubted_and_stay_with_their_orders(
    database: Database, vault: Vault, codes: Goods, tmp_path: Path
) -> None:
    file = await opened(database, vault, tmp_path)
    before = await bind(database, codes, "o1")
    await file.note()
    backup = await newest(database)
    after = await bind(database, codes, "o2", 2)
    await database.write(lambda connection: units_went_out(connection, UNB, "o2", by()))
    await file.note()
    await back_to(database, backup)
    assert await states_of(database, codes.id) == {"free": 5, "held": 1}

    await opened(database, vault, tmp_path)
    assert await states_of(database, codes.id) == {"free": 3, "held": 1, "doubted": 2}
    assert (await of_order(database, "o1"), await of_order(database, "o2")) == (before, after)
    assert await bind(database, codes, "o2", 2) == after, "the order gets the units that it has, if it is served again"
    assert not set(await bind(database, codes, "o3", 3)) & set(after)
    history = await GoodsStore(database).history(codes.id)
    assert [(one.order_id, one.reason) for one in history if one.what == "doubted"] == [("o2", "restored")] * 2

    number = await newest(database)
    for _ in range(2):  # a start after it changes nothing
        again = await opened(database, vault, tmp_path)
        await again.note()
    assert await newest(database) == number
    assert (await GoodsStore(database).get(codes.id)) is not None


async def test_a_unit_that_came_after_the_backup_is_known_when_it_is_imported_again(
    database: Database, vault: Vault, codes: Goods, tmp_path: Path
) -> None:
    file = await opened(database, vault, tmp_path)
    (gone,) = await bind(database, codes, "o1")
    await file.note()
    await back_to(database, 0, without_units=(gone,))
    await opened(database, vault, tmp_path)
    assert await states_of(database, codes.id) == {"free": 5, "doubted": 1}
    imports = Imports(database, await unit_texts(database, vault))
    again = await imports.run(codes, lines_of_list([LINES[0], "NEW-1"]), by())
    assert (again.taken, [double.why for double in again.doubles]) == (1, ["doubted"])


async def test_a_unit_that_an_order_gave_back_belongs_to_the_one_that_it_left_to(
    database: Database, vault: Vault, codes: Goods, tmp_path: Path
) -> None:
    file = await opened(database, vault, tmp_path)
    first = await bind(database, codes, "o1")
    backup = await newest(database)
    await database.write(lambda connection: release_units(connection, UNB, "o1", by(), reason="refund"))
    assert await bind(database, codes, "o2") == first
    await file.note()
    await back_to(database, backup)
    held = (bindings.c.order_id == "o1", units.c.id == first[0])
    await changed(database, update(bindings).where(held[0]).values(state="held"))
    await changed(database, update(units).where(held[1]).values(state="held", uses=1))
    await opened(database, vault, tmp_path)
    assert (await of_order(database, "o1"), await of_order(database, "o2")) == ((), first)
    assert await states_of(database, codes.id) == {"free": 5, "doubted": 1}


async def test_the_file_of_another_database_stays_beside_that_of_this_one(
    database: Database, vault: Vault, tmp_path: Path
) -> None:
    theirs = b'{"database":"theirs","before":3}\n'
    (tmp_path / "units.log").write_bytes(theirs)
    await opened(database, vault, tmp_path)
    assert (tmp_path / "units.log.old").read_bytes() == theirs


async def test_without_the_file_goods_are_off_until_their_owner_says_so(
    database: Database, vault: Vault, codes: Goods, tmp_path: Path
) -> None:
    await opened(database, vault, tmp_path)
    store = GoodsStore(database)
    await opened(database, vault, tmp_path)
    assert (await store.stock([codes.id]))[codes.id].active
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    await opened(database, vault, elsewhere)
    assert not (await store.stock([codes.id]))[codes.id].active
    (newest_change, *_) = await store.history(codes.id)
    assert (newest_change.reason, newest_change.facts, newest_change.actor) == (
        "restored", {"active": [True, False]}, "server",
    )  # fmt: skip
    await store.change(codes.id, {"active": True}, by())
    await opened(database, vault, elsewhere)
    assert (await store.stock([codes.id]))[codes.id].active, "it is asked once"


async def test_what_a_crash_left_unnoted_is_noted_and_a_cut_line_is_none(
    database: Database, vault: Vault, codes: Goods, tmp_path: Path
) -> None:
    file = await opened(database, vault, tmp_path)
    await bind(database, codes, "o1")
    await file.note()
    backup = await newest(database)
    path = tmp_path / "units.log"
    path.write_bytes(path.read_bytes() + b'\n{"number":99,"goods"')
    second = await bind(database, codes, "o2")
    await (await opened(database, vault, tmp_path)).note()
    assert b"o2" in path.read_bytes()
    assert not any(line.encode() in path.read_bytes() for line in LINES)
    assert path.stat().st_mode & 0o777 == 0o600
    await back_to(database, backup)
    await opened(database, vault, tmp_path)
    assert await of_order(database, "o2") == second
    assert (await GoodsStore(database).stock([codes.id]))[codes.id].active


async def test_a_file_that_cannot_be_written_holds_nothing_up_and_is_made_up_for(
    database: Database, vault: Vault, codes: Goods, tmp_path: Path
) -> None:
    file = await opened(database, vault, tmp_path)
    path = tmp_path / "units.log"
    kept = path.read_bytes()
    path.unlink()
    path.mkdir()
    await bind(database, codes, "o1")
    await file.note()
    path.rmdir()
    path.write_bytes(kept)
    await file.note()
    assert b"o1" in path.read_bytes()


async def test_a_server_that_joins_others_stops_no_sale_and_its_own_lost_file_stops_all(
    database: Database, vault: Vault, codes: Goods, tmp_path: Path
) -> None:
    store = GoodsStore(database)
    for node in ("one", "two"):
        (tmp_path / node).mkdir()
    await (await opened(database, vault, tmp_path / "one")).note()  # it served the database alone
    await opened(database, vault, tmp_path / "one", "one")
    joined = await opened(database, vault, tmp_path / "two", "two")
    assert (await store.stock([codes.id]))[codes.id].active

    backup = await newest(database)
    await bind(database, codes, "o1", 2)
    await joined.note()
    await back_to(database, backup)
    await opened(database, vault, tmp_path / "one", "one")
    await opened(database, vault, tmp_path / "two", "two")
    assert await states_of(database, codes.id) == {"free": 4, "doubted": 2}, "who let them out knows it"

    (tmp_path / "two" / "units.log").unlink()
    await opened(database, vault, tmp_path / "two", "two")
    assert not (await store.stock([codes.id]))[codes.id].active

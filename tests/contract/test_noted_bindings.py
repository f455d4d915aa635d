"""Each server's file of units names every binding, also one whose transaction commits after that of a later id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Connection, Transaction, create_engine, text

from shoal.goods.bindings import bind_units
from shoal.goods.goods import Goods
from shoal.goods.imports import Imports
from shoal.goods.sent_units import SentUnits
from shoal.goods.unit_lines import lines_of_list
from shoal.goods.unit_texts import UnitTexts
from shoal.storage.database import Database
from shoal.storage.db_manager import open_vault
from support.databases.postgres_server import Postgres
from support.orders.goods_steps import an_owner, by, some_goods, unit_texts
from support.site.standins import until_told


@dataclass
class Shelf:
    """Two goods at one server, whose file is in ``path``; another server's writer takes from the first."""

    url: str
    database: Database
    texts: UnitTexts
    path: Path
    theirs: Goods
    mine: Goods

    def file(self) -> SentUnits:
        return SentUnits(self.database, self.texts, self.path, node="one")

    async def bind(self, order_id: str) -> None:
        await self.database.write(lambda connection: _bind(connection, self.mine, order_id))

    @contextmanager
    def bound_elsewhere(self, order_id: str) -> Iterator[Transaction]:
        """The other server has bound a unit, and has not committed; at the end of the block it has not at all."""
        engine = create_engine(self.url)
        try:
            with engine.connect() as connection:
                transaction = connection.begin()
                connection.execute(text("SELECT pg_current_xact_id()"))  # as every writer, which stamps its row first
                _bind(connection, self.theirs, order_id)
                yield transaction
                if transaction.is_active:
                    transaction.rollback()
        finally:
            engine.dispose()

    def named(self) -> list[str]:
        """The orders that the file names, in its order."""
        return [msgspec.json.decode(line)["order"] for line in self.path.read_bytes().split(b"\n")[1:] if line]


def _bind(connection: Connection, goods: Goods, order_id: str) -> None:
    assert bind_units(connection, goods, unb="2200000000001", order_id=order_id, count=1, by=by())


@pytest.fixture
async def shelf(postgres: Postgres, tmp_path: Path) -> AsyncIterator[Shelf]:
    with postgres.database(migrated=True) as url:
        async with Database(url=url) as database:
            texts = await unit_texts(database, await open_vault(database, tmp_path / "secret.key"))
            owner = await an_owner(database)
            made = [await some_goods(database, owner, name=name) for name in ("theirs", "mine")]
            for goods in made:
                lines = [f"{goods.name}-{number}" for number in range(9)]
                await Imports(database, texts).run(goods, lines_of_list(lines), by())
            yield Shelf(url, database, texts, tmp_path / "units.log", *made)


async def test_a_binding_that_commits_late_is_named_before_its_unit_leaves(shelf: Shelf) -> None:
    file = shelf.file()
    await file.open()
    with shelf.bound_elsewhere("late") as late, shelf.bound_elsewhere("later still") as later:
        await shelf.bind("early")
        await file.note()
        assert shelf.named() == ["early"]
        late.commit()
        await file.note()
        assert shelf.named() == ["early", "late"]
        await shelf.bind("next")
        await file.note()
        later.commit()
        await file.note()
    assert shelf.named() == ["early", "late", "next", "later still"]
    await file.note()
    assert len(shelf.named()) == 4, "each once"


async def test_a_server_that_starts_again_names_what_it_had_missed(shelf: Shelf) -> None:
    file = shelf.file()
    await file.open()
    with shelf.bound_elsewhere("late") as late:
        await shelf.bind("early")
        await file.note()
        late.commit()
    again = shelf.file()
    await again.note()
    assert shelf.named() == ["early", "late"]


async def test_an_id_that_is_never_used_is_looked_for_no_more_once_that_is_certain(shelf: Shelf) -> None:
    file = shelf.file()
    await file.open()
    with shelf.bound_elsewhere("never"):
        await shelf.bind("early")
        await file.note()
        await file.note()
        assert file._noted is not None
        assert len(file._noted.gaps) == 1, "its transaction is open"

    async def gaps() -> bool:
        assert file._noted is not None
        await file.note()
        return bool(file._noted.gaps)

    await until_told(gaps, wanted=False)  # transactions of every database of the server count, those of other tests too
    assert shelf.named() == ["early"]

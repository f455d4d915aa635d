"""Short words for tests of goods: an owner, goods, and who does it."""

from __future__ import annotations

import itertools
from typing import Any

from sqlalchemy import Connection, insert

from shoal.goods.goods import Goods, GoodsKind
from shoal.goods.goods_store import GoodsStore
from shoal.goods.stock_history import By
from shoal.goods.unit_texts import UnitTexts
from shoal.storage.database import Database
from shoal.storage.user_tables import users
from shoal.storage.vault import Vault

_numbers = itertools.count(1)


def by(op_id: str | None = None, *, repeats: bool = False) -> By:
    """A change by somebody, under a new op id or this one."""
    return By(actor="user:ann", op_id=op_id or f"op-{next(_numbers)}", repeats=repeats)


async def an_owner(database: Database) -> int:
    """Add a user and return the id."""
    name = f"owner{next(_numbers)}"

    def job(connection: Connection) -> int:
        made = connection.execute(insert(users).values(username=name, name_key=name, password_hash="-"))
        return int(made.inserted_primary_key[0])  # type: ignore[index]

    return await database.write(job)


async def some_goods(database: Database, owner_id: int, **values: Any) -> Goods:
    """Add goods: a stock of codes unless ``values`` say otherwise."""
    named: dict[str, Any] = {"name": "月卡", "kind": GoodsKind.STOCK, **values}
    return await GoodsStore(database).create(owner_id, named, by())


async def unit_texts(database: Database, vault: Vault) -> UnitTexts:
    """The texts of units of an open database."""
    return await UnitTexts.load(database, vault)


async def states_of(database: Database, goods_id: int) -> dict[str, int]:
    """How many units are in each state; those with none are left out."""
    counts = (await GoodsStore(database).counts([goods_id]))[goods_id]
    return {state.value: count for state, count in counts.items() if count}


async def changed(database: Database, statement: Any) -> None:
    """Execute a statement that changes rows."""
    await database.write(lambda connection: connection.execute(statement).rowcount)

"""Deletes the goods of a user who is being removed, in steps between which others write."""

from __future__ import annotations

from functools import partial
from typing import Final

from sqlalchemy import Connection, delete, select, update

from shoal.storage.database import Database
from shoal.storage.goods_tables import deliveries, goods, units

ROWS: Final = 2_000


async def delete_units_of(database: Database, owner_id: int) -> int:
    """Delete the units of an owner and the texts of their deliveries; return how many units there were.

    The goods, batches and history are deleted with the user. Bindings stay: they name an order and no text, and keep
    it from being served again. Raises ``StoreError``.
    """
    mine = select(goods.c.id).where(goods.c.owner_id == owner_id)
    deleted = 0
    for goods_id in await database.read(lambda connection: list(connection.scalars(mine))):
        last = ROWS
        while last == ROWS:
            last = await database.write(partial(_delete_some, goods_id=goods_id))
            deleted += last
    emptied = update(deliveries).where(deliveries.c.owner_id == owner_id).values(parts="")
    await database.write(lambda connection: connection.execute(emptied).rowcount)
    return deleted


def _delete_some(connection: Connection, goods_id: int) -> int:
    some = select(units.c.id).where(units.c.goods_id == goods_id).limit(ROWS)
    return int(connection.execute(delete(units).where(units.c.id.in_(some))).rowcount)

"""Which account holds which seller's number, as rows. The table's key allows one holder per number, on any node."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, not_, select

from shoal.storage.among import among
from shoal.storage.schema import accounts, seller_numbers
from shoal.storage.upserts import insert_new


def hold_number(connection: Connection, number: str, account_id: str, at_ms: int) -> str | None:
    """Let an existing account hold a number that no other holds, in place of its earlier one.

    Return the holder then, if any.
    """
    living = select(accounts.c.id).where(accounts.c.id == account_id, not_(accounts.c.deleted))
    if connection.scalar(living) is not None:
        row = {"unb": number, "account_id": account_id, "since_ms": at_ms}
        mine = seller_numbers.c.account_id == account_id
        connection.execute(delete(seller_numbers).where(mine, seller_numbers.c.unb != number))
        connection.execute(insert_new(connection, seller_numbers), row)
    holder: str | None = connection.scalar(select(seller_numbers.c.account_id).where(seller_numbers.c.unb == number))
    return holder


def free_number(connection: Connection, number: str, holder: str) -> None:
    """Take a number from that account, if it holds it."""
    held = (seller_numbers.c.unb == number, seller_numbers.c.account_id == holder)
    connection.execute(delete(seller_numbers).where(*held))


def read_number_holders(connection: Connection, numbers: Sequence[str] = ()) -> dict[str, str]:
    """Return account ids by the number that they hold, of these numbers or, without any, of all."""
    query = select(seller_numbers)
    if numbers:
        query = query.where(among(seller_numbers.c.unb, numbers))
    return {row.unb: row.account_id for row in connection.execute(query)}

"""What a server stored about some lines and orders: read by a connection of its own while the server runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from sqlalchemy import Column, Connection, Table, create_engine, func, select, text
from sqlalchemy.pool import NullPool

from endurance.story import Purchase, Question
from endurance.verdicts import Row, Stored
from shoal.storage.order_tables import order_actions, orders
from shoal.storage.schema import OUTBOX_OPEN, messages, outbox


class StoredRows:
    """The database of a running server. ``source``: the SQLite file, or the URL of a PostgreSQL database."""

    def __init__(self, source: Path | str) -> None:
        url = f"sqlite:///{source.resolve().as_uri()}?mode=ro&uri=true" if isinstance(source, Path) else source
        self._engine = create_engine(url, poolclass=NullPool)

    def about(self, questions: Iterable[Question], purchases: Iterable[Purchase]) -> Stored:
        """The rows of these. Raises ``SQLAlchemyError`` while the database cannot be read."""
        asked, bought = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
        for question in questions:
            asked[question.account_id].add(question.message_id)
        for purchase in purchases:
            bought[purchase.account_id].add(purchase.order_id)
        with self._engine.connect() as connection:
            about = _rows(connection, messages, messages.c.message_id, asked)
            for row in about:
                asked[row["account_id"]].add(row["joined_to"] or row["message_id"])
            return Stored.of_rows(
                about,
                sorted(_rows(connection, outbox, outbox.c.message_id, asked), key=lambda row: int(row["id"])),
                _rows(connection, order_actions, order_actions.c.order_id, bought),
                _rows(connection, orders, orders.c.order_id, bought),
            )

    def left_sending(self, before_ms: int) -> int:
        """How many automatic answers that old are still called ``sending``: they will never be sent."""
        old = select(func.count()).select_from(outbox).where(text(OUTBOX_OPEN), outbox.c.outcome == "sending")
        with self._engine.connect() as connection:
            return int(connection.scalar(old.where(outbox.c.created_at_ms < before_ms)) or 0)


def _rows(connection: Connection, table: Table, column: Column[str], of: Mapping[str, set[str]]) -> list[Row]:
    """The rows of each account whose column is one of these; an index is led by the account."""
    return [
        dict(row)
        for account_id, values in of.items()
        for row in connection.execute(
            select(table).where(table.c.account_id == account_id, column.in_(values))
        ).mappings()
    ]

"""The statements that a test's databases are asked, and SQLite's plans for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine

from shoal.storage.database import Database

Asked = list[tuple[str, Any]]
"""Statements, each with its parameters."""


@contextmanager
def asked() -> Iterator[Asked]:
    """Collect what SQLAlchemy asks any database."""
    found: Asked = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        found.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def plans(database: Database, statements: Asked) -> list[str]:
    """Return how SQLite would answer each."""

    def job(connection: Connection) -> list[str]:
        return [
            " / ".join(row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters))
            for statement, parameters in statements
        ]

    return await database.read(job)

"""An earlier copy of a database takes its place under running servers, as a standby that lacks commits would."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from psycopg import sql
from sqlalchemy.engine import make_url

from postgres_server import Postgres


@contextmanager
def earlier_copy(postgres: Postgres, url: str) -> Iterator[Callable[[], None]]:
    """Copy a database that servers use. Yield what puts the copy in its place."""
    name, copy = sql.Identifier(str(make_url(url).database)), sql.Identifier(f"t_{secrets.token_hex(6)}")

    def run(*statements: str) -> None:
        with postgres.away(url), postgres.administrator() as connection:
            for statement in statements:
                connection.execute(sql.SQL(statement).format(name=name, copy=copy))

    run("CREATE DATABASE {copy} TEMPLATE {name} STRATEGY FILE_COPY")
    try:
        yield lambda: run("DROP DATABASE {name} WITH (FORCE)", "ALTER DATABASE {copy} RENAME TO {name}")
    finally:
        with postgres.administrator() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {copy} WITH (FORCE)").format(copy=copy))

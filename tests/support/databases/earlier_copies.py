"""An earlier copy of a database takes its place under running servers, as a standby that lacks commits would."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from psycopg import sql
from sqlalchemy.engine import make_url

from support.databases.postgres_server import Postgres


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


@contextmanager
def standby(postgres: Postgres, url: str) -> Iterator[Callable[[], None]]:
    """Copy a database that servers use, as a standby that has applied so much. Yield what lets the copy answer in its
    place, and when called again the database itself, as once the standby has applied everything and is promoted.
    """
    name = str(make_url(url).database)
    copy, aside = f"t_{secrets.token_hex(6)}", f"t_{secrets.token_hex(6)}"

    def run(*statements: str, among: str = "postgres") -> None:
        with postgres.administrator(among) as connection:
            for statement in statements:
                connection.execute(statement.format(name=name, copy=copy, aside=aside).encode())

    places = [(name, aside), (copy, name), (name, copy), (aside, name)]

    def turn() -> None:
        with postgres.away(url):
            run(*(f"ALTER DATABASE {old} RENAME TO {new}" for old, new in (places.pop(0), places.pop(0))))

    with postgres.away(url):
        run("CREATE DATABASE {copy} TEMPLATE {name} STRATEGY FILE_COPY")
    run("CREATE FUNCTION public.pg_is_in_recovery() RETURNS bool LANGUAGE sql AS 'SELECT true'", among=copy)
    run(
        "ALTER DATABASE {copy} SET search_path = public, pg_catalog",
        "ALTER DATABASE {copy} SET default_transaction_read_only = on",
    )
    try:
        yield turn
    finally:
        run("DROP DATABASE IF EXISTS {copy} WITH (FORCE)", "DROP DATABASE IF EXISTS {aside} WITH (FORCE)")

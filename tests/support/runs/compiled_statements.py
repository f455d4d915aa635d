"""Statements that SQLAlchemy compiles once for all databases of a test process.

Each engine compiles anew what it is asked for the first time. A server asks some hundred statements, and each test
opens a database of its own: compiling the same statements again was half of what opening a server costs.
"""

from __future__ import annotations

from sqlalchemy import Dialect, Engine
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache


def share_compiled_statements() -> None:
    """Give the engines that are made from now on one cache for each kind of database."""
    for kind in (SQLiteDialect_pysqlite, PGDialect_psycopg):
        _share(kind)


def _share(kind: type[Dialect]) -> None:
    cache: LRUCache[object, object] = LRUCache(2000)

    def engine_created(_: type[Dialect], engine: Engine) -> None:
        engine._compiled_cache = cache  # type: ignore[assignment]  # its keys and values are SQLAlchemy's own

    for name, value in {
        "__eq__": lambda one, other: type(one) is type(other),  # a key of the cache names its dialect
        "__hash__": lambda one: hash(type(one)),
        "engine_created": classmethod(engine_created),
    }.items():
        setattr(kind, name, value)

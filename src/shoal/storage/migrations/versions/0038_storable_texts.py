"""Texts without NUL: an import brought some, PostgreSQL cannot store them, and no text in a list may have one either.

Texts that are stored from now on are cleaned before. One that would be blank, or that would be the key of another row,
has U+FFFD in its place.

Revision ID: 0038
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None
kind = "additive"

_NUL, _PLACE = "\0", "\ufffd"
_ESCAPED = "\\u0000"
"""A NUL as JSON has it."""
_JSON = (
    ("rules", "words"), ("rules", "item_ids"), ("rules", "schedule"), ("rules", "parts"), ("delivery_rules", "parts"),
    ("deliveries", "parts"), ("journal", "changes"), ("baselines", "projection"), ("import_runs", "was_on"),
    ("import_oddities", "params"), ("incidents", "facts"), ("stock_history", "facts"), ("security_notes", "facts"),
)  # fmt: skip
"""What an import reaches, of the columns with JSON."""


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")  # a key is changed table by table
        _clean_columns(connection)
    for table, column in _JSON:
        _clean_json(connection, table, column)


def _cleaned(text: str) -> str:
    clean = text.replace(_NUL, "")
    return clean if clean.strip() or not text.strip() else _PLACE


def _clean_columns(connection: sa.Connection) -> None:
    found = sa.inspect(connection)
    for table in found.get_table_names():
        names = [one["name"] for one in found.get_columns(table) if isinstance(one["type"], sa.Text | sa.String)]
        if not names:
            continue
        has_one = " OR ".join(f'instr("{name}", char(0))' for name in names)
        listed = ", ".join(f'"{name}"' for name in names)
        query = f'SELECT rowid, {listed} FROM "{table}" WHERE {has_one}'  # noqa: S608  names of our own tables
        rows = connection.exec_driver_sql(query).all()
        for row, *values in rows:
            held = {name: text for name, text in zip(names, values, strict=True) if text and _NUL in text}
            if not _replace(connection, table, row, held, _cleaned):
                _replace(connection, table, row, held, lambda text: text.replace(_NUL, _PLACE))
        if rows and table == "messages":  # their words are indexed again
            connection.exec_driver_sql("DELETE FROM grams")
            connection.exec_driver_sql("DELETE FROM indexed_segments")


def _replace(connection: sa.Connection, table: str, row: int, held: dict[str, str], by: Callable[[str], str]) -> bool:
    """Replace texts of a row. Return whether no other row has its key then."""
    values = ", ".join(f'"{name}" = ?' for name in held)
    statement = f'UPDATE OR IGNORE "{table}" SET {values} WHERE rowid = ?'  # noqa: S608  names of our own tables
    return connection.exec_driver_sql(statement, (*map(by, held.values()), row)).rowcount == 1


def _clean_json(connection: sa.Connection, table: str, column: str) -> None:
    is_sqlite = connection.dialect.name == "sqlite"
    row, find, here = ("rowid", "instr", ":row") if is_sqlite else ("ctid", "strpos", "CAST(:row AS tid)")
    query = f"SELECT {row}, {column} FROM {table} WHERE {find}({column}, :escaped) > 0"  # noqa: S608  our own names
    change = sa.text(f"UPDATE {table} SET {column} = :clean WHERE {row} = {here}")  # noqa: S608  our own names
    for place, text in connection.execute(sa.text(query), {"escaped": _ESCAPED}).all():
        try:
            held = json.loads(text)
        except ValueError:
            continue
        clean = json.dumps(_cleaned_value(held), ensure_ascii=False, separators=(",", ":"))
        if clean != json.dumps(held, ensure_ascii=False, separators=(",", ":")):
            connection.execute(change, {"clean": clean, "row": place})


def _cleaned_value(value: Any) -> Any:
    if isinstance(value, str):
        return _cleaned(value)
    if isinstance(value, list):
        return [_cleaned_value(one) for one in value]
    if isinstance(value, dict):
        return {_cleaned(name): _cleaned_value(one) for name, one in value.items()}
    return value

"""``column IN (any number of values)`` as one statement with one bound value, whatever the number.

SQLAlchemy writes a parameter for each value, so each number of values would be a statement of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Boolean, ColumnElement, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


def among(column: ColumnElement[Any], values: Collection[str] | Collection[int]) -> ColumnElement[bool]:
    """Return whether the column is one of the values; an index of the column is used."""
    if len(values) == 1:
        (value,) = values
        return column == value
    return _Among(column, _listed(values))


def among_bound(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Return the same for a statement that is kept: its parameter ``name`` is a JSON list of the values."""
    return _Among(column, bindparam(name, type_=Text()))


def kept_of(column: ColumnElement[str], values: Collection[str]) -> ColumnElement[bool]:
    """Return the same for texts, of rows that are found in another way: no index of the column is used."""
    return _KeptOf(column, _listed(values))


def _listed(values: Collection[str] | Collection[int]) -> ColumnElement[str]:
    return bindparam(None, msgspec.json.encode(list(values)).decode(), type_=Text())


class _Among(FunctionElement[bool]):
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Any:  # noqa: ARG002
        """Stay as it is: SQLAlchemy would compare a boolean with 1 on SQLite, and no index would be used."""
        return self


class _KeptOf(_Among):
    inherit_cache = True


@compiles(_Among)
def _on_sqlite(element: _Among, compiler: SQLCompiler, **words: Any) -> str:
    column, values = (compiler.process(part, **words) for part in element.clauses)
    return _listed_on_sqlite(column, values)


@compiles(_KeptOf)
def _kept_on_sqlite(element: _KeptOf, compiler: SQLCompiler, **words: Any) -> str:
    column, values = (compiler.process(part, **words) for part in element.clauses)
    return _listed_on_sqlite(f"+{column}", values)  # what is computed has no index


def _listed_on_sqlite(column: str, values: str) -> str:
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608  parts that are compiled


@compiles(_Among, "postgresql")
def _on_postgresql(element: _Among, compiler: SQLCompiler, **words: Any) -> str:
    column, values = element.clauses
    kind = "bigint" if isinstance(column.type, BigInteger) else "text"
    return _listed_on_postgresql(compiler.process(column, **words), compiler.process(values, **words), kind)


@compiles(_KeptOf, "postgresql")
def _kept_on_postgresql(element: _KeptOf, compiler: SQLCompiler, **words: Any) -> str:
    column, values = (compiler.process(part, **words) for part in element.clauses)
    return _listed_on_postgresql(f"({column} || '')", values, "text")


def _listed_on_postgresql(column: str, values: str, kind: str) -> str:
    listed = f"SELECT CAST(value AS {kind}) FROM json_array_elements_text(CAST({values} AS json))"  # noqa: S608
    return f"{column} = ANY (ARRAY({listed}))"

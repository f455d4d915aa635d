"""What becomes of each column of another system: a contract by source and version, which a file is compared with.

A contract (``contracts/*.toml``) has the tables of one system. Of each table it names the columns that are ``taken``
(and what each becomes), the columns that are ``reported`` (and the sentence), and the columns that are ``unused`` here.
A file may have more: forks and later versions add columns. A column or table that the contract does not name is
reported, because it may forbid something.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from typing import Any, Final

import msgspec

from shoal.maintenance.moving.old_shop import MAX_ROW_CHARACTERS, Fate, Oddity
from shoal.maintenance.moving.tables import TABLE_UNKNOWN, OldRow, OldTables

COLUMN_UNKNOWN, COLUMNS_UNUSED, TABLE_UNUSED = "column_unknown", "columns_unused", "table_unused"
_FALSE: Final = frozenset({"", "0", "0.0", "false", "no", "off", "none", "null", "[]", "{}"})
"""The values with which a reported column is off. In a column that is not known, 0 may be the value that forbids."""
_NAMED_ROWS: Final = 3
"""How many rows a line of the report names, beside the number of all."""


class TableContract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The columns of one table. Where it is a text, blanks divide them.

    ``row``: the columns that name a row in the report, the first that has a value; none for a table of one row.
    ``taken``: what each column becomes. ``reported``: the code of the sentence (``moving.odd.CODE``) of each column.
    ``usual``: a value of a reported column that is not reported. The keys of the ``objects`` (columns with JSON) are
    columns themselves: ``metadata.key``.
    """

    row: str = ""
    taken: Mapping[str, str] = {}
    reported: Mapping[str, str] = {}
    usual: Mapping[str, str] = {}
    unused: str = ""
    objects: str = ""

    @property
    def named(self) -> frozenset[str]:
        """All columns that the contract names."""
        return frozenset((*self.taken, *self.reported, *self.unused.split()))


class Contract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tables of one system, as of a ``version``.

    ``reported``: the codes of the sentences of tables that are not read. ``unused``: the tables with what Shoal keeps
    by itself, such as logs and caches.
    """

    version: str
    tables: Mapping[str, TableContract]
    reported: Mapping[str, str] = {}
    unused: str = ""

    def apply(self, tables: OldTables) -> OldTables:
        """Return the tables with the keys of their objects as columns, and with a report on what is not taken."""
        found = OldTables(
            replace(odd, code=self._code_of(odd.table)) if odd.code == TABLE_UNKNOWN else odd for odd in tables.oddities
        )
        for name, rows in tables.rows.items():
            columns = self.tables.get(name)
            if columns is None:
                found.left_out(name, len(rows), self._code_of(name))
                continue
            found.rows[name] = [_opened(row, columns) for row in rows] if columns.objects else rows
            found.oddities += self._report(name, columns, found.rows[name])
        return found

    def _code_of(self, table: str) -> str:
        """Return the code for a table that is not read."""
        return TABLE_UNUSED if table in self.unused.split() else self.reported.get(table, TABLE_UNKNOWN)

    def _report(self, name: str, columns: TableContract, rows: list[OldRow]) -> Iterator[Oddity]:
        """Yield a line for the columns of each sentence and for each unknown column, and one for all unused columns."""
        taken, unused = columns.taken, frozenset(columns.unused.split())
        found: dict[tuple[str, str], _Rows] = {}
        idle: set[str] = set()
        for row in rows:
            mine: dict[tuple[str, str], list[str]] = {}
            for column, value in row.values.items():
                if column in taken or value is None or value == "":
                    continue
                if column in unused:
                    idle.add(column)
                elif column not in columns.reported:
                    mine[COLUMN_UNKNOWN, column] = [column]
                elif _is_on(row, column, columns.usual.get(column)):
                    mine.setdefault((columns.reported[column], ""), []).append(column)
            for key, some in mine.items():
                found.setdefault(key, _Rows()).add(row, columns.row, some)
        for (code, _), several in found.items():
            facts = {"count": several.count, "version": self.version}
            yield Oddity(table=name, row=several.label, code=code, fate=Fate.CHANGED, params=facts)
        if idle:
            facts = {"columns": ", ".join(sorted(idle))}
            yield Oddity(table=name, row="", code=COLUMNS_UNUSED, fate=Fate.SKIPPED, params=facts)


@dataclass(slots=True)
class _Rows:
    """Rows in which columns have a value: their number, the names of the first ones, and the columns."""

    count: int = 0
    names: list[str] = field(default_factory=list)
    columns: dict[str, None] = field(default_factory=dict)

    def add(self, row: OldRow, naming: str, columns: list[str]) -> None:
        self.count += 1
        self.columns.update(dict.fromkeys(columns))
        if naming and len(self.names) < _NAMED_ROWS:
            self.names.append(row.name(*naming.split()))

    @property
    def label(self) -> str:
        columns = ", ".join(self.columns)
        more = f" … ({self.count})" if self.count > len(self.names) else ""
        return (f"{columns}: {', '.join(self.names)}{more}" if self.names else columns)[:MAX_ROW_CHARACTERS]


def _is_on(row: OldRow, column: str, usual: str | None) -> bool:
    value = row.stripped(column)
    return value.lower() not in _FALSE and value != usual


def _opened(row: OldRow, columns: TableContract) -> OldRow:
    """Return a row with the keys of its objects as columns. An object in an object is opened too, unless the contract
    names it."""
    values: dict[str, Any] = {}
    for column, value in row.values.items():
        if column in columns.objects.split() and isinstance(found := _object(value), dict):
            values.update(_keys(column, found, columns.named))
        else:
            values[column] = value
    return OldRow(row.number, values)


def _keys(prefix: str, found: Mapping[str, Any], named: frozenset[str]) -> Iterator[tuple[str, Any]]:
    for key, value in found.items():
        name = f"{prefix}.{key}"
        if isinstance(value, dict) and name not in named:
            yield from _keys(name, value, named)
        else:
            yield name, json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _object(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str | bytes) else value
    except (ValueError, RecursionError):
        return None


CONTRACTS: Final = ("autoagent", "mysql", "sqlite", "ydisks")


def reported_codes() -> set[str]:
    """Return the codes of all sentences that contracts name."""
    contracts = [contract_of(name) for name in CONTRACTS]
    of_columns = (table.reported.values() for one in contracts for table in one.tables.values())
    return {code for codes in (*of_columns, *(one.reported.values() for one in contracts)) for code in codes}


@cache
def contract_of(name: str) -> Contract:
    """Return a contract by the name of its file."""
    text = files("shoal.maintenance.moving").joinpath("contracts", f"{name}.toml").read_bytes()
    return msgspec.toml.decode(text, type=Contract)

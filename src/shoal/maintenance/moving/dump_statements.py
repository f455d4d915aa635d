"""Reads ``CREATE TABLE`` and ``INSERT INTO`` from the words of a dump, whatever database made it.

Nothing of a dump is executed: it is cut into words, and only literals count as values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

from shoal.errors import InvalidInput
from shoal.maintenance.moving.dump_text import cut_off
from shoal.maintenance.moving.old_shop import Fate, Oddity
from shoal.maintenance.moving.tables import OldTables

_KEYS: Final = frozenset({"primary", "key", "unique", "index", "constraint", "foreign", "fulltext", "spatial", "check"})


class Word(NamedTuple):
    """A word of a dump. ``kind``: a ``name`` in quotes, a ``literal``, a ``sign``, or a ``word``, such as ``NULL``."""

    kind: str
    text: str
    value: Any = None
    """What it says as a value of a row."""


class DumpStatements:
    """Takes the rows of the wanted tables into ``found``, and counts those of others."""

    def __init__(self, wanted: Collection[str]) -> None:
        self.found = OldTables()
        self._wanted = frozenset(wanted)
        self._columns: dict[str, list[str]] = {}
        self._left_out: Counter[str] = Counter()

    def whole(self) -> OldTables:
        """Return what was found. Raises ``InvalidInput`` (``moving_no_inserts``) when the dump had no row at all."""
        found = self.found
        if not any(self._left_out.values()) and not any(found.rows.values()) and not found.oddities:
            raise InvalidInput("there are no rows in it", code="moving_no_inserts")
        for table, count in sorted(self._left_out.items()):
            found.left_out(table, count)
        return found

    def create(self, words: Iterator[Word]) -> None:
        """Read what follows ``CREATE``: the columns of a wanted table, for inserts that do not name them."""
        table = _table_after(words, "table")
        if table not in self._wanted:
            return
        self.found.rows.setdefault(table, [])
        depth, is_first, mine = 1, True, list[str]()
        for kind, word, _ in words:
            if (kind, word) == ("sign", "("):
                depth += 1
            elif (kind, word) == ("sign", ")"):
                depth -= 1
                if not depth:
                    break
            elif depth == 1 and (kind, word) == ("sign", ","):
                is_first = True
                continue
            elif depth == 1 and is_first and (kind == "name" or (kind == "word" and word.lower() not in _KEYS)):
                mine.append(word)
            is_first = False
        self._columns[table] = mine

    def insert(self, words: Iterator[Word]) -> None:
        """Read what follows ``INSERT``: ``INTO table [(columns)] VALUES (…), (…);``."""
        table, mine = "", list[str]()
        in_columns = False
        for kind, word, _ in words:
            if kind == "sign" and word == ";":
                return
            if kind == "sign" and word in "()":
                in_columns = word == "("
            elif in_columns:
                if kind in {"name", "word"}:
                    mine.append(word)  # also one that is called "value"
            elif kind == "word" and word.lower() in {"values", "value"}:
                break
            elif kind == "name" or (kind == "word" and word.lower() not in {"into", "ignore"}):
                table = word  # of ``schema.table`` the last one
        self.take(table, mine or self._columns.get(table, []), _rows(words))

    def take(self, table: str, columns: list[str], rows: Iterator[list[Any]]) -> None:
        """Take rows of a table with these columns."""
        if table not in self._wanted:
            self._left_out[table] += sum(1 for _ in rows)
        elif columns:
            self.found.rows.setdefault(table, [])
            for values in rows:
                self.found.add(table, columns, values)
        else:
            self.found.rows.setdefault(table, [])
            self.found.oddities.append(Oddity(table=table, row="", code="columns_unknown", fate=Fate.SKIPPED))
            for _ in rows:
                pass


def _table_after(words: Iterator[Word], before: str) -> str:
    """Return the table that is named up to the next bracket; empty for another statement."""
    name = ""
    is_reached = False
    for kind, word, _ in words:
        if kind == "sign" and word in "(;":
            return name if is_reached and word == "(" else ""
        if kind == "word" and word.lower() == before:
            is_reached = True
        elif is_reached and (kind == "name" or (kind == "word" and word.lower() not in {"if", "not", "exists"})):
            name = word
    return ""


def _rows(words: Iterator[Word]) -> Iterator[list[Any]]:
    values: list[Any] | None = None
    for kind, word, value in words:
        if kind == "sign" and word == "(" and values is None:
            values = []
        elif kind == "sign" and word == ")" and values is not None:
            yield values
            values = None
        elif kind == "sign" and word == ";" and values is None:
            return
        elif values is not None and kind != "sign" and not (kind == "word" and word.startswith("_")):
            values.append(value)  # a word such as _binary names the form of the next value
    if values is not None:
        raise cut_off()

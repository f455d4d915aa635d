"""The tables of an old system's file as plain rows, whatever the file is: SQLite, JSON or a dump."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import msgspec

from shoal.errors import InvalidInput
from shoal.language.storable_texts import storable
from shoal.maintenance.moving.old_shop import Fate, Oddity

_LONGEST_LABEL: Final = 60
"""Characters of a value that names a row in reports."""
_REPLACED: Final = "\ufffd"
MOST_BYTES: Final = 320 * 1024**2
"""How much memory the rows of a file may take."""
_ROW_BYTES, _VALUE_BYTES = 400, 60
"""What a row and a value take beside their content."""
TABLE_UNKNOWN: Final = "table_unknown"
"""What is reported about a table that is not imported, until a contract says what it is."""


class OldRow(msgspec.Struct, frozen=True):
    """One row: its number in the table, from 1 on, and its values by the names of the columns."""

    number: int
    values: Mapping[str, Any]

    def text(self, name: str) -> str:
        """Return a value as text; empty for NULL and for a column that the table lacks."""
        value = self.values.get(name)
        if value is None:
            return ""
        if isinstance(value, bytes):
            return storable(value.decode("utf-8", "replace"))
        if isinstance(value, bool):
            return str(int(value))
        if isinstance(value, float) and value.is_integer():
            return str(int(value))  # an id that went through a table of numbers
        return str(value)

    def stripped(self, name: str) -> str:
        """Return a value as text without outer blanks."""
        return self.text(name).strip()

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a boolean; ``default`` for NULL, for a column that the table lacks, and for what is none."""
        value = self.stripped(name).lower()
        if value in {"1", "true", "yes", "on"}:
            return True
        return False if value in {"0", "false", "no", "off"} else default

    def number_of(self, name: str) -> int | None:
        """Return a whole number; ``None`` for NULL, a missing column and for what is none."""
        try:
            return int(self.stripped(name))
        except ValueError:
            return None

    def label(self, *names: str) -> str:
        """Return what identifies the row: the first of these columns that has a value, else its number."""
        return next((f"{name}={_short(value)}" for name in names if (value := self.stripped(name))), f"#{self.number}")

    def name(self, *names: str) -> str:
        """Return the value that names the row: of the first of these columns that has one, else its number."""
        return next((_short(value) for name in names if (value := self.stripped(name))), f"#{self.number}")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_LABEL else f"{text[:_LONGEST_LABEL]}…"


def too_much() -> InvalidInput:
    """Return the refusal of a file with more data than is read."""
    return InvalidInput("the file has too much data", code="moving_too_much", limit=MOST_BYTES >> 20)


class OldTables:
    """Rows by table. A table that the file lacks has none. ``oddities``: rows that could not be read."""

    def __init__(self, oddities: Iterable[Oddity] = ()) -> None:
        self.rows: dict[str, list[OldRow]] = {}
        self.oddities = list(oddities)
        self._left = MOST_BYTES

    def of(self, name: str) -> list[OldRow]:
        """Return the rows of a table, in their order."""
        return self.rows.get(name, [])

    def has(self, name: str) -> bool:
        """Return whether the file has that table, be it empty."""
        return name in self.rows

    def add(self, name: str, columns: Sequence[str], values: Sequence[Any]) -> None:
        """Add a row, with texts that every database can store. One with another number of values than there are columns
        is an oddity, and so is a text that was not so.

        Raises ``InvalidInput`` (``moving_too_much``) when the rows of all tables take too much memory.
        """
        self._left -= _ROW_BYTES + sum(map(_size, values))
        if self._left < 0:
            raise too_much()
        rows = self.rows.setdefault(name, [])
        if len(values) != len(columns):
            odd = Oddity(table=name, row=f"#{len(rows) + 1}", code="row_of_other_length", fate=Fate.SKIPPED)
            self.oddities.append(odd)
            return
        kept = [storable(value) if isinstance(value, str) else value for value in values]
        rows.append(OldRow(len(rows) + 1, dict(zip(columns, kept, strict=True))))
        found = (("text_not_utf8", map(_is_broken, values)), ("text_cleaned", map(_is_unstorable, values)))
        for code, broken in found:
            if any(broken):
                label = rows[-1].label("id", "keyword", "username", "name")
                self.oddities.append(Oddity(table=name, row=label, code=code, fate=Fate.CHANGED))

    def left_out(self, name: str, count: int, code: str = TABLE_UNKNOWN) -> None:
        """Note a table that is not imported and has rows."""
        if count:
            odd = Oddity(table=name, row="", code=code, fate=Fate.SKIPPED, params={"count": count})
            self.oddities.append(odd)


def _size(value: object) -> int:
    return _VALUE_BYTES + (len(value) if isinstance(value, str | bytes) else 0)


def _is_unstorable(value: object) -> bool:
    """Whether a text has characters that not every database can store."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return isinstance(text, str) and storable(text) is not text


def _is_broken(value: object) -> bool:
    """Whether a value had bytes that are no UTF-8: its reader has put a mark in their place."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return isinstance(text, str) and _REPLACED in text


_NONE: Final = frozenset({"", "none"})


def proxy_of(row: OldRow) -> str:
    """Return the address of the proxy; empty when the account had none that was used. It may be one that cannot be used
    here: then it says so when it is planned."""
    kind, host = row.stripped("proxy_type").lower(), row.stripped("proxy_host")
    if kind in _NONE or not host:
        return ""
    user, password = (quote(row.text(name), safe="") for name in ("proxy_user", "proxy_pass"))
    place = f"[{host}]" if ":" in host else host
    credentials = f"{user}:{password}@" if user and password else ""
    return f"{kind}://{credentials}{place}:{row.stripped('proxy_port')}"

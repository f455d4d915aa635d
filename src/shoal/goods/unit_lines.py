"""The lines of an import: read from a list, a text file, a CSV file or a table, each with its number."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from shoal.errors import InvalidInput
from shoal.goods.unit_texts import clean_unit
from shoal.language.folding import folded
from shoal.sheets.csv_tables import decoded
from shoal.sheets.xlsx import Column, Table

MAX_LINES: Final = 100_000
"""How many units one import may have."""
SHEET: Final = "卡密"
_HEADS: Final = (
    "卡号", "账号", "帐号", "激活码", "兑换码", "序列号", "密钥", "内容", "链接", "account", "card", "cdk", "cdkey",
    "code", "codes", "key", "text",
)  # fmt: skip
COLUMNS: Final = (
    Column("unit", "卡密", "Unit", width=48, needed=True, also=_HEADS),
    Column("second", "密码", "Password", also=("pin", "pwd")),
)
"""The second column is no unit, but half of one: a line that has it is refused, because its buyer would get the other
half only."""


class Line(msgspec.Struct, frozen=True, gc=False):
    """One unit that is sent: the number of its line, and its text. The collector of cycles passes it over: 100,000 of
    them would make each of its passes, which stops the loop, some 50 ms longer.
    """

    number: int
    text: str


class Refusal(msgspec.Struct, frozen=True):
    """A line that is no unit: its number, and the error."""

    line: int
    error: InvalidInput


@dataclass(frozen=True, slots=True)
class SentLines:
    """All lines of an import. Lines without any text count for nothing."""

    lines: list[Line] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many lines have a text."""
        return len(self.lines) + len(self.refused)

    def add(self, number: int, text: str) -> None:
        """Add a line. Raises ``InvalidInput`` (``too_many_lines``)."""
        try:
            cleaned = clean_unit(text)
        except InvalidInput as error:
            self.refuse(number, error)
            return
        if cleaned:
            self.lines.append(Line(number, cleaned))
            self._check_size()

    def refuse(self, number: int, error: InvalidInput) -> None:
        """Add a line that cannot be used. Raises ``InvalidInput`` (``too_many_lines``)."""
        self.refused.append(Refusal(number, error))
        self._check_size()

    def _check_size(self) -> None:
        if self.size > MAX_LINES:
            raise InvalidInput("there are too many lines", code="too_many_lines", limit=MAX_LINES)


def lines_of_list(texts: Iterable[str]) -> SentLines:
    """Read a list of texts, the first one as line 1."""
    sent = SentLines()
    for number, text in enumerate(texts, 1):
        sent.add(number, text)
    return sent


def lines_of_text(data: bytes) -> SentLines:
    """Read a text file: one unit on each line. Raises ``InvalidInput`` (``unknown_encoding``)."""
    return lines_of_list(io.StringIO(decoded(data), newline=None))


def lines_of_csv(rows: Iterable[tuple[int, list[str]]]) -> SentLines:
    """Read the rows of a CSV file, each with the number of its line: the column with a known head, or the only column
    of a file without heads."""
    sent = SentLines()
    places: list[int] = []
    for row_number, (number, cells) in enumerate(rows):
        if row_number == 0 and (places := _headed(cells)):
            continue
        looked_at = [cells[place] for place in places if place < len(cells)] if places else cells
        filled = [cell for cell in looked_at if cell.strip()]
        if len(filled) > 1:
            sent.refuse(number, _several())
        elif filled:
            sent.add(number, filled[0])
    return sent


def lines_of_table(table: Table) -> SentLines:
    """Read the table of an Excel file; a cell that has no plain text is refused."""
    sent = SentLines()
    for fault in table.faults:
        sent.refuse(fault.row, fault.error)
    for row in table.rows:
        if row.texts.get("second", "").strip():
            sent.refuse(row.number, _several())
        else:
            sent.add(row.number, row.texts["unit"])
    return sent


def _several() -> InvalidInput:
    return InvalidInput("more than one column", code="unit_several_columns")


def _headed(cells: list[str]) -> list[int]:
    """Return the places of the columns with a known head."""
    heads = frozenset().union(*(column.heads for column in COLUMNS))
    return [place for place, cell in enumerate(cells) if folded(cell).strip() in heads]

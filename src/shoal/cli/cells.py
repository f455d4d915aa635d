"""What people read of an answer: cells, tables of rows, tables of facts, and sentences filled from it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from shoal.cli.moments import local
from shoal.cli.rows import Answer, Cell, Given, Shown
from shoal.cli.words import ago, printable, word_or, words

_WIDE = 100_000


def table_of(cells: Mapping[str, Cell], found: Sequence[Answer]) -> Table:
    """Return a table with a column per cell and a row per answer."""
    return rows_table(list(cells), ([value(cell, one) for cell in cells.values()] for one in found))


def facts_of(cells: Mapping[str, Cell], one: Answer) -> Table:
    """Return a table with a line per cell of one answer; those that are empty are left out."""
    return facts_table((name, value(cell, one)) for name, cell in cells.items())


def value(cell: Cell, one: Answer) -> str | Text:
    """Return what a cell shows of a row."""
    if callable(cell):
        return cell(one)
    return next((text for way in cell.split("|") if (text := _text(_at(way, one)))), "")


def _at(way: str, one: Any) -> Any:
    if way == "–":
        return way
    for name in way.split("."):
        one = one.get(name) if isinstance(one, dict) else None
    return one


def _text(found: Any) -> str:
    if isinstance(found, bool):
        return words("cli.table.yes" if found else "cli.table.no")
    if isinstance(found, list | dict):
        return ", ".join(map(str, found))
    return "" if found is None else str(found)


def when(field: str, empty: str = "") -> Callable[[Answer], str]:
    """Return a cell that shows a time by this machine's clock."""
    return lambda one: local(at) if (at := _at(field, one)) else empty and words(empty)


def since(field: str, empty: str = "") -> Callable[[Answer], str]:
    """Return a cell that shows how long ago a time was; a sentence when there is none."""
    return lambda one: ago(at) if (at := _at(field, one)) else empty and words(empty)


def word(family: str, field: str, empty: str = "") -> Callable[[Answer], str]:
    """Return a cell that shows the word of a family for the code in a field; the code itself when there is none."""
    return lambda one: word_or(f"{family}.{code}", str(code)) if (code := _at(field, one)) else empty and words(empty)


def every(field: str, empty: str) -> Callable[[Answer], str]:
    """Return a cell that shows a list, or a sentence for an empty one."""
    return lambda one: _text(_at(field, one)) or words(empty)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the catalogue: its holes are filled by cells, by fields of the answer, and by what was given."""

    key: str
    cells: Mapping[str, Cell]

    def __call__(self, answer: Any, given: Given) -> str:
        """Return the sentence about an answer."""
        whole = {**given, **answer} if isinstance(answer, dict) else given
        fields = {name.strip("_?"): _filling(one) for name, one in whole.items()}
        return words(self.key, **{**fields, **{name: str(value(cell, whole)) for name, cell in self.cells.items()}})


def says(key: str, **cells: Cell) -> Sentence:
    """Return a sentence, some of whose holes are filled by cells."""
    return Sentence(key, cells)


def either(field: str, yes: str, no: str, **cells: Cell) -> Shown:
    """Return one sentence when a field of the answer has a value, and another when it has none."""
    return lambda answer, given: Sentence(yes if answer[field] else no, cells)(answer, given)


SAVED: Shown = either("changed", "cli.changes.saved", "cli.changes.same")
"""What is said of a change of a shop: its number in the history, by which it can be undone."""


def as_json(answer: Any, _: Given) -> str:
    """Return an answer as JSON, for what people read in no other form."""
    return json.dumps(answer, ensure_ascii=False, indent=2)


def actor(one: Answer) -> str:
    """Return the name of who did something."""
    return str(one["actor"]).removeprefix("user:")


def _filling(found: Any) -> Any:
    if isinstance(found, int | float) and not isinstance(found, bool):
        return found
    return printable(_text(found))


def shown_as(shown: Shown, answer: Any, given: Given) -> str | RenderableType:
    """Return what people read of an answer."""
    if isinstance(shown, str):
        return Sentence(shown, {})(answer, given)
    if isinstance(shown, Mapping):
        return table_of(shown, answer) if isinstance(answer, list) else facts_of(shown, answer)
    return shown(answer, given)


def heading(name: str) -> str:
    """Return a heading: the sentence of that key, or that of ``cli.table`` for a name without a dot."""
    return words(name if "." in name else f"cli.table.{name}")


def rows_table(names: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Return a table of rows; each first cell is bold."""
    plain = not sys.stdout.isatty()
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in names:
        table.add_column(heading(name), overflow="fold", no_wrap=plain)
    for row in rows:
        cells = [cell if isinstance(cell, Text) else Text(printable(cell)) for cell in row]
        cells[0].stylize("bold")
        table.add_row(*cells)
    return table


def facts_table(facts: Iterable[tuple[str, Text | str]]) -> Table:
    """Return a table of facts; those that are empty are left out."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bright_black", no_wrap=True)
    table.add_column(overflow="fold")
    for name, fact in facts:
        if fact:
            table.add_row(heading(name), fact if isinstance(fact, Text) else Text(printable(fact)))
    return table


def wide_console() -> Console:
    """Return a console as wide as the terminal; without a terminal wide enough to cut nothing."""
    return Console() if sys.stdout.isatty() else Console(width=_WIDE)

"""Reads the table of who may call what: the cells of each route, and what a letter promises."""

from __future__ import annotations

from collections.abc import Iterator

from api.authorisation_table import ALLOWED, CALLERS, REFUSED, TABLE

Route = tuple[str, str]
"""Method and path."""


def read_table() -> dict[Route, dict[str, str]]:
    """The cells of each route, by caller; one letter, or three."""
    table: dict[Route, dict[str, str]] = {}
    cells: dict[str, str] = {}
    for line in _lines():
        if line.startswith("## "):
            found = line.split()[-len(CALLERS) :]
            cells = {name: _full(cell, found) for name, cell in zip(CALLERS, found, strict=True)}
            continue
        method, path, *star = line.split()
        assert (method, path) not in table, f"{line} stands in the table twice"
        table[method, path] = {name: cell.replace("-", "o") for name, cell in cells.items()} if star else cells
    return table


def _lines() -> Iterator[str]:
    return (line for line in TABLE.splitlines() if line and not line.startswith("# "))


def _full(cell: str, line: list[str]) -> str:
    """One letter stands for all three where others of the line have three."""
    return cell * 3 if len(cell) == 1 and max(map(len, line)) == 3 else cell


def outcome_of(letter: str) -> tuple[int | None, str]:
    """What a letter promises: any status and ``allowed``, or status and code of the refusal."""
    return (None, ALLOWED) if letter == "y" else REFUSED[letter]

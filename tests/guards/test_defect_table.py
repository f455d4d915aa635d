"""The docs' table of known defects has every row, and names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| ((?:[A-DFG]\d+(?:, )?)+) \|.*\| (.*) \|$", re.MULTILINE)
TEST = re.compile(r"^ *(?:async )?def (test_[a-dfg]\d+_\w+)", re.MULTILINE)

KNOWN = {"A": 25, "B": 15, "C": 18, "D": 11, "F": 18, "G": 23}
"""How many rows each letter has."""
WITH_A_FEATURE: frozenset[str] = frozenset()
"""Defects in a part of the system that does not exist yet: the row names it."""
DOES_NOT_APPLY = {"B9", "B14"}
"""Defects that cannot occur here: the row gives the reason."""
EXPECTED = {f"{letter}{number}" for letter, count in KNOWN.items() for number in range(1, count + 1)}


def _rows() -> dict[str, str]:
    """Return the last cell of each row of the table."""
    text = (ROOT / "docs" / "contributing" / "consistency.md").read_text(encoding="utf-8")
    found = [(row, last) for rows, last in ROW.findall(text) for row in rows.split(", ")]
    assert len(found) == len(dict(found)), "a row stands in the table twice"
    return dict(found)


def _tests() -> set[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    return {name for file in files for name in TEST.findall(file.read_text(encoding="utf-8"))}


def test_the_table_has_every_row() -> None:
    assert set(_rows()) == EXPECTED


def test_every_row_names_tests_that_exist_and_bear_its_name() -> None:
    there = _tests()
    for row, last in _rows().items():
        if row in WITH_A_FEATURE | DOES_NOT_APPLY:
            continue
        named = set(re.findall(r"`(test_\w+)`", last))
        assert named <= there, row
        assert any(f"_{row.lower()}_" in name for name in named), f"no test bears the name {row}"


def test_a_row_without_a_test_says_why() -> None:
    rows = _rows()
    assert all(rows[row].startswith("with feature: ") for row in WITH_A_FEATURE)
    assert all(rows[row].startswith("does not apply: ") for row in DOES_NOT_APPLY)

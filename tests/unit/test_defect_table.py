"""The table of known defects in the docs names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| ((?:[A-D]\d+(?:, )?)+) \|.*\| (.*) \|$", re.MULTILINE)
TEST = re.compile(r"^ *(?:async )?def (test_[a-d]\d+_\w+)", re.MULTILINE)


def _rows() -> dict[str, list[str]]:
    """The tests that the table names for each row."""
    text = (ROOT / "docs" / "consistency.md").read_text(encoding="utf-8")
    return {row: re.findall(r"`(\w+)`", tests) for rows, tests in ROW.findall(text) for row in rows.split(", ")}


def _tests() -> set[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    return {name for file in files for name in TEST.findall(file.read_text(encoding="utf-8"))}


def test_every_test_that_the_table_names_exists_and_bears_its_row() -> None:
    rows = _rows()
    assert len(rows) > 20
    assert {name for tests in rows.values() for name in tests} <= _tests()
    for row, tests in rows.items():
        assert any(f"_{row.lower()}_" in name for name in tests), f"no test bears the name {row}"


def test_every_defect_of_the_state_of_accounts_has_a_test() -> None:
    elsewhere = {19}
    """It comes with the importers."""
    others = {"D4", "D5", "D10", "D11"}
    assert {f"A{number}" for number in range(1, 26) if number not in elsewhere} | others <= set(_rows())

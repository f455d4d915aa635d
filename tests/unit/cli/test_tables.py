"""Tables without a terminal: another program reads them, so nothing is cut."""

from __future__ import annotations

import pytest

from shoal.cli.cells import rows_table, wide_console


def test_a_long_cell_takes_no_room_from_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    long = "remark: old → new · " * 500
    wide_console().print(rows_table(("change", "shop", "changed"), [("1", "a-shop-with-a-name", long), ("2", "b", "")]))
    _, first, second = capsys.readouterr().out.splitlines()
    assert first.split(maxsplit=2) == ["1", "a-shop-with-a-name", long]
    assert second.split() == ["2", "b"]

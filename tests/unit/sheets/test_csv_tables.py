"""Tables in CSV files: every text comes back as it was, no cell is a formula, and rows that fell apart are told."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import InvalidInput
from shoal.sheets.csv_tables import read_csv, written_csv
from shoal.sheets.xlsx import Column, Table

COLUMNS = (Column("a", "甲", "A", needed=True), Column("b", "乙", "B"))
texts = st.text(st.sampled_from("'=+-@＝＋－＠\t \r\n\",;1甲"), max_size=8)


def read(data: bytes, most: int = 9) -> Table:
    return read_csv(data, COLUMNS, most=most)


@given(texts, texts)
def test_every_text_comes_back_and_no_cell_is_a_formula(one: str, other: str) -> None:
    data = written_csv(["甲", "B"], [[one, other], ["end", ""]])
    found = {row.number: dict(row.texts) for row in read(data).rows}
    assert found.pop(3) == {"a": "end", "b": ""}
    assert found == ({2: {"a": one, "b": other}} if (one + other).strip() else {})
    cells = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))[1]
    assert not any(cell.lstrip().startswith(tuple("=+-@＝＋－＠")) for cell in cells)


def test_a_file_of_excel_in_china_is_read_and_rows_are_numbered_as_it_shows_them() -> None:
    table = read('乙,别的,甲\r\n,,"两\n行"\r\n\r\n2,,=1'.encode("gb18030"))
    assert [(row.number, dict(row.texts)) for row in table.rows] == [
        (2, {"a": "两\n行", "b": ""}), (4, {"a": "=1", "b": "2"}),
    ]  # fmt: skip
    assert table.heads == {"a": "甲", "b": "乙"}


def test_a_row_with_more_cells_than_heads_is_told() -> None:
    table = read(b"A,B\n1,hello, world\n2,x,\n")
    assert [(fault.row, fault.error.code) for fault in table.faults] == [(2, "csv_more_cells")]
    assert [row.number for row in table.rows] == [3]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "no_rows"),
        (b"B\n1\n", "missing_columns"),
        (b"A,a\n1,2\n", "duplicate_column"),
        (b"A\n1\n2\n3\n", "too_many_sheet_rows"),
        (b"\xff\xff\xff", "unknown_encoding"),
        (b'A\n"' + b"x" * (1 << 21), "csv_unreadable"),
        (b'A,B\n"1,2\n', "csv_unreadable"),  # cut off within a cell
        (b'A,B\n"1"0,2\n', "csv_unreadable"),
    ],
)
def test_what_is_no_such_table_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(data, most=2)
    assert refused.value.code == code
    assert len(read(b"A\n1\n2\n", most=2).rows) == 2

"""Excel files of any origin: read as texts or refused with what to do, and written so that nothing in them runs."""

from __future__ import annotations

import datetime as dt
import io
import random
import zipfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.errors import InvalidInput
from shoal.sheets.xlsx import Column, Fault, Table, UnusableRows, read_table, written_table
from support.files.table_files import SHEET, a_table, cells_of, texts_of, with_part

COLUMNS = (Column("word", "词", "Word", needed=True), Column("reply", "回复", "Reply"))
HEADS = ["词", "回复"]
WRITTEN = tuple((column, column.zh) for column in COLUMNS)


def read(data: bytes, *, most: int = 100) -> Table:
    return read_table(data, COLUMNS, sheet="规则", most=most)


def rows(data: bytes) -> list[dict[str, str]]:
    table = read(data)
    assert table.faults == ()
    return [dict(row.texts) for row in table.rows]


def refused(data: bytes, **how: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        read(data, **how)
    return caught.value


def faults(*cells: Any, change: Any = None) -> list[tuple[int, str, str]]:
    return [(one.row, one.column, one.error.code) for one in read(a_table([HEADS, *cells], change=change)).faults]


def test_columns_are_found_by_either_name_in_any_order_and_others_are_left_aside() -> None:
    data = a_table(
        [[" REPLY ", "备注", "ｗｏｒｄ"], ["嗯", "x", "在吗"], ["", "only a remark", None], [None, None, None]]
    )
    assert rows(data) == [{"word": "在吗", "reply": "嗯"}]
    assert rows(a_table([["词"], ["在吗"]])) == [{"word": "在吗"}]


def test_the_sheet_of_that_name_is_read_else_the_first() -> None:
    def second(page: Any) -> None:
        other = page.parent.create_sheet("规则")
        other.append(HEADS)
        other.append(["second", ""])

    assert rows(a_table([HEADS, ["first", ""]], change=second)) == [{"word": "second", "reply": ""}]
    assert rows(a_table([HEADS, ["first", ""]])) == [{"word": "first", "reply": ""}]


def test_missing_and_doubled_columns_are_named() -> None:
    missing = refused(a_table([["keyword", "reply"], ["a", "b"]]))
    assert (missing.code, missing.params["missing"], missing.params["found"]) == (
        "missing_columns",
        ["词 (Word)"],
        ["keyword", "reply"],
    )
    assert refused(a_table([["词", "word"]])).code == "duplicate_column"
    assert refused(a_table([])).code == "missing_columns"


def test_numbers_are_read_as_they_were_typed() -> None:
    cells: list[Any] = [123, 123.0, 1.5, 0.1 + 0.2, -7, 123456789012345, True]
    data = a_table([HEADS, *([value, "x"] for value in cells)])
    assert [row["word"] for row in rows(data)] == ["123", "123", "1.5", "0.3", "-7", "123456789012345", "TRUE"]


def test_what_only_looks_like_a_text_is_refused_row_by_row() -> None:
    def percent(page: Any) -> None:
        page["A6"].number_format = "0%"

    found = faults(
        ["ok", "=HYPERLINK(1)"],
        [dt.date(2026, 3, 5), ""],
        [12345678901234567890, ""],
        ["#REF!", ""],
        [0.5, "fine"],
        change=percent,
    )
    assert found == [
        (2, "回复", "cell_formula"),
        (3, "词", "cell_no_text"),
        (4, "词", "cell_no_text"),
        (5, "词", "cell_no_text"),
        (6, "词", "cell_no_text"),
    ]


def test_merged_cells_are_told_and_those_elsewhere_are_not() -> None:
    def merge(page: Any) -> None:
        page.merge_cells("B2:B3")
        page.merge_cells("D2:E9")
        page.merge_cells("C1:D1")

    assert faults(["a", "both"], ["b", None], change=merge) == [(2, "回复", "cells_merged")]


@pytest.mark.parametrize(
    ("cells", "head"), [("A2:A3", "词"), ("B2:C3", "回复"), ("C2:D3", None), ("AA2:AB3", None), ("A1:B1", None)]
)
def test_merged_cells_are_told_of_the_columns_that_have_a_head(cells: str, head: str | None) -> None:
    told = faults(["a", "one"], ["b", "two"], change=lambda page: page.merge_cells(cells))
    assert [where for _, where, why in told if why == "cells_merged"] == ([head] if head else [])


def test_faults_stand_in_the_order_of_the_rows() -> None:
    error = UnusableRows([Fault(9, "", InvalidInput()), Fault(2, "", InvalidInput())])
    assert [fault.row for fault in error.faults] == [2, 9]


@pytest.mark.parametrize(
    "data",
    [
        b"", b"PK", b"not a zip", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        with_part(a_table([HEADS]), "[Content_Types].xml", lambda _: b""),
        with_part(a_table([HEADS]), "xl/workbook.xml", lambda _: b"<workbook/>"),
        with_part(a_table([HEADS]), SHEET, lambda text: text[:200]),
        with_part(a_table([HEADS]), SHEET, lambda text: text, compress_type=zipfile.ZIP_BZIP2),
        a_table([HEADS])[:-30],
    ],
)  # fmt: skip
def test_what_is_no_excel_file_is_refused(data: bytes) -> None:
    assert refused(data).code == "not_xlsx"


def test_a_file_that_is_small_packed_and_huge_inside_is_refused_before_it_is_unpacked() -> None:
    bomb = with_part(a_table([HEADS]), "xl/media/zeros.bin", lambda _: bytes(60 << 20))
    assert len(bomb) < 100_000
    assert refused(bomb).code == "sheet_too_large"


def test_a_file_of_very_many_parts_is_refused() -> None:
    data = a_table([HEADS])
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a") as archive:
        for number in range(401 - len(archive.namelist())):
            archive.writestr(f"xl/media/{number}.bin", b"")
    assert refused(file.getvalue()).code == "sheet_too_large"
    assert read(data).rows == ()


def test_a_part_that_lies_about_its_size_is_not_unpacked_beyond_it() -> None:
    data = bytearray(with_part(a_table([HEADS]), SHEET, lambda _: b" " * (60 << 20)))
    for magic, place in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = data.rindex(magic)  # that part is the last one
        data[at + place : at + place + 4] = (1000).to_bytes(4, "little")
    assert refused(bytes(data)).code == "not_xlsx"


def test_entities_are_not_expanded() -> None:
    laughs = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
    data = with_part(a_table([HEADS, ["a", "b"]]), SHEET, lambda text: laughs + text.split(b"?>")[-1])
    assert refused(data).code == "not_xlsx"


def test_too_many_rows_are_refused_also_empty_ones_that_lie_too_far_to_be_looked_at() -> None:
    assert len(read(a_table([HEADS, *(["a", ""] for _ in range(100))])).rows) == 100
    assert refused(a_table([HEADS, *(["a", ""] for _ in range(101))])).code == "too_many_sheet_rows"

    def reaching(number: int) -> bytes:
        empty = b'<row r="%d"><c r="A%d"/></row></sheetData>' % (number, number)
        return with_part(a_table([HEADS]), SHEET, lambda text: text.replace(b"</sheetData>", empty))

    assert read(reaching(20_000)).rows == ()
    for number in (20_001, 1_048_576):
        assert refused(reaching(number)).code == "too_many_sheet_rows"


def test_a_hundred_thousand_rows_are_refused() -> None:
    row = b'<row r="%d"><c r="A%d" t="inlineStr"><is><t>a</t></is></c></row>'
    many = b"".join(row % (number, number) for number in range(2, 100_002))
    data = with_part(a_table([HEADS]), SHEET, lambda text: text.replace(b"</sheetData>", many + b"</sheetData>"))
    assert refused(data, most=5_000).code == "too_many_sheet_rows"


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "#N/A", "TRUE", "1e5", "=", "'x", "＝1+1", "＠SUM(A1)"],
)
def test_what_could_run_is_written_as_a_text_and_read_as_it_was(text: str) -> None:
    data = written_table("规则", WRITTEN, [(text, text)])
    *_, word, reply = cells_of(data)
    assert {word.data_type, reply.data_type} == {"s"}
    assert word.alignment.wrap_text, "a long text is seen whole"
    assert word.quotePrefix is (text[0] in "=+-@＝＠")
    assert rows(data) == [{"word": text, "reply": text}]


@pytest.mark.parametrize("before", [" ", "\t", "\n", " \t ", "\u3000", "\u00a0"])
@pytest.mark.parametrize("sign", "=+-@")
def test_f14_a_blank_or_tab_before_what_could_run_hides_nothing(before: str, sign: str) -> None:
    text = f"{before}{sign}HYPERLINK(1)"
    data = written_table("规则", WRITTEN, [(text, f"{before}harmless {sign}")])
    *_, word, reply = cells_of(data)
    assert (word.data_type, word.quotePrefix, reply.quotePrefix) == ("s", True, False)
    assert rows(data)[0]["word"] == text


def test_a_written_table_names_its_sheet_and_columns() -> None:
    title, (heads, *_) = texts_of(written_table("规则", WRITTEN, [("a", "")]))
    assert (title, heads) == ("规则", HEADS)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=40),
            st.text(st.sampled_from("_x0041F5DaE\r\n\t\x0b\x1f\ufffe 语"), max_size=30),
        ),
        max_size=5,
    )
)
def test_every_text_comes_back_as_it_was(pairs: list[tuple[str, str]]) -> None:
    wanted = [{"word": word, "reply": reply} for word, reply in pairs if word.strip() or reply.strip()]
    assert rows(written_table("规则", WRITTEN, pairs)) == wanted


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_damaged_file_raises_anything_but_a_refusal() -> None:
    whole = a_table([HEADS, ["在吗", "在的"], [1, 2.5]])
    fate = random.Random(7)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(fate.randint(1, 6)):
            data[fate.randrange(len(data))] = fate.randrange(256)
        try:
            read(bytes(data))
        except InvalidInput:
            continue
    part_names = ["xl/workbook.xml", "xl/styles.xml", SHEET, "xl/_rels/workbook.xml.rels", "xl/sharedStrings.xml"]
    for number in range(150):
        name = part_names[number % len(part_names)]

        def spoil(text: bytes) -> bytes:
            at, end = sorted(fate.randrange(len(text) + 1) for _ in range(2))
            return text[:at] + bytes(fate.randrange(32, 127) for _ in range(fate.randint(0, 5))) + text[end:]

        try:
            read(with_part(whole, name, spoil))
        except InvalidInput:
            continue

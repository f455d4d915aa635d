"""Lines of an import, from each kind of file; texts of units folded, cleaned and masked."""

from __future__ import annotations

import pytest

from shoal.errors import InvalidInput
from shoal.goods import unit_lines
from shoal.goods.unit_lines import COLUMNS, SHEET, SentLines, lines_of_csv, lines_of_list, lines_of_table, lines_of_text
from shoal.goods.unit_texts import clean_unit, folded_unit, masked
from shoal.sheets import xlsx_jobs
from shoal.sheets.xlsx import read_table, written_table


def told(sent: SentLines) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    return [(one.number, one.text) for one in sent.lines], [(one.line, one.error.code) for one in sent.refused]


def of_csv(text: str) -> SentLines:
    """The lines of a CSV file, as they come out of its process."""
    parts = xlsx_jobs.lines_of_csv(text.encode())
    return lines_of_csv(line for part in parts for line in xlsx_jobs.decode_lines(part))


def test_a_text_file_has_one_unit_on_each_line_whatever_ends_its_lines() -> None:
    assert told(lines_of_text("\ufeffA\r\n\r\nB\rC 甲\n".encode())) == ([(1, "A"), (3, "B"), (4, "C 甲")], [])
    assert told(lines_of_text("卡号：甲\n".encode("gb18030"))) == ([(1, "卡号：甲")], [])


def test_a_csv_file_gives_its_headed_or_its_only_column() -> None:
    headed = '名称,卡密\n月卡,A-1\n月卡,\n年卡,"A\n2"\n年卡,A-3\n'
    assert told(of_csv(headed)) == ([(2, "A-1"), (4, "A\n2"), (6, "A-3")], [])
    assert told(of_csv("A-1\nA-2,x\n,A-3\n")) == ([(1, "A-1"), (3, "A-3")], [(2, "unit_several_columns")])


@pytest.mark.parametrize("head", ["卡号,卡密", "账号,密码", "Account,Password", "密码,卡号"])
def test_no_line_brings_only_one_half_of_a_unit(head: str) -> None:
    sent = of_csv(f"{head},备注\nA-1,secret,x\nA-2,,x\n")
    assert told(sent) == ([(3, "A-2")], [(2, "unit_several_columns")])
    heads = [(column, name) for column, name in zip(COLUMNS, ("账号", "密码"), strict=True)]
    table = read_table(written_table(SHEET, heads, [["A-1", "secret"], ["A-2", ""]]), COLUMNS, sheet=SHEET, most=9)
    assert told(lines_of_table(table)) == ([(3, "A-2")], [(2, "unit_several_columns")])


def test_an_excel_file_gives_its_headed_column() -> None:
    data = written_table(SHEET, [(COLUMNS[0], "卡密")], [["A-1"], ["0012345678901234567"], ["=1+1"]])
    table = read_table(data, COLUMNS, sheet=SHEET, most=100)
    assert told(lines_of_table(table)) == ([(2, "A-1"), (3, "0012345678901234567"), (4, "=1+1")], [])


def test_an_import_has_a_bounded_number_of_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit_lines, "MAX_LINES", 2)
    assert lines_of_list(["a", "", "b"]).size == 2
    with pytest.raises(InvalidInput) as refused:
        lines_of_list(["a", "b\x00", "c"])
    assert refused.value.code == "too_many_lines"


def test_a_file_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        lines_of_text(b"\xff\xff\xff\xff")
    assert refused.value.code == "unknown_encoding"


def test_width_and_invisible_characters_make_no_other_unit_but_case_does() -> None:
    assert folded_unit("ＡＢＣ\u200b－１２　x") == folded_unit("ABC-12 x")
    assert folded_unit("https://pan.example/s/1aB") != folded_unit("https://pan.example/s/1ab")


def test_a_unit_is_stored_as_it_was_sent_without_the_blanks_around_it() -> None:
    assert clean_unit("  账号：甲\r\n密码：乙\t1 ") == "账号：甲\n密码：乙\t1"
    assert clean_unit("\u200b \ufeff") == ""
    assert len(clean_unit("x" * 2000)) == 2000


def test_a_masked_unit_shows_at_most_its_ends() -> None:
    assert [masked(text) for text in ("", "1234567", "12345678")] == ["…", "…", "12…78"]

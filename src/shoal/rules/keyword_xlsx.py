"""Rules as an Excel file in the format of the sellers' previous system: a keyword, at most one item, a text.

Such a file does not contain what it cannot express (pictures, several words, hours, …); reading one keeps those rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from shoal.errors import InvalidInput
from shoal.rules.keywords import KeywordRow, Rules, check_keyword, is_plain_text
from shoal.rules.rule import Rule, RuleKind
from shoal.sheets.xlsx import Column, Fault, Row, Table, UnusableRows

SHEET = "关键词数据"
COLUMNS = (
    Column("keyword", "关键词", "Keyword", width=24, needed=True),
    Column("item_id", "商品ID", "Item ID", width=20, needed=True),
    Column("reply", "关键词内容", "Reply", width=60, needed=True),
)
HEADS = tuple((column, column.zh) for column in COLUMNS)
EXAMPLES = (
    ("在吗", "", "在的，请问想了解哪一件？"),
    ("尺寸", "700000000001", "长 20 厘米，宽 15 厘米"),
    ("包邮", "", "{send_user_name}，全国包邮"),
)
_ITEM_ID = re.compile(r"[0-9A-Za-z]{1,64}")


def keyword_rows(rules: Iterable[Rule]) -> list[tuple[str, str, str]]:
    """Return the rows of the rules that such a file can express."""
    return [(rule.keyword, rule.item_id or "", rule.reply) for rule in rules if is_plain_text(rule)]


def rows_of_table(table: Table, rules: Rules) -> list[KeywordRow]:
    """Return the rows of such a file; they replace the text rules among ``rules``.

    Raises ``UnusableRows`` with the fault of each row, and ``InvalidInput`` (``no_rows``).
    """
    plain = {rule.key for rule in rules if is_plain_text(rule)}
    kinds = {rule.key: rule.kind for rule in reversed(rules) if rule.key not in plain}
    faults, rows = list(table.faults), []
    first: dict[tuple[str, str], int] = {}
    for source in table.rows:
        row = _row(source)
        faults += _faults(source.number, row, table.heads)
        if row.key in first:
            faults.append(Fault(source.number, table.heads["keyword"], _twice(row, first[row.key])))
        elif row.reply and kinds.get(row.key) is RuleKind.IMAGE:
            error = InvalidInput("a picture has that keyword", code="image_keyword_exists", keyword=row.keyword)
            faults.append(Fault(source.number, table.heads["keyword"], error))
        first.setdefault(row.key, source.number)
        rows.append(row)
    if faults:
        raise UnusableRows(faults)
    if not rows:
        raise InvalidInput("no row says anything", code="no_rows")
    return rows


def _row(source: Row) -> KeywordRow:
    texts = source.texts
    reply = texts["reply"] if texts["reply"].strip() else ""
    return KeywordRow(keyword=texts["keyword"].strip(), reply=reply, item_id=texts["item_id"].strip() or None)


def _faults(number: int, row: KeywordRow, heads: Mapping[str, str]) -> Iterator[Fault]:
    try:
        check_keyword(row.keyword, row.reply)
    except InvalidInput as error:
        yield Fault(number, heads["keyword"], error)
    if row.item_id and not _ITEM_ID.fullmatch(row.item_id):
        yield Fault(number, heads["item_id"], InvalidInput("an item id has letters and digits", code="bad_item_id"))


def _twice(row: KeywordRow, first: int) -> InvalidInput:
    return InvalidInput("a row says the same again", code="duplicate_row", keyword=row.keyword, first=first)

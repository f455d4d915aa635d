"""Reads the tables of an old system's MySQL database from a dump: ``CREATE TABLE`` and ``INSERT INTO``, nothing else.

Nothing of the dump is executed: it is cut into words, and only literals count as values.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

from shoal.errors import InvalidInput
from shoal.maintenance.moving.old_shop import Fate, Oddity
from shoal.maintenance.moving.tables import OldTables

_WORD = re.compile(
    r"""\s+ | --[^\n]* | \#[^\n]* | /\*.*?\*/
    | (?P<name>`(?:[^`]|``)*`)
    | (?P<text>'(?:[^'\\]++|\\.|'')*+'|"(?:[^"\\]++|\\.|"")*+")
    | (?P<hex>0[xX][0-9A-Fa-f]*|[xX]'[0-9A-Fa-f]*')
    | (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<word>[A-Za-z_][\w$]*)
    | (?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)|''|\"\"", re.DOTALL)
_ESCAPES: Final = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "Z": "\x1a"}
_WORDS: Final[dict[str, Any]] = {"null": None, "true": 1, "false": 0}
_KEYS: Final = frozenset({"primary", "key", "unique", "index", "constraint", "foreign", "fulltext", "spatial", "check"})

_Word = tuple[str, str]
"""The kind of a word (a group of ``_WORD``) and its text."""
_END: Final[_Word] = ("", "")


def read_mysql_dump(text: str, wanted: Collection[str]) -> OldTables:
    """Return the rows of the wanted tables. Raises ``InvalidInput`` (``moving_no_inserts``) when it has no ``INSERT``,
    and ``moving_dump_cut_off`` when it ends within a statement."""
    found, columns, names = OldTables(), dict[str, list[str]](), frozenset(wanted)
    words, any_insert = _words(text), False
    for kind, word in words:
        if kind != "word":
            continue
        said = word.lower()
        if said == "create":
            _learn_columns(words, columns, found, names)
        elif said in {"insert", "replace"}:
            any_insert = True
            _take(words, columns, found, names)
    if not any_insert and not found.rows:
        raise InvalidInput("there are no rows in it", code="moving_no_inserts")
    return found


def _words(text: str) -> Iterator[_Word]:
    for match in _WORD.finditer(text):
        if match.lastgroup is not None:
            if match.lastgroup == "sign" and match[0] in "'\"`":
                raise _cut_off()
            yield match.lastgroup, match[0]


def _cut_off() -> InvalidInput:
    return InvalidInput("the dump ends within a statement", code="moving_dump_cut_off")


def _learn_columns(
    words: Iterator[_Word], columns: dict[str, list[str]], found: OldTables, names: Collection[str]
) -> None:
    """Note the columns of a ``CREATE TABLE``, for inserts that do not name them."""
    table = _table_after(words, "table")
    if table not in names:
        return
    found.rows.setdefault(table, [])
    depth, is_first, mine = 1, True, list[str]()
    for kind, word in words:
        if (kind, word) == ("sign", "("):
            depth += 1
        elif (kind, word) == ("sign", ")"):
            depth -= 1
            if not depth:
                break
        elif depth == 1 and (kind, word) == ("sign", ","):
            is_first = True
            continue
        elif depth == 1 and is_first and (kind == "name" or (kind == "word" and word.lower() not in _KEYS)):
            mine.append(_name(word))
        is_first = False
    columns[table] = mine


def _table_after(words: Iterator[_Word], before: str) -> str:
    """Return the table that is named up to the next bracket or ``VALUES``; empty for another statement."""
    name = ""
    is_told = before != "table"
    for kind, word in words:
        if kind == "sign" and word in "(;":
            return name if is_told and word == "(" else ""
        if kind == "word" and word.lower() == before:
            is_told = True
        elif is_told and (kind == "name" or (kind == "word" and word.lower() not in {"if", "not", "exists"})):
            name = _name(word)
    return ""


def _take(words: Iterator[_Word], columns: dict[str, list[str]], found: OldTables, names: Collection[str]) -> None:
    """Read an ``INSERT INTO table [(columns)] VALUES (…), (…);``."""
    table, mine = "", list[str]()
    in_columns = False
    for kind, word in words:
        if kind == "sign" and word == ";":
            return
        if kind == "sign" and word in "()":
            in_columns = word == "("
        elif kind == "word" and word.lower() in {"values", "value"}:
            break
        elif in_columns and kind in {"name", "word"}:
            mine.append(_name(word))
        elif kind == "name" or (kind == "word" and word.lower() not in {"into", "ignore"}):
            table = _name(word)
    heads = mine or columns.get(table, [])
    if table in names and not heads:
        found.rows.setdefault(table, [])
        found.oddities.append(Oddity(table=table, row="", code="columns_unknown", fate=Fate.SKIPPED))
    for values in _rows(words):
        if table in names and heads:
            found.add(table, heads, values)


def _rows(words: Iterator[_Word]) -> Iterator[list[Any]]:
    values: list[Any] | None = None
    for kind, word in words:
        if kind == "sign" and word == "(" and values is None:
            values = []
        elif kind == "sign" and word == ")" and values is not None:
            yield values
            values = None
        elif kind == "sign" and word == ";" and values is None:
            return
        elif values is not None and kind != "sign" and not (kind == "word" and word.startswith("_")):
            values.append(_value(kind, word))  # a word such as _binary names the form of the next value
    if values is not None:
        raise _cut_off()


def _value(kind: str, word: str) -> Any:
    if kind == "text":
        return _unescaped(word[1:-1], word[0])
    if kind == "hex":
        return bytes.fromhex(word[2:].rstrip("'").rjust(len(word[2:].rstrip("'")) + len(word[2:].rstrip("'")) % 2, "0"))
    if kind == "number":
        return int(word) if word.lstrip("+-").isdigit() else word
    return _WORDS.get(word.lower(), word)


def _unescaped(text: str, quote: str) -> str:
    if "\\" not in text and quote * 2 not in text:
        return text
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]) if match[1] else match[0][0], text)


def _name(word: str) -> str:
    return word[1:-1].replace("``", "`") if word.startswith("`") else word

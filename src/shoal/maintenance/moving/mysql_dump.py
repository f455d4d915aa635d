"""Reads the tables of an old system's MySQL database from a dump: ``CREATE TABLE`` and ``INSERT INTO`` only."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

from shoal.maintenance.moving.dump_statements import DumpStatements, Word
from shoal.maintenance.moving.dump_text import DumpText, cut_off
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
_UNFINISHED = re.compile(r"""['"`]|/\*|[xX]'""")
_ESCAPE = re.compile(r"\\(.)|''|\"\"", re.DOTALL)
_ESCAPES: Final = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "Z": "\x1a"}
_BEGINNINGS: Final = ("-- MySQL dump", "-- MariaDB dump")
_END: Final = "-- Dump completed"
_WORDS: Final[dict[str, Any]] = {"null": None, "true": 1, "false": 0}


def read_mysql_dump(text: DumpText, wanted: Collection[str]) -> OldTables:
    """Return the rows of the wanted tables. Raises ``InvalidInput`` (``moving_no_inserts``) when it has no row, and
    ``moving_dump_cut_off`` when it ends within a statement, or before its end."""
    statements, words = DumpStatements(wanted), _words(text)
    for kind, word, _ in words:
        keyword = word.lower() if kind == "word" else ""
        if keyword == "create":
            statements.create(words)
        elif keyword in {"insert", "replace"}:
            statements.insert(words)
    for beginning in _BEGINNINGS:
        text.must_be_whole(beginning, _END)
    return statements.whole()


def _words(text: DumpText) -> Iterator[Word]:
    for match in text.words(_WORD, _UNFINISHED):
        kind, lexeme = match.lastgroup, match[0]
        if kind is None:
            continue
        if kind == "sign":
            if lexeme in "'\"`":
                raise cut_off()
            yield Word(kind, lexeme)
        elif kind == "name":
            yield Word(kind, lexeme[1:-1].replace("``", "`"))
        elif kind == "word":
            yield Word(kind, lexeme, _WORDS.get(lexeme.lower(), lexeme))
        else:
            yield Word("literal", lexeme, _value(kind, lexeme))


def _value(kind: str, word: str) -> Any:
    if kind == "text":
        return _unescaped(word[1:-1], word[0])
    if kind == "hex":
        digits = word[2:].rstrip("'")
        return bytes.fromhex(digits.rjust(len(digits) + len(digits) % 2, "0"))
    return int(word) if word.lstrip("+-").isdigit() else word


def _unescaped(text: str, quote: str) -> str:
    if "\\" not in text and quote * 2 not in text:
        return text
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]) if match[1] else match[0][0], text)

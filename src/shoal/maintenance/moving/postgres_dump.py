"""Reads the tables of an old system's PostgreSQL database from a plain dump: ``COPY`` blocks, or ``INSERT INTO``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

from shoal.maintenance.moving.dump_statements import DumpStatements, Word, cut_off, must_be_whole
from shoal.maintenance.moving.tables import OldTables

ARCHIVE_MAGIC: Final = b"PGDMP"
"""How a dump begins that only ``pg_restore`` reads."""
_BEGINNING: Final = "-- PostgreSQL database"
_END: Final = "dump complete"
_WORD = re.compile(
    r"""\s+ | --[^\n]* | /\*.*?\*/ | ^\\[^\n]*
    | (?P<name>"(?:[^"]|"")*+")
    | (?P<escaped>[eE]'(?:[^'\\]++|\\.|'')*+')
    | (?P<text>'(?:[^']++|'')*+')
    | (?P<body>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<sign>.)""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_COPY = re.compile(r"^COPY[ ](?P<table>[^\n(]+?)[ ]?\((?P<columns>[^\n]*)\)[ ]FROM[ ]stdin;\r?\n", re.MULTILINE)
_NAME = re.compile(r'"(?:[^"]|"")*+"|[^\s,."]+')
_ESCAPE = re.compile(r"\\([0-7]{1,3}|x[0-9A-Fa-f]{1,2}|.)", re.DOTALL)
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_WORDS: Final[dict[str, Any]] = {"null": None, "true": 1, "false": 0}


def is_postgres_dump(text: str) -> bool:
    """Return whether a dump is one of PostgreSQL."""
    return _BEGINNING in text[:1000] or _COPY.search(text) is not None


def read_postgres_dump(text: str, wanted: Collection[str]) -> OldTables:
    """Return the rows of the wanted tables. Raises ``InvalidInput`` (``moving_no_inserts``) when it has no row, and
    ``moving_dump_cut_off`` when it ends within a statement, or before its end."""
    must_be_whole(text, _BEGINNING, _END)
    statements, place = DumpStatements(wanted), 0
    while (copy := _COPY.search(text, place)) is not None:
        _read_statements(statements, text[place : copy.start()])
        place = text.find("\n\\.", copy.end() - 1)
        if place < 0:
            raise cut_off()
        columns = [_plain(name) for name in _NAME.findall(copy["columns"])]
        table = _plain(_NAME.findall(copy["table"])[-1])  # of ``schema.table`` the last one
        statements.take(table, columns, _lines(text[copy.end() : place]))
        place += len("\n\\.")
    _read_statements(statements, text[place:])
    return statements.whole()


def _lines(block: str) -> Iterator[list[Any]]:
    """Yield the values of each line of a block."""
    for line in block.split("\n") if block else ():
        yield [_field(field) for field in line.removesuffix("\r").split("\t")]


def _field(text: str) -> str | None:
    if text == "\\N":
        return None
    return _unescaped(text) if "\\" in text else text


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: _character(match[1]), text)


def _character(escape: str) -> str:
    if escape[0] == "x" and len(escape) > 1:
        return chr(int(escape[1:], 16))
    return chr(int(escape, 8)) if escape[0] in "01234567" else _ESCAPES.get(escape, escape)


def _read_statements(statements: DumpStatements, text: str) -> None:
    words = _words(text)
    for kind, word, _ in words:
        keyword = word.lower() if kind == "word" else ""
        if keyword == "create":
            statements.create(words)
        elif keyword == "insert":
            statements.insert(words)


def _words(text: str) -> Iterator[Word]:
    for match in _WORD.finditer(text):
        kind, lexeme = match.lastgroup, match[0]
        if kind == "sign":
            if lexeme in "'\"":
                raise cut_off()
            yield Word(kind, lexeme)
        elif kind == "name":
            yield Word(kind, _plain(lexeme))
        elif kind == "word":
            yield Word(kind, lexeme, _WORDS.get(lexeme.lower(), lexeme))
        elif kind == "number":
            yield Word("literal", lexeme, int(lexeme) if lexeme.lstrip("+-").isdigit() else lexeme)
        elif kind is not None:
            yield Word("literal", lexeme, _text_of(kind, lexeme))


def _text_of(kind: str, lexeme: str) -> str:
    if kind == "text":
        return lexeme[1:-1].replace("''", "'")
    if kind == "escaped":
        return _unescaped(lexeme[2:-1].replace("''", "'"))
    return lexeme


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name

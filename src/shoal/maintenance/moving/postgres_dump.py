"""Reads the tables of an old system's PostgreSQL database from a plain dump: ``COPY`` blocks, or ``INSERT INTO``."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, Final

from shoal.maintenance.moving.dump_statements import DumpStatements, Word
from shoal.maintenance.moving.dump_text import DumpText, cut_off
from shoal.maintenance.moving.tables import OldTables

ARCHIVE_MAGIC: Final = b"PGDMP"
"""How a dump begins that only ``pg_restore`` reads."""
BEGINNING: Final = "-- PostgreSQL database"
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
_UNFINISHED = re.compile(r"""['"]|/\*|[eE]'|\$\w*(?:\$|\Z)""")
COPY: Final = re.compile(r"^COPY[ ][^\n(]+\([^\n]*\)[ ]FROM[ ]stdin;\r?\n", re.MULTILINE)
"""The line before the rows of a table."""
_LAST_LINE: Final = "\\."
_ESCAPE = re.compile(r"\\([0-7]{1,3}|x[0-9A-Fa-f]{1,2}|.)", re.DOTALL)
_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_WORDS: Final[dict[str, Any]] = {"null": None, "true": 1, "false": 0}


def read_postgres_dump(text: DumpText, wanted: Collection[str]) -> OldTables:
    """Return the rows of the wanted tables. Raises ``InvalidInput`` (``moving_no_inserts``) when it has no row, and
    ``moving_dump_cut_off`` when it ends within a statement, or before its end."""
    statements = DumpStatements(wanted)
    while _read_statements(statements, text):  # up to a block of lines
        pass
    text.must_be_whole(BEGINNING, _END)
    return statements.whole()


def _read_statements(statements: DumpStatements, text: DumpText) -> bool:
    """Read statements up to the next ``COPY``, and its block. Return whether there was one."""
    words = _words(text)
    for kind, word, _ in words:
        keyword = word.lower() if kind == "word" else ""
        if keyword == "create":
            statements.create(words)
        elif keyword == "insert":
            statements.insert(words)
        elif keyword == "copy":
            table, columns, is_block = _copy(words)
            if is_block:
                statements.take(table, columns, _block(text))
                return True
    return False


def _copy(words: Iterator[Word]) -> tuple[str, list[str], bool]:
    """Read what follows ``COPY``: table, columns, and whether a block of lines comes."""
    table, columns, source, depth = "", list[str](), "", 0
    for kind, word, _ in words:
        if (kind, word) == ("sign", ";"):
            return table, columns, source == "stdin"
        if kind == "sign":
            depth += {"(": 1, ")": -1}.get(word, 0)
        elif depth:
            columns.append(word)
        elif kind == "word" and word.lower() == "from":
            source = "from"
        elif source:
            source = word.lower()
        else:
            table = word  # of ``schema.table`` the last one
    raise cut_off()


def _block(text: DumpText) -> Iterator[list[Any]]:
    """Yield the values of each line of a block."""
    lines = text.lines()
    next(lines, "")  # what is left of the line of COPY
    for line in lines:
        if line == _LAST_LINE:
            return
        yield [_field(field) for field in line.split("\t")]
    raise cut_off()


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


def _words(text: DumpText) -> Iterator[Word]:
    for match in text.words(_WORD, _UNFINISHED):
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
    return name[1:-1].replace('""', '"')

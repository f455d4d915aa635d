"""Reads what browsers put on the clipboard: a command for cURL (bash or cmd), or a block of request headers."""

from __future__ import annotations

import re
import shlex

_CURL = re.compile(r"curl(\.exe)?\s", re.IGNORECASE)
_ANSI_QUOTED = re.compile(r"\$'((?:\\.|[^'\\])*)'", re.DOTALL)
_ANSI_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ANSI_LETTERS = {"n": "\n", "r": "\r", "t": "\t"}
_HEADER_NAME = re.compile(r":?[a-z][a-z0-9-]*", re.IGNORECASE)
_HEADER_LINE = re.compile(r"(:?[a-z][a-z0-9-]*):[ \t]*(.*)", re.IGNORECASE)
_REQUEST_LINE = re.compile(r"(?:GET|POST|PUT|OPTIONS|HEAD)[ \t]+\S+[ \t]+HTTP/[0-9.]+", re.IGNORECASE)
_FEWEST_LINES = 2

Headers = list[tuple[str, str]]
"""Pairs of a name in lower case and a value, in the order of the text."""


def is_curl(text: str) -> bool:
    """Return whether a text is a command for cURL."""
    return bool(_CURL.match(text))


def curl_words(text: str) -> list[str]:
    """Return the words of a command, its quotes and line ends undone. Raises ``ValueError`` for an open quote."""
    unfolded = _undo_cmd(text) if '^"' in text else re.sub(r"\\\r?\n", " ", text)
    quoted = _ANSI_QUOTED.sub(lambda match: shlex.quote(_undo_ansi(match[1])), unfolded)
    return shlex.split(re.sub(r"\^\r?\n", " ", quoted))


def curl_headers(words: list[str]) -> Headers:
    """Return the headers of a command, and its cookies as a header."""
    found: Headers = []
    for position, word in enumerate(words):
        following = words[position + 1] if position + 1 < len(words) else ""
        if word in {"-b", "--cookie"}:
            found.append(("cookie", following))
        elif word.startswith("--cookie="):
            found.append(("cookie", word.removeprefix("--cookie=")))
        elif word in {"-A", "--user-agent"}:
            found.append(("user-agent", following))
        elif word in {"-H", "--header"}:
            name, colon, value = following.partition(":")
            if colon:
                found.append((name.strip().lower(), value.strip()))
    return found


def header_block(text: str) -> Headers:
    """Return the headers of a block: ``name: value`` lines, or, as newer browsers copy them, name and value by turns.

    Empty when the text is no block of headers: a block has several lines and begins with a name.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and _REQUEST_LINE.fullmatch(lines[0]):
        lines = lines[1:]
    if len(lines) < _FEWEST_LINES:
        return []
    if all(_HEADER_LINE.fullmatch(line) for line in lines):
        found = (_HEADER_LINE.fullmatch(line) for line in lines)
        return [(one[1].lower(), one[2].strip()) for one in found if one]
    names = [line.removesuffix(":") for line in lines[::2]]
    if len(lines) % 2 == 0 and all(_HEADER_NAME.fullmatch(name) for name in names):
        return [(name.lower(), value) for name, value in zip(names, lines[1::2], strict=True)]
    return []


def _undo_cmd(text: str) -> str:
    """Undo the escaping of the Windows command prompt: a caret before each special character."""
    joined = re.sub(r"\^\r?\n", " ", text)
    return re.sub(r"\^(.)", r"\1", joined, flags=re.DOTALL)


def _undo_ansi(body: str) -> str:
    def one(match: re.Match[str]) -> str:
        escape = match[1]
        if len(escape) > 1:
            return chr(int(escape[1:], 16))
        return _ANSI_LETTERS.get(escape, escape)

    return _ANSI_ESCAPE.sub(one, body)

"""Reads what browsers put on the clipboard: a request as a command (cURL for bash or cmd, PowerShell), as a call of
``fetch``, or as a block of headers."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field

_CURL = re.compile(r"(?:[$>]\s+)?curl(\.exe)?\s", re.IGNORECASE)
_FETCH = re.compile(r"(?:await\s+)?fetch\(")
_FETCH_HEADERS = re.compile(r"\"headers\"\s*:\s*")
_POWERSHELL = re.compile(r"\bInvoke-WebRequest\b|\bWebRequestSession\b")
_TEXT = r"\"((?:`.|[^\"`])*)\""
_POWERSHELL_COOKIE = re.compile(rf"System\.Net\.Cookie\({_TEXT}, *{_TEXT}(?:, *{_TEXT})?(?:, *{_TEXT})?\)")
_POWERSHELL_HEADER = re.compile(rf"^\s*{_TEXT}\s*=\s*{_TEXT}\s*$", re.MULTILINE)
_POWERSHELL_AGENT = re.compile(rf"\.UserAgent\s*=\s*{_TEXT}")
_ADDRESS = re.compile(r"\"(https://[^\"\s]+)\"")
_OPTIONS = {
    "-b": "cookie", "--cookie": "cookie", "-A": "user-agent", "--user-agent": "user-agent", "-H": "", "--header": "",
}  # fmt: skip
"""Options of cURL that set a header, with its name; empty where the name stands in the value."""
_ANSI_QUOTED = re.compile(r"\$'((?:\\.|[^'\\])*)'", re.DOTALL)
_ANSI_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ANSI_LETTERS = {"n": "\n", "r": "\r", "t": "\t"}
_HEADER_NAME = re.compile(r":?[a-z][a-z0-9-]*", re.IGNORECASE)
_HEADER_LINE = re.compile(r"(:?[a-z][a-z0-9-]*):[ \t]*(.*)", re.IGNORECASE)
_REQUEST_LINE = re.compile(r"(?:GET|POST|PUT|OPTIONS|HEAD)[ \t]+\S+[ \t]+HTTP/[0-9.]+", re.IGNORECASE)
_FEWEST_LINES = 2

Headers = list[tuple[str, str]]
"""Pairs of a name in lower case and a value, in the order of the text."""


@dataclass(frozen=True, slots=True)
class PastedRequest:
    """A request as it was copied. ``cookies`` are names, values and domains where the text has them apart."""

    headers: Headers = field(repr=False)
    address: str = field(default="", repr=False)
    cookies: list[tuple[str, str, str]] = field(default_factory=list, repr=False)


def request_in(text: str) -> PastedRequest | None:
    """Return the request in a text, ``None`` when it is none. Raises ``ValueError`` for an open quote."""
    if _CURL.match(text):
        words = curl_words(text)
        return PastedRequest(_curl_headers(words), next((word for word in words if word.startswith("https://")), ""))
    if _FETCH.match(text):
        return PastedRequest(_fetch_headers(text), _address_in(text))
    if _POWERSHELL.search(text):
        return _powershell_request(text)
    headers = header_block(text)
    return PastedRequest(headers, dict(headers).get(":path", "")) if headers else None


def curl_words(text: str) -> list[str]:
    """Return the words of a command, its quotes and line ends undone. Raises ``ValueError`` for an open quote."""
    unfolded = _undo_cmd(text) if '^"' in text else re.sub(r"\\\r?\n", " ", text)
    quoted = _ANSI_QUOTED.sub(lambda match: shlex.quote(_undo_ansi(match[1])), unfolded)
    return shlex.split(re.sub(r"\^\r?\n", " ", quoted))


def _curl_headers(words: list[str]) -> Headers:
    """Return the headers of a command, and its cookies as a header. A value may be in one word with its option."""
    found: Headers = []
    for word, following in zip(words, [*words[1:], ""], strict=True):
        option = next((one for one in _OPTIONS if word == one or word.startswith(f"{one}=")), word[:2])
        if option not in _OPTIONS:
            continue
        line = following if word == option else word.removeprefix(option).removeprefix("=" if option[1] == "-" else "")
        name, colon, value = (_OPTIONS[option], ":", line) if _OPTIONS[option] else line.partition(":")
        if colon:
            found.append((name.strip().lower(), value.strip()))
    return found


def _fetch_headers(text: str) -> Headers:
    found = _FETCH_HEADERS.search(text)
    try:
        headers, _ = json.JSONDecoder().raw_decode(text, found.end()) if found else ({}, 0)
    except (ValueError, RecursionError):
        return []
    pairs = headers.items() if isinstance(headers, dict) else ()
    return [(name.lower(), value) for name, value in pairs if isinstance(value, str)]


def _powershell_request(text: str) -> PastedRequest:
    headers = [
        (_undo_powershell(name).lower(), _undo_powershell(value)) for name, value in _POWERSHELL_HEADER.findall(text)
    ]
    agent = _POWERSHELL_AGENT.search(text)
    if agent:
        headers.append(("user-agent", _undo_powershell(agent[1])))
    cookies = [
        (_undo_powershell(name), _undo_powershell(value), domain)
        for name, value, _path, domain in _POWERSHELL_COOKIE.findall(text)
    ]
    return PastedRequest(headers, _address_in(text), cookies)


def _address_in(text: str) -> str:
    found = _ADDRESS.search(text)
    return found[1] if found else ""


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


def _undo_powershell(text: str) -> str:
    return re.sub(r"`(.)", r"\1", text, flags=re.DOTALL)


def _undo_ansi(body: str) -> str:
    def one(match: re.Match[str]) -> str:
        escape = match[1]
        if len(escape) > 1:
            return chr(int(escape[1:], 16))
        return _ANSI_LETTERS.get(escape, escape)

    return _ANSI_ESCAPE.sub(one, body)

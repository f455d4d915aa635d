"""Removes secrets from what is written down: by the name of a field, and by the form of a text.

This is the last safeguard. What Shoal logs on purpose holds no secret, but an exception, a library or a foreign page
may quote one. So the rules rather remove too much than too little. A *mark* replaces each secret: ``#`` and a
fingerprint where the fingerprint is useless to a thief, ``***`` where users choose the secret or it is short. A second
run changes nothing more.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

import re2

HIDDEN: Final = "***"
MAX_CHARACTERS: Final = 65_536
"""The longest text; the rest is cut off."""
_MAX_DEPTH: Final = 8
_MAX_ENCODINGS: Final = 4
"""How many layers of percent-encoding are decoded."""
_SMALL_NUMBER: Final = 99_999
"""A number up to this next to the name of a secret is a count."""
_IGNORING_CASE: Final = re.IGNORECASE
_SHORT: Final = 100
_MOST_HARMLESS: Final = 4_096
_harmless: Final[set[str]] = set()
"""Short texts that were found to hold no secret: names of accounts, users and fields come again and again."""

# ── fields, by their names ──────────────────────────────────────────────────────────────────────────────────────

_GUESSABLE_KEY = re.compile(r"passw(or)?d|passwd|pwd|passphrase|passcode|otp|seed|recovery|密码|口令", _IGNORING_CASE)
"""Secrets that users choose or type: a thief could guess them from a fingerprint, so the mark shows nothing."""
_SECRET_KEY = re.compile(
    r"cookie|token|authorization|secret|(api|private)[_-]?key|x5sec|credential|invitation|令牌|"
    r"^(_m_h5_tk.*|sgcookie|unb|csg|(__host-)?shoal_session)$",
    _IGNORING_CASE,
)
_HARMLESS_KEY = re.compile(r"fingerprint$|_(id|hash|count|names?|version|seconds)$", _IGNORING_CASE)


def redact_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Remove secrets at any depth. Texts, numbers, lists and mappings keep their type; all else becomes a text."""
    return {name: _by_key(name, value, 0) for name, value in fields.items()}


@lru_cache(maxsize=1024)
def _how_to_hide(name: str) -> Callable[[Any], Any] | None:
    """Return what a value becomes beside that name; ``None``: nothing else, if its text holds no secret."""
    if _GUESSABLE_KEY.search(name):
        return lambda _: HIDDEN
    return _hidden if _SECRET_KEY.search(name) and not _HARMLESS_KEY.search(name) else None


def _by_key(name: object, value: Any, depth: int) -> Any:
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    hide = _how_to_hide(name) if isinstance(name, str) else None
    if hide is None or _is_harmless(value):
        return _cleaned(value, depth, multiline=name in {"exception", "stack"})
    return hide(value)


def _is_harmless(value: Any) -> bool:
    """Return whether the value is harmless even next to the name of a secret."""
    if isinstance(value, int | float):
        return abs(value) <= _SMALL_NUMBER
    return value is None or (isinstance(value, str | bytes | Mapping | list | tuple | set | frozenset) and not value)


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return _mark(value)
    if isinstance(value, bytes):
        return _mark(value.decode("latin-1"))
    if isinstance(value, Mapping):
        return {_cleaned(name, 1): _hidden_part(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_hidden_part(part) for part in value]
    return HIDDEN


def _hidden_part(part: Any) -> Any:
    return _hidden(part) if isinstance(part, str | bytes) else HIDDEN


def _cleaned(value: Any, depth: int, *, multiline: bool = False) -> Any:
    if isinstance(value, bytes | bytearray):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, str):
        return _cleaned_text(value, multiline=multiline)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= _MAX_DEPTH:
        return HIDDEN
    if isinstance(value, Mapping):
        return {_cleaned(name, depth + 1): _by_key(name, part, depth + 1) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return _cleaned_parts(list(value), depth + 1)
    return _without_control(redact_text(_as_text(value)))


def _cleaned_text(text: str, *, multiline: bool) -> str:
    if text in _harmless:
        return text
    cleaned = _without_control(redact_text(text), kept="\n\t" if multiline else "")
    if cleaned == text and not multiline and len(text) <= _SHORT:
        if len(_harmless) >= _MOST_HARMLESS:
            _harmless.clear()
        _harmless.add(text)
    return cleaned


def _cleaned_parts(parts: list[Any], depth: int) -> list[Any]:
    if len(parts) == 2 and isinstance(parts[0], str | bytes):  # the form of headers
        return [_cleaned(parts[0], depth), _by_key(parts[0], parts[1], depth)]
    return [_cleaned(part, depth) for part in parts]


def _without_control(text: str, *, kept: str = "") -> str:
    return _CONTROL.sub(lambda found: found[0] if found[0] in kept else ascii(found[0])[1:-1], text)


def _as_text(value: Any) -> str:
    try:
        return f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else repr(value)
    except Exception:  # noqa: BLE001  any error of a foreign repr: the line must still be written
        return f"<{type(value).__name__}>"


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# ── texts, by their form ────────────────────────────────────────────────────────────────────────────────────────

_RANDOM = (
    r"(?:set-)?cookies?\d*|_m_h5_tk(?:_enc)?|sgcookie|unb|_tb_token_|csg|x5sec\w*|havana_lgc\w*|tokens?|令牌|"
    r"u4ee4\\+u724c|secrets?(?:[_-]?(?:access[_-]?)?keys?)?|(?:api|private)[_-]?keys?|(?:proxy-)?authorization|credentials?|"
    r"invitations?|shoal_session"
)
"""Names of secrets that machines make: long and random."""
_GUESSABLE = (
    r"passw(?:or)?ds?|passwd|pwd|passphrase|passcode|t?otp|seed|recovery[_-]?codes?|密码|口令|"
    r"u5bc6\\+u7801|u53e3\\+u4ee4"
)
"""Names of secrets that users choose or type. Chinese also in JSON's notation."""
_NAMED = re.compile(
    rf"(?<![\w.-])[\w.-]*?(?:(?P<guessable>{_GUESSABLE})|{_RANDOM})(?P<quote>\\*[\"'])?\s{{0,9}}(?P<sign>=>|[=:：]|\\+uff1a)\s{{0,9}}",
    _IGNORING_CASE,
)
"""A name before its value: in a query, a cookie, JSON, a dictionary's ``repr``, the arguments of a call; also in a text
inside a text, where quotes follow backslashes.
"""
_NAMES = re2.compile(f"(?i){_GUESSABLE}|{_RANDOM}")
"""Finds quickly whether a text holds a name at all; most hold none."""
_OPENING = re.compile(r"[bBuU]?(\\*[\"'])")
_BARE = re.compile(r"[^\s;,&\"'<>(){}\[\]\\]*")
_END_OF_TYPED = re.compile(r"[\r\n&]|\s[\w.-]{1,64}\s?=")
"""The end of a value that users type: it may hold anything but this."""
_BRACKET = re.compile(r"[\[\](){}]")
_MOST_LISTED = 4_096
_LINE_HEADER = re.compile(
    r"(?<![\w\"'\\-])((?:set-)?cookie2?|(?:proxy-)?authorization)(\s*:\s*)(?![\s\"'\[{])([^\r\n]+)", _IGNORING_CASE
)
_BEARER = re.compile(r"\b(bearer|basic)([\s,]+)([\w.~+/=-]{6,})", _IGNORING_CASE)
_TUPLE = re.compile(
    rf"(\(\s*b?(\\*[\"'])[\w-]*?(?:{_RANDOM})\2\s*,\s*b?(\\*[\"']))(.{{0,4096}}?)(?<!\\)(?=\3|$)", _IGNORING_CASE
)
_PORT = re.compile(r"\d{1,5}/")
_USER_BEFORE_HOST = re.compile(r"(?<![\w/@.%+-])[\w.%+-]+:[^\s/@:\"'<>]+@(?=[\w.-]+:\d)")
_OTPAUTH = re.compile(r"(otpauth://)[^\s\"'<>\\]+", _IGNORING_CASE)
_OWN_TOKEN = re.compile(r"\bshoal_(?=[\w-]*\d)[\w-]{16,}")
_AFTER_JOIN = re.compile(r"(\bjoin#)[\w~.+/=-]{6,}", _IGNORING_CASE)
_IN_QUERY = re.compile(r"([?&](?:key|code|sign|sig|signature)=)([^\s&#\"'<>]+)", _IGNORING_CASE)
_SIX_DIGITS = re.compile(r"(?<![\w.-])(code(?:\\*[\"'])?\s*[=:]\s*(?:\\*[\"'])?)\d{6}\b", _IGNORING_CASE)
_BOT = re.compile(r"(/bot\d+:)[\w-]+")
_BASE32 = re.compile(r"\b(?:[A-Z2-7]{32}(?:[A-Z2-7]{20})?|(?:[A-Z2-7]{4} ){3,15}[A-Z2-7]{4})\b")
_COOKIES = re.compile(r"(?<![^\s;\"',])[\w.$-]+=[^;\s\"',]*(?:;\s*[\w.$-]+=[^;\s\"',]*)+")
_KNOWN_COOKIE = re.compile(
    r"(?<![\w.$-])(?:unb|cookie\d+|_m_h5_tk\w*|sgcookie|_tb_token_|csg|cna|xsrf-token|tracknick)="
)
_COOKIE_VALUE = re.compile(r"(=)([^;\s]+)")
_TAB = r"(?:\t|\\+t)"
_NETSCAPE = re.compile(
    rf"({_TAB}(?:TRUE|FALSE){_TAB}[^\t\r\n\\]*{_TAB}(?:TRUE|FALSE){_TAB}\d+{_TAB}[^\t\\\r\n]+{_TAB})([^\t\\\r\n]+)"
)
_VALUE_OF_COOKIE = re.compile(r"((\\*[\"'])value\2\s*:\s*\2)(.*?)(?<!\\)(?=\2|$)", _IGNORING_CASE)
_COOKIE_IN_JSON = re.compile(r"[\"'](?:httpOnly|hostOnly|sameSite|domain|name)\\*[\"']\s*:", _IGNORING_CASE)
_OPAQUE = re.compile(r"(?=[^a-z]*[a-z])(?=[^A-Z]*[A-Z])(?=\D*\d)[\w-]{32,}")
_LONG_WORD = re.compile(r"[\w-]{32,}")
_RUN = re.compile(r"[^\s\"'<>]+")
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_SUSPICIOUS = re.compile(r"[:=@%#\t：\\]|shoal_|[Bb](?:earer|asic|EARER|ASIC)\s|[A-Z2-7]{32}|(?:[A-Z2-7]{4} ){3}")
"""What at least one of the patterns needs. Most texts hold none of it, and this check saves time on each log line."""
_DIGIT = re.compile(r"[2-7]")
_MARK = re.compile(r"#[0-9a-f]{8}|\*\*\*")
_NOTHING = re.compile(r"none|null|true|false|\d{1,5}", _IGNORING_CASE)


def redact_text(text: str) -> str:
    """Return the text without its cookies, tokens and passwords."""
    if len(text) > MAX_CHARACTERS:
        text = f"{text[:MAX_CHARACTERS]}…"
    return _redacted(text, _MAX_ENCODINGS) if _SUSPICIOUS.search(text) else text


def redact_path(path: str) -> str:
    """Return the path of a request without parts that look like a token: a caller may have put one there by mistake."""
    return _LONG_WORD.sub(lambda run: _mark(run[0]) if _OPAQUE.fullmatch(run[0]) else run[0], path)


def _redacted(text: str, encodings: int) -> str:
    if "@" in text and "://" in text:
        text = _RUN.sub(lambda run: _without_user(run[0]), text)
    if encodings and "%" in text:
        text = _RUN.sub(lambda run: _decoded(run[0], encodings - 1), text)
    for needed, pattern, stand_in in _FORMS:
        if needed in text:
            text = pattern.sub(stand_in, text)
    if _NAMES.search(text):
        text = _LINE_HEADER.sub(_marked, text)
        text = _TUPLE.sub(lambda found: f"{found[1]}{_mark(found[4])}", text)
        text = _without_named(text)
    text = _IN_QUERY.sub(_marked, text)
    if _COOKIE_IN_JSON.search(text):
        text = _VALUE_OF_COOKIE.sub(lambda found: f"{found[1]}{_mark(found[3])}", text)
    return _BASE32.sub(lambda found: HIDDEN if _DIGIT.search(found[0]) else found[0], text)


def _decoded(run: str, encodings: int) -> str:
    """Clean the decoded text; keep the percent-encoded form unless it holds a secret."""
    if not _ENCODED.search(run):
        return run
    plain = unquote(run)
    clean = _redacted(plain, encodings)
    return run if clean == plain else clean


def _without_user(run: str) -> str:
    """Remove the user and the password from a URL; they may hold any character."""
    before, sign, rest = run.partition("://")
    user, at, after = rest.rpartition("@")
    if not at:
        return run
    name, colon, password = user.partition(":")
    if "/" in name or (colon and _PORT.match(password)):  # the @ is part of a path
        return run
    return f"{before}{sign}{HIDDEN}@{after}"


def _cookies(text: str) -> str:
    """Hide the values of all cookies in a list that contains one of the site's cookies."""
    if not _KNOWN_COOKIE.search(text):
        return text
    return _COOKIE_VALUE.sub(lambda found: f"{found[1]}{_mark(found[2])}", text)


def _without_named(text: str) -> str:
    """Return the text without the values that follow the name of a secret."""
    kept: list[str] = []
    done = 0
    while named := _NAMED.search(text, done):
        start, end, stand_in = _value(text, named)
        kept += [text[done:start], stand_in]
        done = max(end, named.end())
    return "".join([*kept, text[done:]]) if kept else text


def _value(text: str, named: re.Match[str]) -> tuple[int, int, str]:
    """Return where the value begins and ends, and its replacement. A value that was cut off ends with the text."""
    start, guessable = named.end(), named["guessable"] is not None
    if opening := _OPENING.match(text, start):
        start = opening.end()
        end = _closing(text, opening[1], start)
        value = text[start:end]
        return start, end, HIDDEN if guessable and value else _mark(value)
    if text[start : start + 1] in {"[", "(", "{"}:
        end = _closing_bracket(text, start)
        return start + 1, end, HIDDEN if end > start + 1 else ""
    bare = _BARE.match(text, start)
    value = bare[0] if bare else ""
    if _NOTHING.fullmatch(value) and not (guessable and value.isdigit()):
        return start, start, ""
    if guessable:
        end_of_typed = _END_OF_TYPED.search(text, start)
        end = end_of_typed.start() if end_of_typed else len(text)
        return start, end, HIDDEN if end > start else ""
    in_a_sentence = named["sign"] != "=" and named["quote"] is None
    if in_a_sentence and len(value) < 20 and not (len(value) >= 8 and any(letter.isdigit() for letter in value)):
        return start, start, ""  # "cookie: expired"
    return start, start + len(value), _mark(value)


def _closing(text: str, quote: str, start: int) -> int:
    end = text.find(quote, start)
    while end > start and text[end - 1] == "\\":
        end = text.find(quote, end + 1)
    return len(text) if end < 0 else end


def _closing_bracket(text: str, start: int) -> int:
    depth = 0
    for bracket in _BRACKET.finditer(text, start, start + _MOST_LISTED):
        depth += 1 if bracket[0] in "[({" else -1
        if depth == 0:
            return bracket.start()
    return min(len(text), start + _MOST_LISTED)


def _marked(found: re.Match[str]) -> str:
    """Return the groups of a match, the last of them as a mark."""
    *kept, secret = found.groups()
    return "".join(kept) + _mark(secret)


def _mark(secret: str) -> str:
    """Return the mark of a secret: enough to see that two secrets are equal, useless to a thief."""
    if not secret or _MARK.fullmatch(secret):
        return secret
    return f"#{fingerprint(secret)}" if len(secret) >= 8 else HIDDEN


_FORMS: Final[tuple[tuple[str, re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]] = (
    ("://", _OTPAUTH, rf"\1{HIDDEN}"),
    ("@", _USER_BEFORE_HOST, f"{HIDDEN}@"),
    ("#", _AFTER_JOIN, rf"\1{HIDDEN}"),
    ("shoal_", _OWN_TOKEN, lambda found: f"shoal_{_mark(found[0])}"),
    ("", _SIX_DIGITS, rf"\1{HIDDEN}"),
    ("/bot", _BOT, rf"\1{HIDDEN}"),
    (";", _COOKIES, lambda found: _cookies(found[0])),
    ("", _BEARER, _marked),
    ("", _NETSCAPE, _marked),
)
"""What a text must hold for a form, how the form looks, and what takes its place."""


def fingerprint(secret: str) -> str:
    """Return the first 8 hex digits of SHA-256: enough to compare, useless to a thief."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]

"""What is logged, and how: one line per event, for a terminal or as JSON, with every secret taken out on the way."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from enum import Enum, auto
from functools import lru_cache
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from shoal.account import fingerprint

HIDDEN: Final = "***"
_MAX_DEPTH: Final = 8

_GUESSABLE_KEY = re.compile(r"passw(or)?d|passwd|pwd|passphrase", re.IGNORECASE)
"""A fingerprint of something that people make up could be guessed back, so nothing of it is shown."""
_SECRET_KEY = re.compile(
    r"cookie|token|authorization|secret|api[_-]?key|x5sec|^(_m_h5_tk.*|sgcookie|unb)$", re.IGNORECASE
)
_HARMLESS_KEY = re.compile(r"fingerprint$|_(id|hash|count|names?|version|seconds)$", re.IGNORECASE)

_FINGERPRINTED = (
    r"_m_h5_tk(?:_enc)?|cookie\d*|sgcookie|unb|_tb_token_|csg|x5sec\w*|havana_lgc\w*|XSRF-TOKEN|"
    r"\w*tokens?|secret\w*|api_?key"
)
_STARRED = r"\w*passw(?:or)?d|passwd|pwd|passphrase"
_LINE_HEADER = re.compile(r"\b((?:set-)?cookie2?|(?:proxy-)?authorization)(['\"]?\s*:\s*)([^\r\n]+)", re.IGNORECASE)
_BEARER = re.compile(r"\b(bearer|basic)\s+([\w.~+/=-]{6,})", re.IGNORECASE)
_PAIR = re.compile(rf"(?<!\w)({_FINGERPRINTED})(\s*=\s*|%3D)([^\s;,&\"'<>(){{}}\[\]]+)", re.IGNORECASE)
_QUOTED = re.compile(rf"([\"'])({_FINGERPRINTED})(\1\s*:\s*)([\"'])(.*?)(?<!\\)\4", re.IGNORECASE)
_PASSWORD_PAIR = re.compile(rf"(?<!\w)({_STARRED})(\s*=\s*|%3D)([^\s;,&\"'<>]+)", re.IGNORECASE)
_PASSWORD_QUOTED = re.compile(rf"([\"'])({_STARRED})(\1\s*:\s*)([\"'])(.*?)(?<!\\)\4", re.IGNORECASE)
_IN_URL = re.compile(r"(\w[\w+.-]*://[^\s/:@]*):([^\s/@]+)@")
_SUSPICIOUS = re.compile(r"[:=]|%3D|(?:bearer|basic)\s", re.IGNORECASE)
"""What every one of these needs: most texts hold none of it, and a log line of many fields is made a thousand times."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def configure_logging(*, level: str = "INFO", json: bool = False, stream: TextIO | None = None) -> None:
    """Send everything that is logged, by us or by a library, through one handler on ``stream`` (stderr).

    ``level`` is for Shoal's own loggers; libraries speak from WARNING on, and of each request one line at INFO.
    """
    out = stream or sys.stderr
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _request_line],
            pass_foreign_args=True,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact_event,
                structlog.processors.JSONRenderer(ensure_ascii=False) if json else _text_renderer(out),
            ],
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("shoal").setLevel(level)
    requests = logging.getLogger("uvicorn.access")
    requests.setLevel(max(logging.INFO, logging.getLevelNamesMapping()[level]))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    logging.captureWarnings(capture=True)


def redact_event(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    """The processor that takes secrets out: by the name of the field, and by what a text looks like."""
    return {name: _by_key(name, value, 0) for name, value in event_dict.items()}


def redact_text(text: str) -> str:
    """A text without its cookies, tokens and passwords. Doing it twice changes nothing more."""
    if not _SUSPICIOUS.search(text):
        return text
    text = _IN_URL.sub(rf"\1:{HIDDEN}@", text)
    text = _LINE_HEADER.sub(lambda found: f"{found[1]}{found[2]}{_mark(found[3])}", text)
    text = _BEARER.sub(lambda found: f"{found[1]} {_mark(found[2])}", text)
    text = _PASSWORD_QUOTED.sub(rf"\1\2\3\4{HIDDEN}\4", text)
    text = _PASSWORD_PAIR.sub(rf"\1\2{HIDDEN}", text)
    text = _QUOTED.sub(lambda found: f"{found[1]}{found[2]}{found[3]}{found[4]}{_mark(found[5])}{found[4]}", text)
    return _PAIR.sub(lambda found: f"{found[1]}{found[2]}{_mark(found[3])}", text)


_MARK = re.compile(r"#[0-9a-f]{8}|\*\*\*")


def _mark(secret: str) -> str:
    """What stands for a secret: enough to see that two are the same, useless to a thief."""
    if not secret or _MARK.fullmatch(secret):
        return secret
    return f"#{fingerprint(secret)}" if len(secret) >= 8 else HIDDEN


class _Kind(Enum):
    GUESSABLE = auto()
    SECRET = auto()
    HARMLESS = auto()


@lru_cache(maxsize=1024)
def _kind_of_key(name: str) -> _Kind:
    if _GUESSABLE_KEY.search(name):
        return _Kind.GUESSABLE
    return _Kind.SECRET if _SECRET_KEY.search(name) and not _HARMLESS_KEY.search(name) else _Kind.HARMLESS


def _by_key(name: object, value: Any, depth: int) -> Any:
    if isinstance(name, str) and isinstance(value, str | bytes | Mapping | list | tuple | set | frozenset):
        kind = _kind_of_key(name)
        if kind is _Kind.GUESSABLE:
            return HIDDEN if value else value
        if kind is _Kind.SECRET:
            return _hidden(value)
    return _cleaned(value, depth, multiline=name in {"exception", "stack"})


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return _mark(value)
    if isinstance(value, bytes):
        return _mark(value.decode("latin-1"))
    if isinstance(value, Mapping):
        return {key: _hidden(part) if isinstance(part, str | bytes) else HIDDEN for key, part in value.items()}
    return [_hidden(part) if isinstance(part, str | bytes) else HIDDEN for part in value]


def _cleaned(value: Any, depth: int, *, multiline: bool = False) -> Any:
    if isinstance(value, str):
        text = redact_text(value)
        kept = "\n\t" if multiline else ""
        return _CONTROL.sub(lambda found: found[0] if found[0] in kept else ascii(found[0])[1:-1], text)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= _MAX_DEPTH:
        return HIDDEN
    if isinstance(value, Mapping):
        return {_cleaned(name, depth + 1): _by_key(name, part, depth + 1) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_cleaned(part, depth + 1) for part in value]
    return _cleaned(repr(value) if not isinstance(value, BaseException) else _told(value), depth)


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _request_line(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    """Turn uvicorn's line about a request into fields, without the query string: it may hold a secret."""
    arguments = event_dict.pop("positional_args", None)
    if event_dict.get("logger") == "uvicorn.access" and isinstance(arguments, tuple) and len(arguments) == 5:
        client, method, target, _version, status = arguments
        path = str(target).partition("?")[0]
        event_dict.update(event="request", client=client, method=method, path=path, status=status)
    return event_dict


def _text_renderer(out: TextIO) -> Processor:
    return structlog.dev.ConsoleRenderer(
        colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=28
    )

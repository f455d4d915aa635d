"""Log lines as text: the same text as structlog's renderer writes without colours, for a fraction of its time."""

from __future__ import annotations

from typing import Final

from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.typing import EventDict, WrappedLogger

EVENT_WIDTH: Final = 28
_LEVEL_WIDTH: Final = len("exception")
_HEAD: Final = frozenset({"timestamp", "level", "event", "logger"})
_QUOTED: Final = frozenset(" \t=\r\n\"'")
"""A text with one of these is written with quotes, so that the next field can be told from it."""
_BLOCKS: Final = frozenset({"stack", "exception", "exc_info"})
_of_structlog = ConsoleRenderer(colors=False, exception_formatter=plain_traceback, pad_event_to=EVENT_WIDTH)


def text_line(logger: WrappedLogger, name: str, event_dict: EventDict) -> str:
    """Render an event; a processor. Exceptions are left to structlog."""
    if not event_dict.keys() >= _HEAD or not _BLOCKS.isdisjoint(event_dict):
        return _of_structlog(logger, name, event_dict)
    head = (
        f"{event_dict['timestamp']} [{event_dict['level']:<{_LEVEL_WIDTH}}] "
        f"{event_dict['event']!s:<{EVENT_WIDTH}} [{event_dict['logger']}]"
    )
    fields = (f" {field}={_shown(event_dict[field])}" for field in sorted(event_dict) if field not in _HEAD)
    return f"{head}{''.join(fields)}".rstrip(" ")


def _shown(value: object) -> str:
    if isinstance(value, str) and _QUOTED.isdisjoint(value):
        return value
    return repr(value)

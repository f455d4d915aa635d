"""What is logged, and how: one line per event, as text or as JSON, with every secret removed."""

from __future__ import annotations

import logging
import sys
import threading
from types import FrameType, TracebackType
from typing import Any, Final, TextIO, cast

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.typing import EventDict, Processor, WrappedLogger

from shoal.logs.log_lines import NEWEST
from shoal.logs.redaction import redact_fields

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


# A record costs more than all that is done with a line here. Levels are those of the standard library's logger of the
# same name, and lines leave by the same handler as those of libraries.
PLACE = "_place"
"""The field with the function and the line that wrote it."""
_NOT_CALLERS: Final = ("structlog", __name__)
_LEVELS: Final = {name.lower(): level for name, level in logging.getLevelNamesMapping().items()} | {
    "exception": logging.ERROR
}


class OwnLogger:
    """What structlog writes a finished line to."""

    def __init__(self, name: str, handler: logging.StreamHandler[TextIO]) -> None:
        self.name = name
        self._handler = handler
        self.isEnabledFor = logging.getLogger(name).isEnabledFor

    def info(self, line: str) -> None:
        """Write a line. One that cannot be written is reported as the standard library does, and fails no caller."""
        handler = self._handler
        with handler.lock or _unlocked:
            try:
                handler.stream.write(f"{line}{handler.terminator}")
                handler.flush()
            except RecursionError:
                raise
            except Exception:  # noqa: BLE001  as a handler of the standard library does
                handler.handleError(logging.makeLogRecord({"name": self.name, "msg": line}))

    debug = warning = error = critical = exception = info

    def not_made(self, event: str | None) -> None:
        """Report a line that could not be made, in the ``except`` of its failure; it fails no caller either."""
        self._handler.handleError(logging.makeLogRecord({"name": self.name, "msg": event}))


class OwnLines(structlog.stdlib.BoundLogger):
    """What our modules call: nothing is done for a line that the level of its logger does not allow."""

    def _proxy_to_logger(self, method_name: str, event: str | None = None, *event_args: str, **event_kw: Any) -> Any:
        if self._logger.isEnabledFor(_LEVELS[method_name]):
            try:
                return super()._proxy_to_logger(method_name, event, *event_args, **event_kw)
            except RecursionError:
                raise
            except Exception:  # noqa: BLE001  as a handler of the standard library does
                cast("OwnLogger", self._logger).not_made(event)
        return None


def with_place(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    """Note where the line was written; a processor of our own loggers."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  as the standard library does
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_NOT_CALLERS):
        frame = frame.f_back
    event_dict[PLACE] = ("", 0) if frame is None else (frame.f_code.co_name, frame.f_lineno)
    return event_dict


class _Unlocked:
    """Stands for the lock of a handler that has none."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: Any) -> None:
        pass


_unlocked = _Unlocked()


_OURS = ("level", "logger", "timestamp", PLACE)
"""Fields that this module makes itself; they hold no text from outside."""

_crashes = structlog.get_logger("shoal.crashes")


def configure_logging(*, level: str = "INFO", json: bool = False, stream: TextIO | None = None) -> None:
    """Send everything that Shoal or a library logs through one handler on ``stream`` (default: stderr).

    ``level`` is for Shoal's own loggers. Libraries log from WARNING on. A request that was refused is one line at INFO.
    One that succeeded and a committed change are lines at DEBUG: a line costs more than a read, and the journal has
    every change.
    """
    out = stream or sys.stderr
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    ending: list[Processor] = [
        structlog.processors.format_exc_info,
        redact_event,
        _kept,
        structlog.processors.JSONRenderer(ensure_ascii=False) if json else _text_renderer(out),
    ]
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[_place_of_record, structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    structlog.configure(
        processors=[
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            with_place,
            *ending,
        ],
        wrapper_class=OwnLines,
        logger_factory=lambda *names: OwnLogger(str(names[0]) if names else "shoal", handler),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("shoal").setLevel(level)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    logging.captureWarnings(capture=True)


def log_crashes() -> None:
    """Log errors that end the process or a thread, or that no caller can catch, like all other events.

    Python itself would write them to stderr unchanged, secrets included.
    """

    def at_exit(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            _crashes.critical("the process ends", exc_info=(kind, error, trace))

    def in_thread(died: threading.ExceptHookArgs) -> None:
        error = died.exc_value or died.exc_type()
        name = died.thread.name if died.thread else ""
        _crashes.critical("a thread died", thread=name, exc_info=(type(error), error, died.exc_traceback))

    def unheard(failed: sys.UnraisableHookArgs) -> None:
        error = failed.exc_value or failed.exc_type()
        _crashes.critical("an error that no caller can receive", exc_info=(type(error), error, failed.exc_traceback))

    sys.excepthook, threading.excepthook, sys.unraisablehook = at_exit, in_thread, unheard


def redact_event(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    """Remove secrets from an event; a processor."""
    ours = {name: event_dict[name] for name in _OURS if name in event_dict}
    return {**redact_fields({name: value for name, value in event_dict.items() if name not in ours}), **ours}


def _place_of_record(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    """Note where the line of a library was written, before the record is dropped."""
    record: logging.LogRecord | None = event_dict.get("_record")
    return event_dict if record is None else {**event_dict, PLACE: (record.funcName or "", record.lineno)}


def _kept(_: WrappedLogger, __: str, event_dict: EventDict) -> EventDict:
    """Keep the line for the API's list of the newest ones."""
    function, line = event_dict.pop(PLACE, ("", 0))
    NEWEST.keep(event_dict, function=function, line=line)
    return event_dict


def _text_renderer(out: TextIO) -> Processor:
    if not out.isatty():
        return text_line
    return structlog.dev.ConsoleRenderer(
        colors=True, exception_formatter=structlog.dev.plain_traceback, pad_event_to=EVENT_WIDTH
    )

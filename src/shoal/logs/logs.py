"""What is logged, and how: one line per event, as text or as JSON, with every secret removed."""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from shoal.logs.log_lines import NEWEST
from shoal.logs.own_logger import PLACE, OwnLines, OwnLogger, with_place
from shoal.logs.redaction import redact_fields
from shoal.logs.text_lines import EVENT_WIDTH, text_line

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

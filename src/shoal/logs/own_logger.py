"""The loggers of our own modules: they write finished lines, without the standard library's records.

A record costs more than all that is done with a line here. Levels are those of the standard library's logger of the
same name, and lines leave by the same handler as those of libraries.
"""

from __future__ import annotations

import logging
import sys
from types import FrameType
from typing import Any, Final, TextIO, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

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

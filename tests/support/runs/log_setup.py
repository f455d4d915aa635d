"""The set-up of the log, put back after a test that changes it: it belongs to the whole process."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

NAMES = ("", "shoal", "uvicorn", "uvicorn.error")


@contextmanager
def log_restored() -> Iterator[None]:
    """Put back what ``configure_logging`` changes."""
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(one.level, one.propagate, list(one.handlers), list(one.filters)) for one in loggers]
    structure = structlog.get_config()
    yield
    structlog.configure(**structure)
    logging.captureWarnings(capture=False)
    for one, (level, propagate, handlers, filters) in zip(loggers, before, strict=True):
        one.setLevel(level)
        one.propagate = propagate
        one.handlers[:], one.filters[:] = handlers, filters

"""Connections to PostgreSQL that end when the server says nothing for too long.

The limits of PostgreSQL itself end a statement there, but the word of it may never come: a peer that takes what is sent
and passes nothing on keeps TCP content, and a thread would wait until the link breaks.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Engine, event

T = TypeVar("T")


def limit_silence(engine: Engine, seconds: float) -> None:
    """End each connection of the engine that waits for so long in vain; what waits raises ``OperationalError``."""

    @event.listens_for(engine, "do_connect")
    def on_do_connect(_dialect: object, _record: object, args: list[Any], values: dict[str, Any]) -> Any:
        connection = _LimitedConnection.connect(*args, **values)
        connection.silence_seconds = seconds
        return connection


class _LimitedConnection(psycopg.Connection[Any]):
    silence_seconds: float | None = None

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **values: Any) -> T:
        """See ``psycopg.Connection``."""
        if self.silence_seconds is None:
            return super().wait(gen, *args, **values)
        try:
            return super().wait(_limited(gen, self.silence_seconds), *args, **values)
        except _SilentError:
            self.close()  # what it would answer later belongs to no one
            raise


class _SilentError(psycopg.OperationalError):
    """The server sent nothing for too long."""


def _limited(gen: Generator[Any, Any, T], seconds: float) -> Generator[Any, Any, T]:
    """Drive ``gen``. Raise when nothing came for so long; what waits in the socket is read before that is decided."""
    until = time.monotonic() + seconds
    try:
        wants = next(gen)
        while True:
            ready = yield wants
            if ready:
                until = time.monotonic() + seconds
            elif time.monotonic() > until:
                raise _SilentError(f"the database said nothing for {seconds:g} s")
            wants = gen.send(ready)
    except StopIteration as end:
        value: T = end.value
        return value

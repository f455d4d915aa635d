"""Read jobs that another thread can stop, so that a long query ends when its caller no longer waits."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine

T = TypeVar("T")


class Interruptible(Generic[T]):
    """One job on one read-only snapshot."""

    def __init__(self, engine: Engine, job: Callable[[Connection], T]) -> None:
        self._engine = engine
        self._job = job
        self._lock = threading.Lock()
        self._driver: Any = None
        self._stopped = False

    def run(self) -> T:
        """Do the job. Raises what the driver raises when it is stopped.

        Raises ``InterruptedError`` when it was stopped before it began.
        """
        with self._engine.connect() as connection, connection.begin():
            with self._lock:
                if self._stopped:
                    raise InterruptedError
                self._driver = connection.connection.driver_connection
            try:
                return self._job(connection)
            finally:
                with self._lock:  # from here on the pool may give the connection to another job
                    self._driver = None

    def stop(self) -> None:
        """Stop the job soon; called from another thread."""
        with self._lock:
            self._stopped = True
            driver = self._driver
            if driver is None:
                return
            with contextlib.suppress(Exception):  # the job ended at the same moment, or the server does not answer
                stop = getattr(driver, "interrupt", None) or driver.cancel
                stop()

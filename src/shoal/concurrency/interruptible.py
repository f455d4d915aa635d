"""Reading that another thread may end: a query over everything would go on else although nobody waits for it."""

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
        """Do the job; raises what the driver raises when it is interrupted."""
        with self._engine.connect() as connection, connection.begin():
            with self._lock:
                if self._stopped:
                    raise InterruptedError
                self._driver = connection.connection.driver_connection
            try:
                return self._job(connection)
            finally:
                with self._lock:  # from here on the connection is somebody else's
                    self._driver = None

    def stop(self) -> None:
        """End the job soon, from another thread."""
        with self._lock:
            self._stopped = True
            driver = self._driver
            if driver is None:
                return
            with contextlib.suppress(Exception):  # it ended in the same moment, or the server does not answer
                stop = getattr(driver, "interrupt", None) or driver.cancel
                stop()

"""Short transactions on rows for which several nodes race: on connections of their own, beside the one writer.

A group of the writer would keep such a row locked until the whole group is committed, and two groups that take rows in
different orders would end each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from shoal.errors import StoreError
from shoal.storage.database_errors import as_store_error
from shoal.storage.engines import open_guard

T = TypeVar("T")

AT_ONCE: Final = 2
"""How many run at a time: as many as the engine has connections."""
_BUSY_SECONDS: Final = 2.0
_IDLE_SECONDS: Final = 4.0


class ShortWrites:
    """Runs jobs, each in one transaction of its own."""

    def __init__(self, url: URL) -> None:
        self._engine = open_guard(url, busy_seconds=_BUSY_SECONDS, idle_seconds=_IDLE_SECONDS)
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="shoal-short")
        self._closed = False

    async def run(self, job: Callable[[Connection], T]) -> T:
        """Run a job and commit it. Raises ``StoreError``: it may have been committed or not."""
        if self._closed:
            raise StoreError("the server is ending", code="store_closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, job)

    def _run(self, job: Callable[[Connection], T]) -> T:
        with as_store_error(), self._engine.connect() as connection, connection.begin():
            return job(connection)

    async def close(self) -> None:
        """Wait for the last jobs, and close the connections."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._engine.dispose()

"""Searches: reads that may scan everything, on separate threads, in fair turns and limited in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine

from shoal.concurrency.fair_turns import FairTurns
from shoal.concurrency.interruptible import Interruptible
from shoal.errors import TemporaryFailure
from shoal.storage.database_errors import as_store_error

T = TypeVar("T")

SEARCHERS = 2
"""Threads and connections for searches, which may scan every message."""
SEARCHES_WAITING_EACH = 8
SEARCHES_WAITING_ALL = 64
SEARCH_SECONDS = 15.0
"""A longer search is ended."""


class Searches:
    """The threads of searches, and their order."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(SEARCHERS, thread_name_prefix="shoal-search")
        self._turns = FairTurns(SEARCHERS, waiting_each=SEARCHES_WAITING_EACH, waiting_all=SEARCHES_WAITING_ALL)

    def shutdown(self) -> None:
        """Wait for the threads to end."""
        self._threads.shutdown()

    async def run(self, engine: Engine, job: Callable[[Connection], T]) -> T:
        """Run ``job`` on one read-only snapshot; ended when its caller is cancelled, or after ``SEARCH_SECONDS``."""
        async with self._turns.turn():
            search = Interruptible(engine, job)
            running = asyncio.get_running_loop().run_in_executor(self._threads, _searched, search)
            try:
                async with asyncio.timeout(SEARCH_SECONDS):
                    return await asyncio.shield(running)
            except TimeoutError:
                raise TemporaryFailure("the search took too long", code="search_takes_long") from None
            finally:
                if not running.done():
                    await _give_up(search, running)


def _searched(search: Interruptible[T]) -> T:
    with as_store_error():
        return search.run()


async def _give_up(search: Interruptible[T], running: asyncio.Future[T]) -> None:
    """End a search whose result is not needed; its thread is free only then."""
    while not running.done():
        await asyncio.to_thread(search.stop)
        await asyncio.wait({running}, timeout=0.1)
    running.exception()

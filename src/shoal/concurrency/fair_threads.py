"""Runs work that users and buyers cause on a few threads of its own, in fair turns; other work never waits for it.

``beside`` replaces ``asyncio.to_thread``, whose threads also resolve host names and serve files.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from shoal.concurrency.fair_turns import FairTurns

_P = ParamSpec("_P")
_T = TypeVar("_T")

THREADS: Final = 3
"""Enough for three users at once: Python runs one thread at a time, and a short job soon gets its share."""
BUYERS_THREADS: Final = 2
WAITING_EACH: Final = 32
"""How many jobs of one user may wait; further ones are refused."""
WAITING_ALL: Final = 256


class FairThreads:
    """A few threads, given to users in fair turns. They end when nothing refers to this any more."""

    def __init__(self, threads: int, *, name: str, waiting_each: int, waiting_all: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._turns = FairTurns(threads, waiting_each=waiting_each, waiting_all=waiting_all)

    async def run(self, function: Callable[_P, _T], /, *arguments: _P.args, **named: _P.kwargs) -> _T:
        """Call a function on a thread when it is the user's turn. Raises also what ``FairTurns.take`` raises.

        A caller that is cancelled while it waits loses its turn. A function that already runs continues and keeps its
        thread until it ends.
        """
        return await self.run_for(None, functools.partial(function, *arguments, **named))

    async def run_for(self, user: int | None, function: Callable[[], _T]) -> _T:
        """Call a function like ``run``, in the turn of that user."""
        taker = await self._turns.take(user)
        call = functools.partial(contextvars.copy_context().run, function)
        try:
            work = asyncio.get_running_loop().run_in_executor(self._threads, call)
        except RuntimeError:  # the process is ending
            self._turns.give_back(taker)
            raise
        work.add_done_callback(functools.partial(self._done, taker))
        return await asyncio.shield(work)

    def _done(self, user: int, work: asyncio.Future[Any]) -> None:
        self._turns.give_back(user)
        if not work.cancelled():
            work.exception()  # marks the exception as retrieved: the waiting caller gets it


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, FairThreads]] = WeakKeyDictionary()


async def beside(function: Callable[_P, _T], /, *arguments: _P.args, **named: _P.kwargs) -> _T:
    """Call a function outside the event loop, on the threads for work that users cause (see ``FairThreads.run``)."""
    return await _threads("shoal-work", THREADS, WAITING_EACH, WAITING_ALL).run(function, *arguments, **named)


async def beside_if(lasting: bool, function: Callable[_P, _T], /, *arguments: _P.args, **named: _P.kwargs) -> _T:
    """Call a function: outside the event loop if it is ``lasting`` (see ``beside``), otherwise at once."""
    return await beside(function, *arguments, **named) if lasting else function(*arguments, **named)


async def beside_for_buyers(
    owner_id: int, function: Callable[_P, _T], /, *arguments: _P.args, **named: _P.kwargs
) -> _T:
    """Call a function for what buyers cause: in turns of the accounts' owners, on other threads, and never refused."""
    threads = _threads("shoal-buyers", BUYERS_THREADS, sys.maxsize, sys.maxsize)
    return await threads.run_for(owner_id, functools.partial(function, *arguments, **named))


def _threads(name: str, number: int, waiting_each: int, waiting_all: int) -> FairThreads:
    """Return the threads of the running loop; create them at the first call."""
    mine = _of_loop.setdefault(asyncio.get_running_loop(), {})
    if name not in mine:
        mine[name] = FairThreads(number, name=name, waiting_each=waiting_each, waiting_all=waiting_all)
    return mine[name]

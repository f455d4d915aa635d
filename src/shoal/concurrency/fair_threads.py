"""Work that people cause, on a few threads of its own and in fair turns: nothing else ever waits for it.

``beside`` takes the place of ``asyncio.to_thread``, whose threads also look names up and serve files.
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
"""For three people at once: Python runs one at a time anyway, and another's short job soon gets its share."""
BUYERS_THREADS: Final = 2
WAITING_EACH: Final = 32
"""So many jobs of one person wait; what is asked for beyond is refused."""
WAITING_ALL: Final = 256


class FairThreads:
    """A few threads, and who may have one next."""

    def __init__(self, threads: int, *, name: str, waiting_each: int, waiting_all: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._turns = FairTurns(threads, waiting_each=waiting_each, waiting_all=waiting_all)

    async def run(self, function: Callable[_P, _T], /, *arguments: _P.args, **named: _P.kwargs) -> _T:
        """Call a function on a thread when the person's turn has come. Raises as ``FairTurns.take`` does, too.

        A caller who leaves while they wait is forgotten; what runs already runs on, and keeps its place till it ends.
        """
        return await self.run_for(None, functools.partial(function, *arguments, **named))

    async def run_for(self, user: int | None, function: Callable[[], _T]) -> _T:
        """The same in the turn of that person."""
        user = await self._turns.take(user)
        call = functools.partial(contextvars.copy_context().run, function)
        try:
            work = asyncio.get_running_loop().run_in_executor(self._threads, call)
        except RuntimeError:  # the threads have ended
            self._turns.give_back(user)
            raise
        work.add_done_callback(functools.partial(self._done, user))
        return await asyncio.shield(work)

    def _done(self, user: int | None, work: asyncio.Future[Any]) -> None:
        self._turns.give_back(user)
        if not work.cancelled():
            work.exception()  # it was told to whoever waited

    def close(self) -> None:
        """Take no more work; what runs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def __del__(self) -> None:
        self.close()


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, FairThreads]] = WeakKeyDictionary()


async def beside(function: Callable[_P, _T], /, *arguments: _P.args, **named: _P.kwargs) -> _T:
    """Call a function beside the event loop, on the threads for what people cause (see ``FairThreads.run``)."""
    return await _threads("shoal-work", THREADS, WAITING_EACH, WAITING_ALL).run(function, *arguments, **named)


async def beside_for_buyers(
    owner_id: int, function: Callable[_P, _T], /, *arguments: _P.args, **named: _P.kwargs
) -> _T:
    """The same for what buyers cause: in turns of the shops' owners, on other threads, and never refused."""
    threads = _threads("shoal-buyers", BUYERS_THREADS, sys.maxsize, sys.maxsize)
    return await threads.run_for(owner_id, functools.partial(function, *arguments, **named))


def _threads(name: str, number: int, waiting_each: int, waiting_all: int) -> FairThreads:
    """Those of the running loop, as its own executor is."""
    mine = _of_loop.setdefault(asyncio.get_running_loop(), {})
    if name not in mine:
        mine[name] = FairThreads(number, name=name, waiting_each=waiting_each, waiting_all=waiting_all)
    return mine[name]

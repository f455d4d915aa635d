"""An event loop whose time is virtual and whose order is chosen by a seed: one run is one schedule, replayed at will.

Time advances to the next timer when nothing is ready, so five minutes cost nothing. With a seed, *any* ready callback
may come next: each stands for "that took a little longer". Without one the order is that of plain asyncio.

Work on other threads is awaited for real before time moves on, and its results are taken, in the order in which they
came, only when nothing else is ready.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import queue
import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import Context
from random import Random
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MOST_STEPS = 2_000_000
REAL_WAIT_SECONDS = 30.0
TICK_SECONDS = 1e-9
"""No timer rings at once: who asks for the time again and again until it has moved on would ask for ever."""


THREADS = ThreadPoolExecutor(4, "work of a virtual loop")
"""Shared by all loops: a new thread for each run takes longer than what it does."""


class NothingLeftError(AssertionError):
    """Everybody waits and nothing can happen any more: a deadlock, or a lost wake-up."""


class VirtualLoop(asyncio.BaseEventLoop):
    """One schedule. Use ``run_until_complete`` as on any loop, and ``finish`` at the end."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__()
        self._rng = None if seed is None else Random(seed)
        self._now = 0.0
        self._soon: list[asyncio.Handle] = []
        self._later: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = itertools.count()
        self._arrivals: queue.SimpleQueue[asyncio.Handle] = queue.SimpleQueue()
        self._foreign = 0
        self.steps = 0
        self.most_steps = MOST_STEPS
        self.choices = 0
        """How often more than one callback could have come next."""
        self.stands_still: Callable[[], bool] = lambda: False
        """Whether another thread is at work for us that this one has not learnt of yet."""
        self.after_step: Callable[[], None] | None = None
        self.complaints: list[str] = []
        """What would have been logged as an unhandled error of the loop."""
        self.set_exception_handler(self._complain)

    def _complain(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")

    # -- what asyncio asks of a loop -----------------------------------------------------------------------------

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._soon.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._arrivals.put(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        when = max(when, self._now + TICK_SECONDS)
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._later, (when, next(self._numbers), timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers are thrown away when their time comes."""

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        future = super().run_in_executor(executor or THREADS, func, *args)
        self._foreign += 1
        future.add_done_callback(self._one_came_home)
        return future

    def _one_came_home(self, _: object) -> None:
        self._foreign -= 1

    @contextmanager
    def foreign_work(self) -> Iterator[None]:
        """Say that another thread works for us, so that time does not run away from it."""
        self._foreign += 1
        try:
            yield
        finally:
            self._foreign -= 1

    # -- one step ------------------------------------------------------------------------------------------------

    def _run_once(self) -> None:
        self._ring_timers()
        if not self._soon:
            self._wait()
            return
        if len(self._soon) > 1:
            self.choices += 1
        handle = self._soon.pop(0 if self._rng is None else self._rng.randrange(len(self._soon)))
        if handle.cancelled():
            return
        handle._run()
        self.steps += 1
        if self.steps > self.most_steps:
            raise NothingLeftError("the run does not end")
        if self.after_step is not None:
            self.after_step()

    def _ring_timers(self) -> None:
        while self._later and (self._later[0][0] <= self._now or self._later[0][2].cancelled()):
            timer = heapq.heappop(self._later)[2]
            if not timer.cancelled():
                self._soon.append(timer)

    def _wait(self) -> None:
        if self._foreign or not self._arrivals.empty() or self.stands_still():
            self._soon.append(self._arrivals.get(timeout=REAL_WAIT_SECONDS))
        elif self._later:
            self._now = self._later[0][0]
        else:
            raise NothingLeftError("everybody waits and no timer is set")

    def finish(self) -> None:
        """Cancel what is left, let it end, close."""
        self.after_step = None
        left = asyncio.all_tasks(self)
        for task in left:
            task.cancel()
        if left:
            self.run_until_complete(asyncio.wait(left))
        self.close()


@types.coroutine
def interrupted(
    work: Coroutine[Any, Any, T], at: int, *, late: bool = False, suspended: Callable[[int], None] = lambda _: None
) -> Generator[Any, Any, T]:
    """Run ``work`` and cancel the running task at its ``at``-th suspension (counted from 1; each is told of).

    ``late`` cancels when what is awaited has come, but before the task is told: the moment that is easiest to forget.
    """
    task = asyncio.current_task()
    assert task is not None
    inside = True

    def cancel(_: object = None) -> None:
        if inside:
            task.cancel()

    suspensions = 0
    step: Callable[[], Any] = lambda: work.send(None)  # noqa: E731
    try:
        while True:
            try:
                awaited = step()
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            suspensions += 1
            suspended(suspensions)
            if suspensions == at:
                if late and awaited is not None:
                    awaited.add_done_callback(cancel)
                    awaited._asyncio_future_blocking = True
                else:
                    cancel()
            try:
                yield awaited
            except BaseException as error:  # noqa: BLE001
                step = _thrower(work, error)
            else:
                step = lambda: work.send(None)  # noqa: E731
    finally:
        inside = False


def _thrower(work: Coroutine[Any, Any, T], error: BaseException) -> Callable[[], Any]:
    return lambda: work.throw(error)

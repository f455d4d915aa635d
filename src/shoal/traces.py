"""Traces: how long each step of a change, an answer or an order took. They are off unless somebody takes them.

A trace is one whole with steps that follow one another. Its facts are numbers, words of the program, and an account,
whose id the exporter hashes (``server/otlp.py``). No text, no cookie and no id of a buyer is a fact.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, NamedTuple

from shoal.errors import ShoalError


class Step(NamedTuple):
    """A part of a trace, in nanoseconds since the trace began."""

    name: str
    began_ns: int
    ended_ns: int


class Trace:
    """The trace while traces are off: nothing is kept."""

    __slots__ = ()

    def step(self, name: str) -> None:
        """End a step. It began with the end of the last one, or with the trace."""

    def note(self, **facts: str | int) -> None:
        """Add facts."""

    def __enter__(self) -> Trace:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, place: TracebackType | None) -> None:
        """End the trace."""


class KeptTrace(Trace):
    """A trace that is handed over at its end."""

    __slots__ = ("_before", "_last_ns", "_start_ns", "began_ns", "facts", "name", "steps", "took_ns")

    def __init__(self, name: str, age_seconds: float, facts: dict[str, str | int]) -> None:
        age_ns = round(age_seconds * 1e9)
        self.name = name
        self.facts = facts
        self.began_ns = time.time_ns() - age_ns
        """Since 1970."""
        self.steps: list[Step] = []
        self.took_ns = 0
        self._start_ns = time.perf_counter_ns() - age_ns
        self._last_ns = 0

    def step(self, name: str) -> None:
        """End a step, and note it."""
        now = time.perf_counter_ns() - self._start_ns
        self.steps.append(Step(name, self._last_ns, now))
        self._last_ns = now

    def note(self, **facts: str | int) -> None:
        """Note the facts."""
        self.facts.update(facts)

    def __enter__(self) -> Trace:
        self._before = _current.set(self)
        return self

    def __exit__(self, kind: Any, error: BaseException | None, place: TracebackType | None) -> None:
        _current.reset(self._before)
        self.took_ns = time.perf_counter_ns() - self._start_ns
        if error is not None:
            self.facts["error"] = error.code if isinstance(error, ShoalError) else type(error).__name__
        for take in _takers:
            take(self)


_OFF = Trace()
_current: ContextVar[Trace] = ContextVar("trace", default=_OFF)
_request_ns: ContextVar[int] = ContextVar("request", default=0)
_takers: list[Callable[[KeptTrace], None]] = []
"""Who gets each trace; none while traces are off."""


def begin(name: str, *, age_seconds: float = 0.0, **facts: str | int) -> Trace:
    """Begin a trace for a ``with`` block, which began ``age_seconds`` ago."""
    return KeptTrace(name, age_seconds, facts) if _takers else _OFF


def request_began() -> None:
    """Note that a request begins here, in its own context."""
    if _takers:
        _request_ns.set(time.perf_counter_ns())


def request_age() -> float:
    """Return for how many seconds the request has been here in whose context this is called; 0 without one."""
    began_ns = _request_ns.get()
    return (time.perf_counter_ns() - began_ns) / 1e9 if began_ns else 0.0


def current() -> Trace:
    """Return the trace in whose block this is called."""
    return _current.get()


def take_with(taker: Callable[[KeptTrace], None]) -> Callable[[], None]:
    """Hand each trace to ``taker`` from now on. Return what ends that."""
    _takers.append(taker)
    return lambda: _takers.remove(taker)

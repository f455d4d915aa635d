"""What a transaction changed that others are notified of: named by its job, reported once it is durable.

It is reported on the event loop in the order in which transactions were committed, also when the job's caller has left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from sqlalchemy import Connection

from shoal.accounts.events import IncidentMoved
from shoal.accounts.positions import Stream

_KEY: Final = "shoal.touched"
T = TypeVar("T")
Job = Callable[[Connection], T]


@dataclass(frozen=True, slots=True)
class Named:
    """What one transaction named."""

    goods: set[int] = field(default_factory=set)
    reached: dict[Stream, int] = field(default_factory=dict)
    """The last row that it added to a stream whose events do not name their own."""
    incidents: list[IncidentMoved] = field(default_factory=list)


class Run(Protocol):
    """Runs a job; ``on_commit`` is called with its value once it is durable."""

    def __call__(self, job: Job[T], on_commit: Callable[[T], object]) -> Awaitable[T]:
        """Run it."""


def touch(connection: Connection, goods_ids: Iterable[int]) -> None:
    """Name goods that the transaction changes."""
    _named(connection).goods.update(goods_ids)


def reach(connection: Connection, stream: Stream, row_id: int) -> None:
    """Name a row that the transaction adds to a stream of events."""
    reached = _named(connection).reached
    reached[stream] = max(row_id, reached.get(stream, 0))


def name_incident(connection: Connection, moved: IncidentMoved) -> None:
    """Name an incident that the transaction opens or closes."""
    _named(connection).incidents.append(moved)


def _named(connection: Connection) -> Named:
    named: Named = connection.info.setdefault(_KEY, Named())
    return named


class Touched:
    """Notifies its listeners what each durable write named."""

    def __init__(self) -> None:
        self.goods: Callable[[frozenset[int]], object] | None = None
        self.events: Callable[[Mapping[Stream, int]], object] | None = None
        self.incidents: Callable[[IncidentMoved], object] | None = None

    async def run(self, run: Run, job: Job[T], on_commit: Callable[[T], object] | None) -> T:
        """Run a job. Once it is durable report what it reached, call ``on_commit`` with its value, report the rest."""
        named: Named | None = None

        def whole(connection: Connection) -> T:
            nonlocal named
            connection.info.pop(_KEY, None)  # what a job named that was rolled back
            value = job(connection)
            named = connection.info.pop(_KEY, None)
            return value

        def settled(value: T) -> None:
            if named is not None and self.events is not None:
                self.events(named.reached)
            if on_commit is not None:
                on_commit(value)
            if named is not None:
                self._publish(named)

        return await run(whole, settled)

    def _publish(self, named: Named) -> None:
        if self.incidents is not None:
            for moved in named.incidents:
                self.incidents(moved)
        if self.goods is not None and named.goods:
            self.goods(frozenset(named.goods))

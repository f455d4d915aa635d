"""Units of work of the group writer, and the outcome of each."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
from sqlalchemy import Connection, text

from shoal.accounts.journal import JournalEntry
from shoal.accounts.ownership import NOT_OWNER, Fence, Standing, always_stands
from shoal.accounts.store import Change, Committed, Refused, Settle, Settlement, Unsettled
from shoal.errors import NotApplied, ShoalError
from shoal.storage.change_rows import Draft
from shoal.storage.database_errors import database_errors, translated

_HELD = text("""
    SELECT count(*) FROM (
        SELECT 1 FROM shards
        WHERE owner IS NOT NULL AND (shard, epoch) IN (
            SELECT * FROM unnest(CAST(:shards AS integer[]), CAST(:epochs AS bigint[]))
        )
        ORDER BY shard FOR SHARE
    ) AS held
""")
"""Locked until the commit: a node that claims one of these shards waits for it, or comes back later."""


def hold_fences(connection: Connection, fences: Iterable[Fence]) -> None:
    """Keep every shard with its owner until the transaction ends. Raise ``NotApplied`` when one has changed hands."""
    asked = sorted(set(fences))
    if not asked:
        return
    values = {"shards": [fence.shard for fence in asked], "epochs": [fence.epoch for fence in asked]}
    if connection.scalar(_HELD, values) != len(asked):
        raise not_owner()


def not_owner() -> NotApplied:
    """Return the refusal of a write by a node that does not own the account any more."""
    return NotApplied("another node owns the account", code=NOT_OWNER)


log = logging.getLogger("shoal.storage.group_writer")

ChangeSet = tuple[Change, ...]

LARGE_ROWS = 200
"""From so many rows of rules on a change is written apart. They take about a millisecond."""


class ChangeWriter(Protocol):
    """Writes changes as rows. The writing methods raise when a row does not match; they may have written a part
    then."""

    def draft(self, changes: ChangeSet) -> tuple[Draft, ...]:
        """Make what can be made of the changes before their turn. May run on any thread."""

    def write(self, connection: Connection, sets: Sequence[Sequence[Draft]]) -> list[tuple[JournalEntry, ...]]:
        """Write sets that contain every account at most once, in few bulk statements."""

    def write_checked(self, connection: Connection, drafts: Sequence[Draft]) -> tuple[JournalEntry, ...]:
        """Write one set, and raise the ``Conflict`` that says what does not match."""


class Done(msgspec.Struct, frozen=True):
    """A job's outcome: its return value."""

    value: Any


class Raised(msgspec.Struct, frozen=True):
    """A job's outcome: an exception that did not come from the database."""

    error: Exception


Outcome = Settlement | Done | Raised


@dataclass(slots=True, eq=False)
class Changes:
    """The changes of one ``submit``, written all or nothing."""

    changes: ChangeSet
    settle: Settle
    stands: Standing = always_stands
    """Whether it may still be committed. Once it may not, others may have learnt that it never was."""
    _drafts: tuple[Draft, ...] | None = None

    @property
    def size(self) -> int:
        """How much of a group it fills."""
        return len(self.changes)

    @property
    def drafting_takes_long(self) -> bool:
        """Whether the drafts must not be made on the event loop, nor in the writer's turn."""
        return any(change.has_many_rules for change in self.changes)

    @property
    def is_large(self) -> bool:
        """Whether it writes so many rows that others should not wait for it in its group."""
        return self._drafts is not None and any(draft.rule_rows >= LARGE_ROWS for draft in self._drafts)

    def draft_early(self, writer: ChangeWriter) -> None:
        """Make the drafts before the turn."""
        with contextlib.suppress(Exception):  # it fails again in its turn, and is settled then
            self._drafts = writer.draft(self.changes)

    def drafted(self, writer: ChangeWriter) -> tuple[Draft, ...]:
        """Return the drafts; make them if they were not made before."""
        if self._drafts is None:
            self._drafts = writer.draft(self.changes)
        return self._drafts

    def run_alone(self, connection: Connection, writer: ChangeWriter) -> Committed:
        """Write it outside its group. Raise ``NotApplied`` when it may not be committed any more."""
        if not self.stands():
            raise life_over()
        return Committed(writer.write_checked(connection, self.drafted(writer)))

    def deliver(self, outcome: Outcome) -> None:
        """Report the outcome to the caller."""
        if isinstance(outcome, Committed | Refused | Unsettled):
            self.settle(outcome)


@dataclass(slots=True, eq=False)
class Job:
    """A function of a connection, run in a savepoint."""

    run: Callable[[Connection], Any]
    future: asyncio.Future[Any]
    on_commit: Callable[[Any], object] | None = None
    """Called with the value once it is durable, also when the caller has left."""
    fences: tuple[Fence, ...] = ()
    """What must still stand when it is written."""
    stands: Standing = always_stands
    """Whether it may still be committed, as of changes."""
    size: int = 1

    def run_alone(self, connection: Connection) -> Any:
        """Run it outside its group, behind its own fences. Raise ``NotApplied`` when it may not be committed any
        more."""
        if not self.stands():
            raise life_over()
        hold_fences(connection, self.fences)
        return self.run(connection)

    def deliver(self, outcome: Outcome) -> None:
        """Report the outcome to the caller."""
        if not self.future.done():  # else cancelled by the caller, or already answered with "unknown"
            self._answer(outcome)
        if isinstance(outcome, Done) and self.on_commit is not None:
            self.on_commit(outcome.value)

    def _answer(self, outcome: Outcome) -> None:
        match outcome:
            case Done(value):
                self.future.set_result(value)
            case Raised(error) | Refused(error) | Unsettled(error):
                self.future.set_exception(error)
            case Committed():
                self.future.set_result(None)


@dataclass(slots=True, eq=False)
class Mark:
    """An empty unit of work: it is settled when all earlier work is settled."""

    future: asyncio.Future[None]
    size: int = 0
    after_large: int = 0
    """How many large works came before it."""

    def deliver(self, outcome: Outcome) -> None:
        """Report the outcome to the caller."""
        if self.future.done():
            return
        if isinstance(outcome, Refused):
            self.future.set_exception(outcome.error)
        else:
            self.future.set_result(None)


Work = Changes | Job | Mark
FaultPoint = Callable[[str], None]
"""For tests: called at ``begin``, ``statement``, ``commit``, ``committed``, ``barrier``; may raise."""
Delivery = tuple[Work, Outcome]


def is_refusal_by_database(outcome: Outcome) -> bool:
    """Return whether the database refused the work, and not the work itself."""
    return isinstance(outcome, Refused) and isinstance(outcome.error, NotApplied)


def store_closed() -> NotApplied:
    """Return the refusal of work for a closed store."""
    return NotApplied("the store is closed", code="store_closed")


def life_over() -> NotApplied:
    """Return the refusal of a change that began in a life of this node that has ended."""
    return NotApplied("this server's lease ran out before the change was committed")


def check_lives(group: Sequence[Work], outcomes: Sequence[Outcome]) -> None:
    """Raise ``NotApplied`` when something that is about to be committed may not be any more."""
    for work, outcome in zip(group, outcomes, strict=True):
        if isinstance(outcome, Committed | Done) and not (isinstance(work, Mark) or work.stands()):
            raise life_over()


def hand_over(deliveries: Sequence[Delivery]) -> None:
    """Report its outcome to each unit."""
    for work, outcome in deliveries:
        try:
            work.deliver(outcome)
        except Exception:  # a defect in one listener must not keep the outcome from the others
            log.exception("a settlement was not taken")


def failure_of(error: Exception, work: Work) -> Outcome:
    """Return the outcome of work that raised."""
    if isinstance(error, ShoalError):
        return Refused(error)
    by_database = isinstance(error, database_errors())
    if isinstance(work, Changes) or by_database:
        if not by_database:
            log.warning("a change could not be written: %s", type(error).__name__)
        return Refused(translated(error))
    return Raised(error)


class CannotBeginError(Exception):
    """No transaction could be opened: writing the group again is useless."""


class CommitFailedError(Exception):
    """COMMIT raised: the outcome is unknown. Carries the results for the case that it was applied."""

    def __init__(self, token: str, outcomes: list[Outcome]) -> None:
        super().__init__("commit failed")
        self.token = token
        self.outcomes = outcomes

"""Drafts: texts of a model that wait until a person sends or drops them. Each is sent at most once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, and_, select, update

from shoal.accounts.events import Publish, publish_nothing
from shoal.assistant.run_rows import Run, read_run, run_event, with_words
from shoal.clock import now_ms
from shoal.errors import Conflict, InvalidInput
from shoal.messages import model_runs
from shoal.messages.logged_message import Direction
from shoal.messages.model_runs import supersede_drafts
from shoal.messages.model_source import RunState, Superseded
from shoal.messages.outbox_rows import SendOutcome, sent_by
from shoal.storage.assistant_tables import ai_runs
from shoal.storage.chat_tables import takeovers
from shoal.storage.database import Database
from shoal.storage.schema import messages


class RunClosed(Conflict):
    """The draft is none any more: it was sent, dropped, or the chat moved on."""

    code = "run_closed"


class UnknownRun(InvalidInput):
    """There is no such run, or it is not the caller's."""

    code = "unknown_run"


class Drafts:
    """The drafts of all accounts. A draft leaves ``drafted`` in one conditional update: one of several callers wins."""

    def __init__(
        self, database: Database, *, now_ms: Callable[[], int] = now_ms, publish: Publish = publish_nothing
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._publish = publish

    async def find(self, run_id: int) -> Run:
        """Return a run. Raise ``UnknownRun``."""

        def job(connection: Connection) -> list[Run]:
            run = read_run(connection, run_id)
            return with_words(connection, [run] if run is not None else [])

        found = await self._database.read(job)
        if not found:
            raise UnknownRun(f"no run {run_id}")
        return found[0]

    @staticmethod
    def require_open(run: Run) -> None:
        """Raise ``RunClosed`` for a run that is no draft; another caller may still be faster."""
        if run.state is not RunState.DRAFTED:
            raise RunClosed("the draft is closed", state=run.state.value)

    def sending(self, run: Run, text: str, actor: str) -> Callable[[Connection], None]:
        """Return what moves a draft to ``answered``, for the transaction that queues its text. It raises ``RunClosed``.

        So the message and the state are stored together, or neither is.
        """

        def job(connection: Connection) -> None:
            _close(connection, run, RunState.ANSWERED, self._now_ms(), text=text, actor=actor)

        return job

    def ended_by_words(
        self, account_id: str, chat_id: str, closes: Callable[[Connection], None] | None, ended: list[int]
    ) -> Callable[[Connection], None]:
        """Return what ends the open drafts of a chat, for the transaction that queues a person's words in it.

        ``closes`` runs before: it closes the draft that the words are, and raises ``RunClosed``. ``ended`` gets the ids
        of the others.
        """

        def job(connection: Connection) -> None:
            if closes is not None:
                closes(connection)
            ended[:] = supersede_drafts(connection, account_id, chat_id, Direction.HUMAN.value, self._now_ms())

        return job

    def publish_ended(self, account_id: str, chat_id: str, ended: Sequence[int]) -> None:
        """Tell that drafts ended."""
        for run_id in ended:
            self._publish(model_runs.run_event(account_id, chat_id, run_id, RunState.SUPERSEDED, self._now_ms()))

    async def sent(self, run: Run, outbox_id: int) -> None:
        """Note the message of a draft, and publish that it was sent."""
        mine = and_(ai_runs.c.id == run.id, ai_runs.c.state == RunState.ANSWERED.value)
        query = update(ai_runs).where(mine, ai_runs.c.outbox_id.is_(None)).values(outbox_id=outbox_id)
        await self._database.write(lambda connection: connection.execute(query))
        self._publish(run_event(run, RunState.ANSWERED, self._now_ms()))

    async def not_sent(self, run: Run, op_id: str) -> None:
        """Make a draft of a run again when the message of that request certainly did not leave.

        In a chat that moved on since it was closed it is superseded, as an open draft would have been.
        """
        mine = and_(
            ai_runs.c.id == run.id,
            ai_runs.c.state == RunState.ANSWERED.value,
            ai_runs.c.outbox_id.is_(None),
        )
        values = {"text": run.text, "actor": "", "decided_at_ms": run.decided_at_ms}

        def job(connection: Connection) -> RunState | None:
            message = sent_by(connection, run.account_id, op_id)  # none: another request has closed the draft
            if message is None or message.outcome is not SendOutcome.DROPPED:
                return None
            why = _moved_on(connection, run)
            state = RunState.SUPERSEDED if why else RunState.DRAFTED
            moved = {"why": why, "decided_at_ms": self._now_ms()} if why else {}
            reopened = connection.execute(update(ai_runs).where(mine).values({**values, **moved, "state": state.value}))
            return state if reopened.rowcount else None

        if (state := await self._database.write(job)) is not None:
            self._publish(run_event(run, state, self._now_ms()))

    async def drop(self, run: Run, actor: str) -> Run:
        """Drop a draft, also one that is dropped already. Raise ``RunClosed``."""
        now = self._now_ms()

        def job(connection: Connection) -> bool:
            before = read_run(connection, run.id)
            if before is not None and before.state is RunState.DROPPED:
                return False
            _close(connection, run, RunState.DROPPED, now, actor=actor)
            return True

        if await self._database.write(job):
            self._publish(run_event(run, RunState.DROPPED, now))
            return replace(run, state=RunState.DROPPED, actor=actor, decided_at_ms=now)
        return await self.find(run.id)


def _moved_on(connection: Connection, run: Run) -> str:
    """Return what a person wrote or did in the chat since the draft was closed; empty when nothing."""
    closed = select(ai_runs.c.decided_at_ms).where(ai_runs.c.id == run.id).scalar_subquery()
    words = select(messages.c.direction).where(
        messages.c.account_id == run.account_id,
        messages.c.chat_id == run.chat_id,
        messages.c.direction.in_([Direction.IN.value, Direction.HUMAN.value]),
        messages.c.received_at_ms >= closed,
    )
    if (direction := connection.scalar(words.limit(1))) is not None:
        return Superseded.BUYER_WROTE.value if direction == Direction.IN.value else Direction.HUMAN.value
    pauses = select(takeovers.c.reason).where(
        takeovers.c.account_id == run.account_id, takeovers.c.chat_id == run.chat_id, takeovers.c.since_ms >= closed
    )
    return connection.scalar(pauses) or ""


def _close(connection: Connection, run: Run, state: RunState, at_ms: int, **values: str) -> None:
    """Move a draft to a state. Raise ``RunClosed`` when it is none any more."""
    mine = and_(ai_runs.c.id == run.id, ai_runs.c.state == RunState.DRAFTED.value)
    closed = connection.execute(update(ai_runs).where(mine).values(state=state.value, decided_at_ms=at_ms, **values))
    if not closed.rowcount:
        found = read_run(connection, run.id)
        raise RunClosed("the draft is closed", state=found.state.value if found is not None else "")

"""The outbox: one row per outgoing message, stored before it is sent, with its outcome."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, or_, select, text, update

from shoal.accounts.events import MessageEvent, Publish, publish_nothing
from shoal.clock import now_ms
from shoal.errors import NotApplied
from shoal.measures import Histogram, Tally
from shoal.messages.decisions import Decision, decide, decided_before, decision_events, take_hit_back
from shoal.messages.echoes import ECHOED, OwnMessage, known_echo, unclaimed_echo
from shoal.messages.outbox_rows import OutboxRow, Sending, SendOutcome, columns_of, sending_of, sent_by
from shoal.messages.sealed_texts import NoSealedTexts, SealedTexts
from shoal.storage.among import among
from shoal.storage.database import Database
from shoal.storage.database_errors import UNIQUE_VIOLATIONS
from shoal.storage.schema import OUTBOX_OPEN, once_replies, outbox
from shoal.storage.upserts import insert_or


class MessageCounts:
    """The counts of all accounts."""

    def __init__(self) -> None:
        self.decided = Tally()
        """How many messages got which decision. One that was put off is decided again."""
        self.sent = Tally()
        """How often a sending came to which outcome. One that was uncertain may still turn out to be sent."""
        self.reply_seconds = Histogram(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
        """From the moment an automatic reply was due until the site accepted its last part."""


Guard = Callable[[Connection], Decision | None]
"""Checks, in the transaction that would start a send, what holds it back; ``None``: nothing."""
PartGuard = Callable[[Connection], str | None]
"""The same for a later message of several; it returns the reason."""


class Queued(msgspec.Struct, frozen=True, kw_only=True):
    """The stored parts of an answer, in order; or, without any, the reason.

    ``decision``: what held the answer back. ``decided``: messages that were already decided. ``before``: what the same
    request already sent.
    """

    sendings: tuple[Sending, ...] = ()
    decision: Decision | None = None
    decided: frozenset[str] = frozenset()
    before: Sending | None = None

    @property
    def ids(self) -> list[int]:
        """Return the ids of the rows."""
        return [sending.id for sending in self.sendings]


class Outbox:
    """The outbox of all accounts."""

    def __init__(
        self,
        database: Database,
        *,
        now_ms: Callable[[], int] = now_ms,
        publish: Publish = publish_nothing,
        sealed: SealedTexts | None = None,
    ) -> None:
        self.sealed = sealed or NoSealedTexts()
        self.counts = MessageCounts()
        self._database = database
        self._now_ms = now_ms
        self._publish = publish

    # ── sending ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def queue(
        self, rows: Sequence[OutboxRow], *, answers: Sequence[str] = (), guard: Guard | None = None,
        decision: Decision = Decision.ANSWERED, stored: Callable[[Connection, int], None] | None = None,
    ) -> Queued:  # fmt: skip
        """Store an answer before its first part is sent. Send only after this returned, and only its rows.

        The messages that it ``answers`` (the answer belongs to the last one) are decided in the same transaction:
        ``decision``, or that of ``guard``, and then nothing is sent. If one of them is already decided, or the same
        request already sent the message, nothing is stored.
        """
        account_id, rule_id = rows[0].account_id, rows[0].rule_id or ""

        def job(connection: Connection) -> Queued:
            before = sent_by(connection, account_id, rows[0].op_id)
            decided = decided_before(connection, account_id, answers)
            if before is not None or decided:
                return Queued(before=before, decided=decided)
            held = guard(connection) if guard is not None else None
            decide(connection, account_id, answers, decision if held is None else held, rule_id)
            if held is not None:
                return Queued(decision=held)
            queued = insert_rows(connection, rows, self._now_ms())
            if stored is not None:
                stored(connection, queued[0].id)
            return Queued(sendings=queued)

        try:
            queued = await self._database.announce(job)
        except NotApplied as refusal:
            if rows[0].op_id is None or refusal.params.get("reason") not in UNIQUE_VIOLATIONS:
                raise
            queued = await self._database.announce(job)  # the same request was faster elsewhere: its row is seen now
        if queued.before is not None or queued.decided:
            return queued
        self.publish_decided(account_id, answers, decision if queued.decision is None else queued.decision, rule_id)
        self.publish_queued(queued.sendings)
        return queued

    def publish_queued(self, sendings: Sequence[Sending]) -> None:
        """Publish that messages were stored, after their transaction."""
        for sending in sendings:
            self._publish_sent(sending.row.account_id, sending.id, sending.row.chat_id, sending.outcome, "")

    async def text_of(self, row: OutboxRow) -> str:
        """Return the text to be sent, with the units that it names. Raise ``StoreError``."""
        if not row.units:
            return row.text
        await self.sealed.before_leaving()
        return await self._database.read(lambda connection: self.sealed.opened(connection, row))

    async def drop_answer(
        self, rows: Sequence[OutboxRow], decision: Decision, *, answers: Sequence[str], words: Sequence[str] = ()
    ) -> None:
        """Store an answer that was not sent, with the decision made during its delay.

        ``answers``: the messages that are not decided yet. ``words``: those of a filtered answer.
        """
        account_id, rule_id, now = rows[0].account_id, rows[0].rule_id or "", self._now_ms()
        dropped = {"outcome": SendOutcome.DROPPED.value, "reason": decision.value}

        def job(connection: Connection) -> None:
            decide(connection, account_id, answers, decision, rule_id, words=words)
            values = [{**columns_of(row), **dropped, "created_at_ms": now, "settled_at_ms": now} for row in rows]
            connection.execute(outbox.insert(), values)

        await self._database.write(job)
        self.publish_decided(account_id, answers, decision, rule_id)

    async def begin(self, sending: Sending, guard: PartGuard | None = None) -> bool:
        """Mark a waiting part as being sent. Return ``False`` if ``guard`` held it back, which drops it, or if it does
        not wait any more: another connection has it.
        """
        waiting = and_(outbox.c.id == sending.id, outbox.c.outcome == SendOutcome.WAITING.value)

        def job(connection: Connection) -> tuple[str | None, bool]:
            held_back = guard(connection) if guard is not None else None
            values: dict[str, Any] = {"outcome": SendOutcome.SENDING.value}
            if held_back is not None:
                dropped = SendOutcome.DROPPED.value
                values = {"outcome": dropped, "reason": str(held_back), "settled_at_ms": self._now_ms()}
            return held_back, connection.execute(update(outbox).where(waiting).values(**values)).rowcount == 1

        held_back, is_mine = await self._database.announce(job)
        if is_mine:
            outcome = SendOutcome.SENDING if held_back is None else SendOutcome.DROPPED
            self._publish_sent(sending.row.account_id, sending.id, sending.row.chat_id, outcome, held_back or "")
        return is_mine and held_back is None

    async def begin_again(self, sending: Sending, *, most_resends: int, guard: Guard | None = None) -> bool:
        """Mark an uncertain message as being sent once more, with its uuid.

        Return ``False`` if it is settled, was resent the maximum number of times, or ``guard`` holds it back.
        """
        may = and_(
            outbox.c.id == sending.id,
            outbox.c.outcome == SendOutcome.UNCERTAIN.value,
            outbox.c.resends < most_resends,
        )
        statement = update(outbox).where(may).values(resends=outbox.c.resends + 1)

        def job(connection: Connection) -> bool:
            if guard is not None and guard(connection) is not None:
                return False
            return connection.execute(statement).rowcount == 1

        return await self._database.announce(job)

    # ── settling ────────────────────────────────────────────────────────────────────────────────────────────────

    async def settle(
        self, sending_id: int, outcome: SendOutcome, reason: str = "", site_message_id: str | None = None
    ) -> bool:
        """Store the outcome of a row. Return ``False`` if it was settled before (an open row may still change)."""
        values: dict[str, Any] = {"outcome": outcome.value, "reason": reason, "settled_at_ms": self._now_ms()}
        if site_message_id:
            values["site_message_id"] = site_message_id
        statement = (
            update(outbox)
            .where(outbox.c.id == sending_id, text(OUTBOX_OPEN))
            .values(**values)
            .returning(outbox.c.account_id, outbox.c.chat_id)
        )
        row = await self._database.write(lambda connection: connection.execute(statement).first())
        if row is not None:
            self._publish_sent(row.account_id, sending_id, row.chat_id, outcome, reason)
        return row is not None

    async def drop_waiting(self, ids: Collection[int], reason: str) -> None:
        """Drop waiting parts of an answer, none of which was sent."""
        if not ids:
            return
        statement = (
            update(outbox)
            .where(outbox.c.id.in_(list(ids)), outbox.c.outcome == SendOutcome.WAITING.value)
            .values(outcome=SendOutcome.DROPPED.value, reason=reason, settled_at_ms=self._now_ms())
            .returning(outbox.c.id, outbox.c.account_id, outbox.c.chat_id)
        )
        for row in await self._database.write(lambda connection: connection.execute(statement).all()):
            self._publish_sent(row.account_id, row.id, row.chat_id, SendOutcome.DROPPED, reason)

    async def put_back(self, sending_id: int) -> None:
        """Set a started part that certainly was not sent back to waiting."""
        begun = and_(outbox.c.id == sending_id, outbox.c.outcome == SendOutcome.SENDING.value)
        statement = update(outbox).where(begun).values(outcome=SendOutcome.WAITING.value)
        await self._database.write(lambda connection: connection.execute(statement).rowcount)

    async def take_back(
        self,
        account_id: str,
        ids: Collection[int],
        reason: str,
        *,
        answers: Sequence[str] = (),
        decision: Decision = Decision.PENDING,
        once_in: str | None = None,
    ) -> bool:
        """Drop rows that certainly were not sent, so that the messages wait for an answer again.

        ``once_in``: the chat whose once-only reply this was, which is due again. Return ``False`` if another connection
        took the rows over, or they are settled; then they do not change.
        """
        mine = outbox.c.outcome.in_([SendOutcome.WAITING.value, SendOutcome.SENDING.value])
        statement = (
            update(outbox)
            .where(outbox.c.id.in_(list(ids)), text(OUTBOX_OPEN), mine)
            .values(outcome=SendOutcome.DROPPED.value, reason=reason, settled_at_ms=self._now_ms())
            .returning(outbox.c.id, outbox.c.chat_id, outbox.c.rule_id, outbox.c.part)
        )

        def job(connection: Connection) -> list[tuple[int, str]]:
            rows = connection.execute(statement).all()
            if not rows:
                return []
            for row in rows:
                if row.rule_id and not row.part:
                    take_hit_back(connection, account_id, row.rule_id)
            dropped = [(row.id, row.chat_id) for row in rows]
            decide(connection, account_id, answers, decision, "")
            if once_in is not None:
                mine = and_(once_replies.c.account_id == account_id, once_replies.c.chat_id == once_in)
                connection.execute(once_replies.delete().where(mine))
            return dropped

        dropped = await self._database.write(job)
        for row_id, chat_id in dropped:
            self._publish_sent(account_id, row_id, chat_id, SendOutcome.DROPPED, reason)
        if dropped:
            self.publish_decided(account_id, answers, decision, "")
        return bool(dropped)

    async def interrupted(self, account_id: str | None) -> list[Sending]:
        """Set rows that were being sent when the program or the connection ended to ``uncertain``. Return them.

        It first waits for writes that the connection sent and did not see finished. ``None``: all accounts.
        """
        await self._database.settled()
        cut_off = and_(text(OUTBOX_OPEN), outbox.c.outcome == SendOutcome.SENDING.value)
        if account_id is not None:
            cut_off = and_(outbox.c.account_id == account_id, cut_off)
        query = select(outbox.c.id).where(cut_off).limit(1)
        if await self._database.read(lambda connection: connection.execute(query).first()) is None:
            return []  # the usual case: without a write, a full disk blocks no connection
        statement = (
            update(outbox)
            .where(cut_off)
            .values(outcome=SendOutcome.UNCERTAIN.value, reason="interrupted", settled_at_ms=self._now_ms())
            .returning(*outbox.columns)
        )
        cut = await self._database.write(
            lambda connection: [sending_of(row) for row in connection.execute(statement).mappings()]
        )
        for sending in cut:
            self._publish_sent(sending.row.account_id, sending.id, sending.row.chat_id, sending.outcome, sending.reason)
        return cut

    async def claim_echo(
        self, account_id: str, chat_id: str, message_id: str, text: str, content_type: str, *, sent_at_ms: int = 0
    ) -> Sending | None:
        """Return the row whose echo an own message is, and set it to ``sent``; ``None``: not sent by this server.

        It is found by the site's id. If the answer never came, had no id, or named another id than the echo, it is
        found by the text of a row without an echo. ``sent_at_ms``: when it was sent, by our clock, if it comes late.
        """
        now = self._now_ms()
        own = OwnMessage(
            account_id=account_id, chat_id=chat_id, message_id=message_id, text=text, content_type=content_type,
            sent_at_ms=min(now, sent_at_ms or now),
        )  # fmt: skip
        values = {
            "outcome": SendOutcome.SENT.value,
            "reason": ECHOED,
            "site_message_id": message_id,
            "settled_at_ms": now,
        }

        def job(connection: Connection) -> tuple[Sending | None, bool]:
            known = known_echo(connection, own)
            found = None if known is not None else unclaimed_echo(connection, self.sealed, own, now)
            if found is None:
                return known, False
            claim = update(outbox).where(outbox.c.id == found).values(**values).returning(*outbox.columns)
            return sending_of(connection.execute(claim).mappings().one()), True

        sending, settled = await self._database.write(job)
        if sending is not None and settled:
            self._publish_sent(account_id, sending.id, chat_id, sending.outcome, sending.reason)
        return sending

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def get(self, sending_id: int) -> Sending:
        """Return one row. Raise ``LookupError`` when it was deleted."""
        query = select(outbox).where(outbox.c.id == sending_id)
        row = await self._database.read(lambda connection: connection.execute(query).mappings().first())
        if row is None:
            raise LookupError(f"no sending {sending_id}")
        return sending_of(row)

    async def by_op(self, account_id: str, op_id: str) -> Sending | None:
        """Return the row of that request, or ``None``."""
        return await self._database.read(lambda connection: sent_by(connection, account_id, op_id))

    async def unfinished(self, account_id: str, newer_than_ms: int) -> list[Sending]:
        """Return open rows of the last connection, oldest first: waiting parts, and newer uncertain messages."""
        waits = outbox.c.outcome == SendOutcome.WAITING.value
        uncertain = and_(outbox.c.outcome == SendOutcome.UNCERTAIN.value, outbox.c.created_at_ms > newer_than_ms)
        query = (
            select(outbox)
            .where(outbox.c.account_id == account_id, text(OUTBOX_OPEN), or_(waits, uncertain))
            .order_by(outbox.c.id)
        )
        return await self._listed(query)

    async def list_sendings(
        self,
        account_ids: Collection[str],
        *,
        chat_id: str | None = None,
        order_id: str | None = None,
        outcome: SendOutcome | None = None,
        before_id: int | None = None,
        limit: int = 50,
    ) -> list[Sending]:
        """List rows, newest first, including those that answer no message."""
        statement = select(outbox).where(among(outbox.c.account_id, account_ids))
        if chat_id is not None:
            statement = statement.where(outbox.c.chat_id == chat_id)
        if order_id is not None:
            statement = statement.where(outbox.c.order_id == order_id)
        if outcome is not None:
            statement = statement.where(outbox.c.outcome == outcome.value)
        if before_id is not None:
            statement = statement.where(outbox.c.id < before_id)
        return await self._listed(statement.order_by(outbox.c.id.desc()).limit(limit))

    async def _listed(self, query: Any) -> list[Sending]:
        return await self._database.read(
            lambda connection: [sending_of(row) for row in connection.execute(query).mappings()]
        )

    # ── publishing ──────────────────────────────────────────────────────────────────────────────────────────────

    def _publish_sent(self, account_id: str, row_id: int, chat_id: str, outcome: SendOutcome, reason: str) -> None:
        self.counts.sent.add(outcome.value)
        facts = {"id": row_id, "chat": chat_id, "outcome": outcome.value, "reason": str(reason)}
        self._publish(
            MessageEvent(account_id=account_id, kind="sending", key=str(row_id), facts=facts, at_ms=self._now_ms())
        )

    def publish_decided(self, account_id: str, ids: Collection[str], decision: Decision, rule_id: str) -> None:
        """Publish that messages were decided, after their transaction."""
        for event in decision_events(account_id, ids, decision, rule_id, self._now_ms()):
            self.counts.decided.add(decision.value)
            self._publish(event)


def insert_rows(
    connection: Connection, rows: Sequence[OutboxRow], now_ms: int, *, again: Sending | None = None
) -> tuple[Sending, ...]:
    """Store messages, in the caller's transaction: the first is being sent, the others wait.

    ``again``: an uncertain message that is sent once more before them, with its uuid; so all of them wait.
    """
    insert, stored = insert_or(connection, outbox).returning(*outbox.columns), []
    if again is not None:
        resent = update(outbox).where(outbox.c.id == again.id).values(resends=outbox.c.resends + 1)
        stored.append(sending_of(connection.execute(resent.returning(*outbox.columns)).mappings().one()))
    for row in rows:
        outcome = SendOutcome.WAITING if stored else SendOutcome.SENDING
        values = {**columns_of(row), "outcome": outcome.value, "created_at_ms": now_ms}
        stored.append(sending_of(connection.execute(insert.values(**values)).mappings().one()))
    return tuple(stored)

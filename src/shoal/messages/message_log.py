"""The messages of the chats: every one once, with what was decided about it and what was sent in answer."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, fields, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, or_, select, text, update

from shoal.accounts.events import MessageEvent, Publish, publish_nothing
from shoal.accounts.positions import EventId, Stream
from shoal.clock import now_ms
from shoal.messages import chats
from shoal.messages.chats import Chat
from shoal.messages.decisions import Decision, decide, decision_events, settle_payment
from shoal.messages.echoes import without_units
from shoal.messages.logged_message import Direction, IncomingMessage, LoggedMessage
from shoal.messages.outbox import Guard, Outbox
from shoal.messages.outbox_rows import Sending, SendOutcome, sending_of
from shoal.messages.sealed_texts import SealedTexts
from shoal.messages.takeovers import Takeover, TakeoverReason, pause_event, pause_for_human
from shoal.messages.word_search import are_few, contains, newest, newest_matches
from shoal.storage.among import among
from shoal.storage.database import Database
from shoal.storage.message_segments import drop_empty, drop_segments_of
from shoal.storage.old_rows import delete_in_steps
from shoal.storage.schema import UNHANDLED, messages, outbox
from shoal.storage.upserts import insert_new

__all__ = ["Direction", "IncomingMessage", "LoggedMessage", "MessageLog"]


class MessageLog:
    """The messages of all accounts, and their outbox."""

    def __init__(
        self,
        database: Database, *, now_ms: Callable[[], int] = now_ms, publish: Publish = publish_nothing,
        sealed: SealedTexts | None = None,
    ) -> None:  # fmt: skip
        self._database = database
        self._now_ms = now_ms
        self._publish = publish
        self.outbox = Outbox(database, now_ms=now_ms, publish=publish, sealed=sealed)

    # ── incoming ────────────────────────────────────────────────────────────────────────────────────────────────

    async def store_incoming(
        self, account_id: str, incoming: Sequence[IncomingMessage], *, pulled: bool = False
    ) -> set[str]:
        """Store messages. Return the ids of those that were not known. Acknowledge them only after that.

        A known message that is pushed again is counted and ignored; a ``pulled`` one is not counted. Units of goods in
        our own messages are stored masked.
        """
        if not incoming:
            return set()
        now = self._now_ms()
        by_id = {message.message_id: message for message in reversed(incoming)}
        again = [] if pulled else [message.message_id for message in incoming]

        def job(connection: Connection) -> tuple[list[IncomingMessage], dict[str, int]]:
            logged = without_units(connection, self.outbox.sealed, account_id, list(reversed(by_id.values())))
            rows = [{**_plain(message), "account_id": account_id, "received_at_ms": now} for message in logged]
            added = insert_new(connection, messages, "account_id", "message_id")
            stored = connection.execute(added.returning(messages.c.message_id, messages.c.id), rows).all()
            new = {row.message_id: row.id for row in stored}
            chats.note(connection, (_chat_of(account_id, message) for message in logged if message.message_id in new))
            _count_repeats(connection, account_id, [name for name in again if name not in new])
            return logged, new

        def publish(found: tuple[list[IncomingMessage], dict[str, int]]) -> None:
            logged = {message.message_id: message for message in found[0]}
            for message_id, row_id in sorted(found[1].items(), key=lambda one: one[1]):
                self._publish(_message_event(account_id, logged[message_id], now, row_id))

        _, new = await self._database.write(job, on_commit=publish)
        return set(new)

    async def known(self, account_id: str, message_ids: Collection[str]) -> set[str]:
        """Return which of these messages are stored."""
        query = select(messages.c.message_id).where(
            messages.c.account_id == account_id, messages.c.message_id.in_(list(message_ids))
        )
        return await self._database.read(lambda connection: set(connection.scalars(query)))

    async def decide(
        self,
        account_id: str, message_ids: Sequence[str], decision: Decision,
        *, rule_id: str = "", for_good: bool = False, words: Sequence[str] = (), guard: Guard | None = None,
    ) -> Decision:  # fmt: skip
        """Store the decision about the messages of a burst; the last is the one that an answer belongs to.

        ``for_good``: the decision is final, even if its kind usually is not. ``words``: those of a filtered answer.
        ``guard``: asked in the same transaction; its decision stands instead. Return the stored one.
        """
        if not message_ids:
            return decision

        def job(connection: Connection) -> Decision:
            held = guard(connection) if guard is not None else None
            stored = decision if held is None else held  # ``PENDING`` is false
            decide(connection, account_id, message_ids, stored, rule_id, for_good=for_good, words=words)
            return stored

        stored = await (self._database.write(job) if guard is None else self._database.announce(job))
        self.outbox.publish_decided(account_id, message_ids, stored, rule_id)
        return stored

    def publish(self, event: MessageEvent) -> None:
        """Publish an event of a chat, after its transaction."""
        self._publish(event)

    async def mark_human(self, account_id: str, message: IncomingMessage, *, pause_minutes: int) -> bool:
        """Record that the owner wrote an own message in the site's own client, which pauses the chat.

        The pause counts from the time of the message. Return whether it pauses the chat now.
        """
        now = self._now_ms()
        pause = Takeover(
            account_id=account_id,
            chat_id=message.chat_id,
            reason=TakeoverReason.HUMAN,
            actor="",
            since_ms=message.created_at_ms,
            until_ms=message.created_at_ms + pause_minutes * 60_000,
        )
        statement = (
            update(messages)
            .where(messages.c.account_id == account_id, messages.c.message_id == message.message_id)
            .values(direction=Direction.HUMAN.value, handled=True, verdict=Decision.HUMAN.value)
            .returning(messages.c.text)
        )

        def job(connection: Connection) -> tuple[str, bool]:
            stored = connection.scalar(statement) or ""  # units are masked in it
            chat = replace(_chat_of(account_id, message), last_text=stored, last_direction=Direction.HUMAN.value)
            chats.note(connection, [chat])
            return stored, pause_for_human(connection, pause, now)

        stored, changed = await self._database.write(job)
        self.outbox.counts.decided.add(Decision.HUMAN.value)
        human = replace(message, text=stored, direction=Direction.HUMAN, handled=True, decision=Decision.HUMAN)
        self._publish(_message_event(account_id, human, now))
        if changed:
            self._publish(pause_event(pause, now))
        return changed and pause.until_ms > now

    async def mark_read(self, account_id: str, chat_id: str, at_ms: int) -> None:
        """Record that the buyer has read our messages in a chat up to then."""
        await self._database.write(lambda connection: chats.mark_read(connection, account_id, chat_id, at_ms))

    async def unhandled(self, account_id: str, newer_than_ms: int) -> list[LoggedMessage]:
        """Return unhandled messages written after ``newer_than_ms``, oldest first.

        A buyer's message waits for an answer; an own message is not yet checked for being an echo. What the site sent
        and its owner has not handled is left out: it waits for nothing else.
        """
        query = (
            select(messages)
            .where(
                messages.c.account_id == account_id,
                text(UNHANDLED),
                messages.c.created_at_ms > newer_than_ms,
                messages.c.direction != Direction.SITE.value,
            )
            .order_by(messages.c.created_at_ms, messages.c.id)
        )
        return await self._database.read(
            lambda connection: [_logged(row, ()) for row in connection.execute(query).mappings()]
        )

    async def grow_old(self, account_id: str, older_than_ms: int) -> int:
        """Decide unhandled buyers' messages written before that time as too old. Return how many."""
        old = and_(
            messages.c.account_id == account_id,
            text(UNHANDLED),
            messages.c.direction == Direction.IN.value,
            messages.c.created_at_ms <= older_than_ms,
        )
        query = select(messages.c.message_id).where(old).limit(1)
        if await self._database.read(lambda connection: connection.execute(query).first()) is None:
            return 0  # the usual case: without a write, a full disk blocks no connection
        statement = (
            update(messages)
            .where(old)
            .values(handled=True, verdict=Decision.TOO_OLD.value)
            .returning(messages.c.message_id)
        )
        aged = await self._database.write(lambda connection: connection.scalars(statement).all())
        self.outbox.publish_decided(account_id, aged, Decision.TOO_OLD, "")
        return len(aged)

    async def settle_payment(self, account_id: str, message_id: str) -> bool | None:
        """Record that the owner has handled a payment that names no order. Return whether it was open.

        ``None``: no such payment is known.
        """
        was_open = await self._database.write(lambda connection: settle_payment(connection, account_id, message_id))
        if was_open:
            for event in decision_events(account_id, [message_id], Decision.PAID_UNKNOWN, "", self._now_ms()):
                self._publish(event)
        return was_open

    # ── lists ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def list_messages(
        self,
        account_ids: Collection[str],
        *,
        chat_id: str | None = None,
        direction: Direction | None = None,
        decision: Decision | None = None,
        handled: bool | None = None,
        since_ms: int | None = None,
        until_ms: int | None = None,
        before: tuple[int, int] | None = None,
        limit: int = 50,
        query: str = "",
    ) -> list[LoggedMessage]:
        """List messages, newest first, with their answers. ``before`` is the ``cursor`` of the last one seen.

        ``query`` is searched literally in text and sender name, ignoring case. ``since_ms`` is inclusive, ``until_ms``
        exclusive.
        """
        statement = select(messages)
        if chat_id is not None:
            statement = statement.where(messages.c.chat_id == chat_id)
        if direction is not None:
            statement = statement.where(messages.c.direction == direction.value)
        if decision is not None:
            statement = statement.where(messages.c.verdict == decision.value)
        if handled is not None:
            statement = statement.where(messages.c.handled if handled else text(UNHANDLED))
        if since_ms is not None:
            statement = statement.where(messages.c.created_at_ms >= since_ms)
        if until_ms is not None:
            statement = statement.where(messages.c.created_at_ms < until_ms)
        if before is not None:
            created, row_id = before
            statement = statement.where(
                or_(
                    messages.c.created_at_ms < created,
                    and_(messages.c.created_at_ms == created, messages.c.id < row_id),
                )
            )
        latest = min(math.inf if until_ms is None else until_ms, math.inf if before is None else before[0])
        times_ms = (-math.inf if since_ms is None else since_ms, latest)
        is_plain = all(part is None for part in (chat_id, direction, decision, handled))

        def job(connection: Connection) -> list[LoggedMessage]:
            if query and chat_id is None and not are_few(connection, account_ids):
                rows = newest_matches(connection, statement, query, account_ids, times_ms=times_ms, limit=limit)
            else:
                wanted = statement.where(contains(query)) if query else statement
                dense = is_plain and not query
                rows = newest(connection, wanted, account_ids, before_ms=times_ms[1], limit=limit, dense=dense)
            answers = _answers(connection, rows)
            return [_logged(row, tuple(answers[row["account_id"], row["message_id"]])) for row in rows]

        return await (self._database.search(job) if query else self._database.read(job))

    async def forget_older_than(self, moment_ms: int, *, rows: int = 2000) -> int:
        """Delete messages, settled outbox rows, chats and takeovers before that time. Return the number of messages.

        It deletes ``rows`` rows per transaction, so that no step occupies the writer for long. Their words leave the
        index in the same transaction.
        """
        old_messages = messages.c.received_at_ms < moment_ms
        old_sendings = and_(outbox.c.created_at_ms < moment_ms, outbox.c.outcome.not_in(_STILL_TO_GO))
        await chats.forget_older_than(self._database, moment_ms, rows)
        await delete_in_steps(self._database, outbox, old_sendings, rows)
        forgotten = await delete_in_steps(self._database, messages, old_messages, rows, also=drop_segments_of)
        if forgotten:
            await self._database.write(drop_empty)
        return forgotten


_MESSAGE_FIELDS = tuple(entry.name for entry in fields(IncomingMessage))
_COLUMNS = {"decision": "verdict"}
"""Columns whose name differs from their field."""
_STILL_TO_GO = (SendOutcome.WAITING.value, SendOutcome.SENDING.value)


def _count_repeats(connection: Connection, account_id: str, message_ids: Collection[str]) -> None:
    if message_ids:
        connection.execute(
            update(messages)
            .where(messages.c.account_id == account_id, messages.c.message_id.in_(list(message_ids)))
            .values(repeats=messages.c.repeats + 1)
        )


def _chat_of(account_id: str, message: IncomingMessage) -> Chat:
    from_buyer = message.direction is not Direction.OUT
    return Chat(
        account_id=account_id,
        chat_id=message.chat_id,
        buyer_id=message.sender_id if from_buyer else "",
        buyer_name=message.sender_name if from_buyer else "",
        item_id=message.item_id,
        last_at_ms=message.created_at_ms,
        last_text=message.text,
        last_direction=message.direction.value,
        received=1 if message.direction is Direction.IN else 0,
    )


def _message_event(account_id: str, message: IncomingMessage, at_ms: int, row_id: int | None = None) -> MessageEvent:
    names = ("message_id", "sender_name", "text", "created_at_ms")
    values = {"chat": message.chat_id, "direction": message.direction.value, "decision": message.decision.value}
    facts = {**values, **{name: getattr(message, name) for name in names}}
    place = None if row_id is None else EventId(Stream.MESSAGES, row_id)
    return MessageEvent(
        account_id=account_id, kind="message", key=message.message_id, facts=facts, at_ms=at_ms, place=place
    )


def _plain(message: IncomingMessage) -> dict[str, Any]:
    """Return the columns of a message; members of an enum as their values."""
    return {
        _COLUMNS.get(name, name): part.value if isinstance(part, StrEnum) else part
        for name, part in asdict(message).items()
    }


def _answers(connection: Connection, rows: Sequence[RowMapping]) -> defaultdict[tuple[str, str], list[Sending]]:
    answers: defaultdict[tuple[str, str], list[Sending]] = defaultdict(list)
    if rows:
        query = (
            select(outbox)
            .where(
                among(outbox.c.account_id, {row["account_id"] for row in rows}),
                among(outbox.c.message_id, {row["message_id"] for row in rows}),
            )
            .order_by(outbox.c.id)
        )
        for row in connection.execute(query).mappings():
            answers[row["account_id"], row["message_id"]].append(sending_of(row))
    return answers


def _logged(row: RowMapping, sendings: tuple[Sending, ...]) -> LoggedMessage:
    values = {name: row[_COLUMNS.get(name, name)] for name in _MESSAGE_FIELDS}
    return LoggedMessage(
        id=row["id"],
        account_id=row["account_id"],
        message=IncomingMessage(
            **{**values, "direction": Direction(row["direction"]), "decision": Decision(row["verdict"])}
        ),
        received_at_ms=row["received_at_ms"],
        sendings=sendings,
        rule_id=row["rule_id"],
        joined_to=row["joined_to"],
        repeats=row["repeats"],
        filtered_words=tuple(row["filtered_words"].split("\n")) if row["filtered_words"] else (),
    )

"""What buyers wrote and what we answered: every message once, every sending with its outcome."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, and_, func, not_, or_, select, update

from shoal.clock import now_ms
from shoal.database import Database
from shoal.schema import insert_or, messages, once_replies, outbox

ECHO_WINDOW_MS = 3600_000
"""How long after a sending its echo may come and still be known by its words."""
_PICTURE = "2"
"""The content type of a picture (docs/protocol.md §3.7)."""


class Direction(StrEnum):
    """Who wrote a message."""

    IN = "in"
    """The buyer."""
    OUT = "out"
    """This program (the echo of its own sending)."""
    HUMAN = "human"
    """The seller, in the site's own client."""


class SendOutcome(StrEnum):
    """What became of a sending."""

    SENDING = "sending"
    """Stored, on its way: the only state in which it may still be sent."""
    SENT = "sent"
    """The site took it."""
    REFUSED = "refused"
    """The site refused it, and said why."""
    UNCERTAIN = "uncertain"
    """It left and no answer came, or the program ended meanwhile. It is never sent again by itself."""
    DROPPED = "dropped"
    """It never left: paused, switched off, too old."""


class OutboxKind(StrEnum):
    """Why something is sent."""

    REPLY = "reply"
    PAID = "paid"
    MANUAL = "manual"


@dataclass(frozen=True, kw_only=True, slots=True)
class IncomingMessage:
    """One message as the site delivered it. ``message_id`` is the site's, and unique within the account."""

    message_id: str
    chat_id: str
    item_id: str | None = None
    sender_id: str = ""
    sender_name: str = ""
    direction: Direction = Direction.IN
    content_type: str = "text"
    text: str = ""
    created_at_ms: int = 0
    handled: bool = False
    """Whether it needs nothing (more): answered, rightly not answered, or nothing to answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxRow:
    """Something to send. ``message_id`` is the message it answers; ``uuid`` is ours and unique."""

    account_id: str
    chat_id: str
    uuid: str
    kind: OutboxKind = OutboxKind.REPLY
    message_id: str | None = None
    order_id: str | None = None
    buyer_id: str = ""
    rule_id: str | None = None
    text: str = ""
    image_url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sending:
    """A row of the outbox with its outcome."""

    id: int
    row: OutboxRow
    outcome: SendOutcome
    reason: str
    site_message_id: str | None
    created_at_ms: int
    settled_at_ms: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LoggedMessage:
    """A stored message with what was sent in answer to it. ``cursor`` continues a list after it."""

    id: int
    account_id: str
    message: IncomingMessage
    received_at_ms: int
    sendings: tuple[Sending, ...] = ()

    @property
    def cursor(self) -> tuple[int, int]:
        """Where this message stands in a list, newest first."""
        return (self.message.created_at_ms, self.id)


class MessageLog:
    """The messages and the outbox of every account."""

    def __init__(self, database: Database, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._now_ms = now_ms

    # ── incoming ────────────────────────────────────────────────────────────────────────────────────────────────

    async def store_incoming(self, account_id: str, incoming: Sequence[IncomingMessage]) -> set[str]:
        """Store messages durably; returns the ids of those that were not known before. Acknowledge only then."""
        if not incoming:
            return set()
        received = self._now_ms()
        rows = {
            message.message_id: {**_plain(message), "account_id": account_id, "received_at_ms": received}
            for message in reversed(incoming)
        }

        def job(connection: Connection) -> set[str]:
            statement = (
                insert_or(connection, messages)
                .on_conflict_do_nothing(index_elements=[messages.c.account_id, messages.c.message_id])
                .returning(messages.c.message_id)
            )
            return set(connection.scalars(statement, list(reversed(rows.values()))))

        return await self._database.write(job)

    async def known(self, account_id: str, message_ids: Collection[str]) -> set[str]:
        """Which of these messages are stored."""
        query = select(messages.c.message_id).where(
            messages.c.account_id == account_id, messages.c.message_id.in_(list(message_ids))
        )
        return await self._database.read(lambda connection: set(connection.scalars(query)))

    async def mark_handled(self, account_id: str, message_ids: Collection[str]) -> None:
        """Say that these messages need nothing more: answered, or rightly not answered."""
        await self._database.write(lambda connection: _set_handled(connection, account_id, message_ids, handled=True))

    async def mark_human(self, account_id: str, message_id: str) -> None:
        """Say that a message of ours was written by the seller in the site's own client."""
        statement = (
            update(messages)
            .where(messages.c.account_id == account_id, messages.c.message_id == message_id)
            .values(direction=Direction.HUMAN.value)
        )
        await self._database.write(lambda connection: connection.execute(statement).rowcount)

    async def unhandled(self, account_id: str, newer_than_ms: int) -> list[LoggedMessage]:
        """Buyers' messages that nobody handled and that were written after ``newer_than_ms``, oldest first."""
        query = (
            select(messages)
            .where(
                messages.c.account_id == account_id,
                not_(messages.c.handled),
                messages.c.direction == Direction.IN.value,
                messages.c.created_at_ms > newer_than_ms,
            )
            .order_by(messages.c.created_at_ms, messages.c.id)
        )
        return await self._database.read(
            lambda connection: [_logged(row, ()) for row in connection.execute(query).mappings()]
        )

    # ── outgoing ────────────────────────────────────────────────────────────────────────────────────────────────

    async def queue(self, row: OutboxRow, *, answers: Collection[str] = ()) -> int:
        """Store something that is about to be sent; returns its id. Send only after this returned.

        The messages that it ``answers`` are handled from then on, in the same transaction.
        """
        return await self._database.write(lambda connection: self._queue(connection, row, answers))

    async def queue_once(self, row: OutboxRow, *, answers: Collection[str] = ()) -> int | None:
        """As ``queue``, for a reply that a chat gets once: ``None``, and nothing to send, when it has had it."""

        def job(connection: Connection) -> int | None:
            if self._first_once(connection, row.account_id, row.chat_id):
                return self._queue(connection, row, answers)
            _set_handled(connection, row.account_id, answers, handled=True)
            return None

        return await self._database.write(job)

    def _queue(self, connection: Connection, row: OutboxRow, answers: Collection[str]) -> int:
        _set_handled(connection, row.account_id, answers, handled=True)
        values = {**_plain(row), "outcome": SendOutcome.SENDING.value, "created_at_ms": self._now_ms()}
        statement = insert_or(connection, outbox).values(**values).returning(outbox.c.id)
        stored: int = connection.execute(statement).scalar_one()
        return stored

    async def settle(
        self, sending_id: int, outcome: SendOutcome, reason: str = "", site_message_id: str | None = None
    ) -> bool:
        """Say what became of a sending. False when that was settled before (only ``uncertain`` may still change)."""
        values: dict[str, Any] = {"outcome": outcome.value, "reason": reason, "settled_at_ms": self._now_ms()}
        if site_message_id is not None:
            values["site_message_id"] = site_message_id
        open_still = outbox.c.outcome.in_([SendOutcome.SENDING.value, SendOutcome.UNCERTAIN.value])
        statement = update(outbox).where(outbox.c.id == sending_id, open_still).values(**values)
        return await self._database.write(lambda connection: connection.execute(statement).rowcount == 1)

    async def take_back(
        self, account_id: str, sending_id: int, reason: str, *, answers: Collection[str], once_in: str | None = None
    ) -> None:
        """Say that something certainly never left, so that the messages it answers wait for an answer again.

        ``once_in``: the chat in which it was the once-only reply, which is due again then.
        """
        statement = (
            update(outbox)
            .where(outbox.c.id == sending_id)
            .values(outcome=SendOutcome.DROPPED.value, reason=reason, settled_at_ms=self._now_ms())
        )

        def job(connection: Connection) -> None:
            connection.execute(statement)
            _set_handled(connection, account_id, answers, handled=False)
            if once_in is not None:
                said = and_(once_replies.c.account_id == account_id, once_replies.c.chat_id == once_in)
                connection.execute(once_replies.delete().where(said))

        await self._database.write(job)

    async def interrupted(self, account_id: str) -> list[Sending]:
        """Turn what was on its way when the program or the connection ended into ``uncertain``; returns it."""
        mine = and_(outbox.c.account_id == account_id, outbox.c.outcome == SendOutcome.SENDING.value)
        statement = (
            update(outbox)
            .where(mine)
            .values(outcome=SendOutcome.UNCERTAIN.value, reason="interrupted", settled_at_ms=self._now_ms())
            .returning(*outbox.columns)
        )
        return await self._database.write(
            lambda connection: [_sending(row) for row in connection.execute(statement).mappings()]
        )

    async def claim_echo(self, account_id: str, chat_id: str, message: IncomingMessage) -> bool:
        """Whether a message of ours is the echo of something that this program sent.

        Known by the site's id; else, where the site's answer never came and so its id is not known, by the words of a
        sending that is still uncertain. It stays uncertain, but it will not be taken for another message's.
        """
        mine = outbox.c.account_id == account_id
        known = select(outbox.c.id).where(mine, outbox.c.site_message_id == message.message_id).limit(1)
        same = outbox.c.image_url != "" if message.content_type == _PICTURE else outbox.c.text == message.text
        unclaimed = (
            select(outbox.c.id)
            .where(
                mine,
                outbox.c.chat_id == chat_id,
                outbox.c.outcome == SendOutcome.UNCERTAIN.value,
                outbox.c.site_message_id.is_(None),
                outbox.c.created_at_ms > self._now_ms() - ECHO_WINDOW_MS,
                same,
            )
            .order_by(outbox.c.id)
            .limit(1)
        )

        def job(connection: Connection) -> bool:
            if connection.scalar(known) is not None:
                return True
            found = connection.scalar(unclaimed)
            if found is None:
                return False
            connection.execute(update(outbox).where(outbox.c.id == found).values(site_message_id=message.message_id))
            return True

        return await self._database.write(job)

    def _first_once(self, connection: Connection, account_id: str, chat_id: str) -> bool:
        row = {"account_id": account_id, "chat_id": chat_id, "at_ms": self._now_ms()}
        columns = [once_replies.c.account_id, once_replies.c.chat_id]
        statement = insert_or(connection, once_replies).on_conflict_do_nothing(index_elements=columns)
        return connection.execute(statement.values(**row).returning(once_replies.c.chat_id)).first() is not None

    # ── lists ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def list_messages(
        self,
        account_ids: Collection[str],
        *,
        chat_id: str | None = None,
        before: tuple[int, int] | None = None,
        limit: int = 50,
        query: str = "",
    ) -> list[LoggedMessage]:
        """Messages, newest first, with their sendings. ``before`` is the ``cursor`` of the last one seen.

        ``query`` is looked for literally in the text and the sender's name, whatever the case.
        """
        statement = select(messages).where(messages.c.account_id.in_(list(account_ids)))
        if chat_id is not None:
            statement = statement.where(messages.c.chat_id == chat_id)
        if before is not None:
            created, row_id = before
            statement = statement.where(
                or_(
                    messages.c.created_at_ms < created,
                    and_(messages.c.created_at_ms == created, messages.c.id < row_id),
                )
            )
        if query:
            statement = statement.where(
                or_(
                    messages.c.text.icontains(query, autoescape=True),
                    messages.c.sender_name.icontains(query, autoescape=True),
                )
            )
        statement = statement.order_by(messages.c.created_at_ms.desc(), messages.c.id.desc()).limit(limit)

        def job(connection: Connection) -> list[LoggedMessage]:
            rows = connection.execute(statement).mappings().all()
            answers = _answers(connection, rows)
            return [_logged(row, tuple(answers[row["account_id"], row["message_id"]])) for row in rows]

        return await self._database.read(job)

    async def list_sendings(
        self,
        account_ids: Collection[str],
        *,
        chat_id: str | None = None,
        order_id: str | None = None,
        before_id: int | None = None,
        limit: int = 50,
    ) -> list[Sending]:
        """Sendings, newest first, also those that answer no message."""
        statement = select(outbox).where(outbox.c.account_id.in_(list(account_ids)))
        if chat_id is not None:
            statement = statement.where(outbox.c.chat_id == chat_id)
        if order_id is not None:
            statement = statement.where(outbox.c.order_id == order_id)
        if before_id is not None:
            statement = statement.where(outbox.c.id < before_id)
        statement = statement.order_by(outbox.c.id.desc()).limit(limit)
        return await self._database.read(
            lambda connection: [_sending(row) for row in connection.execute(statement).mappings()]
        )

    async def last_human_at_ms(self, account_id: str, chat_id: str) -> int | None:
        """When the seller last wrote in this chat by hand; ``None`` if never."""
        query = select(func.max(messages.c.created_at_ms)).where(
            messages.c.account_id == account_id,
            messages.c.chat_id == chat_id,
            messages.c.direction == Direction.HUMAN.value,
        )
        return await self._database.read(lambda connection: connection.scalar(query))

    async def forget_older_than(self, moment_ms: int, *, rows: int = 2000) -> int:
        """Delete messages and settled sendings from before that moment; returns how many messages.

        In steps of so many rows, so that no step holds the writer for long.
        """
        old_messages = messages.c.received_at_ms < moment_ms
        old_sendings = and_(outbox.c.created_at_ms < moment_ms, outbox.c.outcome != SendOutcome.SENDING.value)
        await self._forget(outbox, old_sendings, rows)
        return await self._forget(messages, old_messages, rows)

    async def _forget(self, table: Table, old: ColumnElement[bool], rows: int) -> int:
        step = table.delete().where(table.c.id.in_(select(table.c.id).where(old).order_by(table.c.id).limit(rows)))
        forgotten = 0
        while True:
            deleted: int = await self._database.write(lambda connection: connection.execute(step).rowcount)
            forgotten += deleted
            if deleted < rows:
                return forgotten


_MESSAGE_FIELDS = tuple(entry.name for entry in fields(IncomingMessage))
_OUTBOX_FIELDS = tuple(entry.name for entry in fields(OutboxRow))


def _set_handled(connection: Connection, account_id: str, message_ids: Collection[str], *, handled: bool) -> None:
    if message_ids:
        connection.execute(
            update(messages)
            .where(messages.c.account_id == account_id, messages.c.message_id.in_(list(message_ids)))
            .values(handled=handled)
        )


def _plain(value: IncomingMessage | OutboxRow) -> dict[str, Any]:
    """Columns of a value; members of an enum as the text they stand for."""
    return {name: part.value if isinstance(part, StrEnum) else part for name, part in asdict(value).items()}


def _answers(connection: Connection, rows: Sequence[RowMapping]) -> defaultdict[tuple[str, str], list[Sending]]:
    answers: defaultdict[tuple[str, str], list[Sending]] = defaultdict(list)
    if rows:
        query = (
            select(outbox)
            .where(
                outbox.c.account_id.in_({row["account_id"] for row in rows}),
                outbox.c.message_id.in_({row["message_id"] for row in rows}),
            )
            .order_by(outbox.c.id)
        )
        for row in connection.execute(query).mappings():
            answers[row["account_id"], row["message_id"]].append(_sending(row))
    return answers


def _logged(row: RowMapping, sendings: tuple[Sending, ...]) -> LoggedMessage:
    values = {name: row[name] for name in _MESSAGE_FIELDS}
    return LoggedMessage(
        id=row["id"],
        account_id=row["account_id"],
        message=IncomingMessage(**{**values, "direction": Direction(row["direction"])}),
        received_at_ms=row["received_at_ms"],
        sendings=sendings,
    )


def _sending(row: RowMapping) -> Sending:
    values = {name: row[name] for name in _OUTBOX_FIELDS}
    return Sending(
        id=row["id"],
        row=OutboxRow(**{**values, "kind": OutboxKind(row["kind"])}),
        outcome=SendOutcome(row["outcome"]),
        reason=row["reason"],
        site_message_id=row["site_message_id"],
        created_at_ms=row["created_at_ms"],
        settled_at_ms=row["settled_at_ms"],
    )

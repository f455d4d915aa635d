"""Takeovers: chats where automatic replies pause for the owner. Stored, so that they survive a restart."""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import StrEnum

import msgspec
from sqlalchemy import Connection, RowMapping, select, update

from shoal.accounts.events import MessageEvent, Publish, publish_nothing
from shoal.clock import now_ms
from shoal.messages.model_runs import supersede_drafts
from shoal.storage.among import among
from shoal.storage.chat_tables import takeovers
from shoal.storage.database import Database
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import chat_subject, close_incidents
from shoal.storage.upserts import insert_or


class TakeoverReason(StrEnum):
    """The reason of a takeover or its end."""

    HUMAN = "human"
    """The owner wrote in the chat with the site's own client."""
    TAKEN_OVER = "taken_over"
    """The owner took the chat over in Shoal."""
    WANTS_PERSON = "wants_person"
    """The buyer asked for a person. The owner's next word in the chat takes its place."""
    HANDED_BACK = "handed_back"
    """The owner handed the chat back: messages that the owner wrote before do not pause it again."""


class Takeover(msgspec.Struct, frozen=True, kw_only=True):
    """No automatic replies in this chat until ``until_ms``; ``since_ms`` is the takeover's start (or its end)."""

    account_id: str
    chat_id: str
    reason: TakeoverReason
    actor: str = ""
    since_ms: int = 0
    until_ms: int = 0


class Takeovers:
    """The takeovers of all accounts."""

    def __init__(
        self, database: Database, *, now_ms: Callable[[], int] = now_ms, publish: Publish = publish_nothing
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._publish = publish

    async def take_over(self, account_id: str, chat_id: str, *, minutes: int, actor: str) -> Takeover:
        """Take a chat over for that many minutes from now; this replaces an earlier takeover."""
        now = self._now_ms()
        pause = Takeover(
            account_id=account_id,
            chat_id=chat_id,
            reason=TakeoverReason.TAKEN_OVER,
            actor=actor,
            since_ms=now,
            until_ms=now + minutes * 60_000,
        )

        def job(connection: Connection) -> None:
            put(connection, pause)
            close_handoff(connection, account_id, chat_id, now)

        await self._database.write(job)
        self._publish(pause_event(pause, now))
        return pause

    async def hand_back(self, account_id: str, chat_id: str, *, actor: str) -> bool:
        """End a chat's takeover. Return ``False`` without one."""
        now = self._now_ms()
        statement = (
            update(takeovers)
            .where(
                takeovers.c.account_id == account_id,
                takeovers.c.chat_id == chat_id,
                takeovers.c.until_ms > now,
            )
            .values(reason=TakeoverReason.HANDED_BACK.value, actor=actor, since_ms=now, until_ms=now)
        )

        def job(connection: Connection) -> bool:
            close_handoff(connection, account_id, chat_id, now)
            supersede_drafts(connection, account_id, chat_id, TakeoverReason.HANDED_BACK.value, now)
            return connection.execute(statement).rowcount == 1

        ended = await self._database.write(job)
        if ended:
            back = Takeover(
                account_id=account_id,
                chat_id=chat_id,
                reason=TakeoverReason.HANDED_BACK,
                actor=actor,
                since_ms=now,
                until_ms=now,
            )
            self._publish(pause_event(back, now))
        return ended

    async def active(self, account_ids: Collection[str]) -> list[Takeover]:
        """Return the active takeovers, in the order of their end."""
        query = (
            select(takeovers)
            .where(among(takeovers.c.account_id, account_ids), takeovers.c.until_ms > self._now_ms())
            .order_by(takeovers.c.until_ms, takeovers.c.chat_id)
        )
        return await self._database.read(
            lambda connection: [_pause(row) for row in connection.execute(query).mappings()]
        )


def paused_until(
    connection: Connection, account_id: str, chat_id: str, now: int, *, but: TakeoverReason | None = None
) -> int | None:
    """Return the end of the chat's takeover; ``None`` without one, and for one of the reason ``but``."""
    query = select(takeovers.c.until_ms).where(
        takeovers.c.account_id == account_id, takeovers.c.chat_id == chat_id, takeovers.c.until_ms > now
    )
    if but is not None:
        query = query.where(takeovers.c.reason != but.value)
    return connection.scalar(query)


def pause_for_human(connection: Connection, pause: Takeover, now: int) -> bool:
    """Store the takeover for a message that the owner wrote.

    Return ``False`` when nothing changes: its pause is over, the message is older than the hand-back, or a longer
    takeover is active. It always takes the place of a hand-off: the owner, for whom the buyer asked, is there.
    """
    supersede_drafts(connection, pause.account_id, pause.chat_id, pause.reason.value, now)
    query = select(takeovers).where(takeovers.c.account_id == pause.account_id, takeovers.c.chat_id == pause.chat_id)
    row = connection.execute(query).mappings().first()
    before = None if row is None else _pause(row)
    if before is not None and before.reason is TakeoverReason.WANTS_PERSON and before.since_ms <= pause.since_ms:
        put(connection, pause)
        close_handoff(connection, pause.account_id, pause.chat_id, pause.since_ms)
        return True
    if pause.until_ms <= now:
        return False
    if before is not None:
        handed_back_since = before.reason is TakeoverReason.HANDED_BACK and before.since_ms >= pause.since_ms
        if handed_back_since or before.until_ms >= pause.until_ms:
            return False
    put(connection, pause)
    return True


def pause_event(pause: Takeover, at_ms: int) -> MessageEvent:
    """Return the event of a takeover that began, changed or ended."""
    facts = {
        "chat": pause.chat_id,
        "reason": pause.reason.value,
        "actor": pause.actor,
        "paused_until_ms": pause.until_ms if pause.until_ms > at_ms else None,
    }
    return MessageEvent(account_id=pause.account_id, kind="pause", key=pause.chat_id, facts=facts, at_ms=at_ms)


def close_handoff(connection: Connection, account_id: str, chat_id: str, at_ms: int) -> None:
    """Close the incident that the buyer wants a person: the owner is there."""
    close_incidents(connection, [chat_subject(account_id, chat_id)], [IncidentKind.WANTS_PERSON], at_ms)


def put(connection: Connection, pause: Takeover) -> None:
    """Store a takeover in the place of the chat's last one. Open drafts of a model end."""
    supersede_drafts(connection, pause.account_id, pause.chat_id, pause.reason.value, pause.since_ms)
    values = {
        "reason": pause.reason.value,
        "actor": pause.actor,
        "since_ms": pause.since_ms,
        "until_ms": pause.until_ms,
    }
    statement = insert_or(connection, takeovers).values(account_id=pause.account_id, chat_id=pause.chat_id, **values)
    columns = [takeovers.c.account_id, takeovers.c.chat_id]
    connection.execute(statement.on_conflict_do_update(index_elements=columns, set_=values))


def _pause(row: RowMapping) -> Takeover:
    return Takeover(
        account_id=row["account_id"],
        chat_id=row["chat_id"],
        reason=TakeoverReason(row["reason"]),
        actor=row["actor"],
        since_ms=row["since_ms"],
        until_ms=row["until_ms"],
    )

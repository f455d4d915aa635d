"""What the list shows of each chat beside its messages, as parts of queries: takeover, work, unread, who waits."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, false, func, literal, not_, or_, select, text

from shoal.messages.decisions import Decision, is_lone_emoji
from shoal.messages.outbox_rows import SendOutcome
from shoal.storage.chat_tables import ASKED, chat_seen, chat_work, chats, takeovers
from shoal.storage.schema import messages, outbox
from shoal.storage.user_tables import users


class WorkStatus(StrEnum):
    """What a person decided about a chat. The buyer's next message makes it open again."""

    OPEN = "open"
    SNOOZED = "snoozed"
    """It is open again at a certain time."""
    DONE = "done"


NO_ASSIGNEE = 0
"""No user has this id: the assignee of a chat that is not assigned."""
MOST_UNREAD = 99
"""More unread messages of a chat are not counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """Who reads the list. A chat without a message since ``since_ms``, when the user was added, is not unread."""

    user_id: int
    since_ms: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatFilter:
    """Which chats are listed; ``None`` leaves a question out.

    ``waiting``: whether a question of the buyer waits for a person. ``assignee_id``: of this user, or ``NO_ASSIGNEE``.
    ``unread``: whether the reader has not seen all of the buyer's messages.
    """

    chat_id: str | None = None
    paused: bool | None = None
    waiting: bool | None = None
    status: WorkStatus | None = None
    assignee_id: int | None = None
    unread: bool | None = None

    @property
    def is_everything(self) -> bool:
        """Whether no chat is left out."""
        return self == ChatFilter()

    def conditions(self, now_ms: int, reader: Reader | None) -> list[ColumnElement[bool]]:
        """Return what is true of the listed chats."""
        found: list[ColumnElement[bool]] = []
        if self.chat_id is not None:
            found.append(chats.c.chat_id == self.chat_id)
        if self.paused is not None:
            held = takeovers.c.until_ms
            found.append(held.is_not(None) if self.paused else held.is_(None))
        if self.waiting is not None:
            found.append(waits(now_ms) if self.waiting else not_(waits(now_ms)))
        if self.status is not None:
            found.append(status(now_ms) == self.status.value)
        if self.assignee_id == NO_ASSIGNEE:
            found.append(chat_work.c.assignee_id.is_(None))
        elif self.assignee_id is not None:
            found.append(chat_work.c.assignee_id == self.assignee_id)
        if self.unread is not None:
            some = is_unread(reader) if reader is not None else false()
            found.append(some if self.unread else not_(some))
        return found


_UNDECIDED_MS = 120_000
"""After that time a question that is not decided yet waits for a person too: nothing seems to answer it."""
_FOR_NO_ASSIGNEE = frozenset(
    {
        Decision.SILENT_RULE,
        Decision.HUMAN_ANSWERED,
        Decision.SYSTEM_TEXT,
        Decision.SITE_CARD,
        Decision.SITE_TIP,
        Decision.OFFICIAL,
        Decision.GROUP_CHAT,
        Decision.ECHO,
        Decision.HUMAN,
    }
)
"""Decisions about what needs no answer, of this server or of a person."""
_NOT_SENT = (SendOutcome.REFUSED.value, SendOutcome.DROPPED.value)


def listed_chats(now_ms: int, reader: Reader | None) -> Select[Any]:
    """Select the chats with what is shown of each; the newest is not first yet."""
    holds = and_(
        takeovers.c.account_id == chats.c.account_id,
        takeovers.c.chat_id == chats.c.chat_id,
        takeovers.c.until_ms > now_ms,
    )
    listed = (
        select(
            chats,
            takeovers.c.until_ms.label("paused_until_ms"),
            takeovers.c.reason.label("pause_reason"),
            takeovers.c.actor.label("pause_actor"),
            waits(now_ms).label("waits"),
            status(now_ms).label("status"),
            chat_work.c.until_ms.label("snoozed_until_ms"),
            users.c.username.label("assignee"),
            (unread(reader) if reader is not None else literal(0)).label("unread"),
        )
        .outerjoin(takeovers, holds)
        .outerjoin(chat_work, of_chat(chat_work))
        .outerjoin(users, users.c.id == chat_work.c.assignee_id)
    )
    return listed if reader is None else listed.outerjoin(chat_seen, seen_by(reader))


def of_chat(table: Any) -> ColumnElement[bool]:
    """Select the row of a table about the chat of the list."""
    return and_(table.c.account_id == chats.c.account_id, table.c.chat_id == chats.c.chat_id)


def seen_by(reader: Reader) -> ColumnElement[bool]:
    """Select what the reader has seen of the chat of the list."""
    return and_(of_chat(chat_seen), chat_seen.c.user_id == reader.user_id)


def status(now_ms: int) -> ColumnElement[str]:
    """Select the status as it is now: a later message of the buyer, or the end of a snooze, opens a chat."""
    lasts = or_(chat_work.c.status == WorkStatus.DONE.value, chat_work.c.until_ms > now_ms)
    return case((and_(chat_work.c.heard >= chats.c.heard, lasts), chat_work.c.status), else_=WorkStatus.OPEN.value)


def is_unread(reader: Reader) -> ColumnElement[bool]:
    """Select whether the reader has not seen all of the buyer's messages."""
    return and_(chats.c.heard > func.coalesce(chat_seen.c.heard, 0), chats.c.last_at_ms >= reader.since_ms)


def unread(reader: Reader) -> ColumnElement[int]:
    """Select how many of the buyer's messages the reader has not seen."""
    more = chats.c.heard - func.coalesce(chat_seen.c.heard, 0)
    return case((not_(is_unread(reader)), 0), (more > MOST_UNREAD, MOST_UNREAD), else_=more)


def waits(now_ms: int) -> ColumnElement[bool]:
    """Select whether a question waits: the buyer spoke last, no automatic answer is coming or was left out on purpose,
    and no person has put the chat off or called it done. Emojis ask nothing: what was sent before them counts.
    """
    failed = exists().where(
        outbox.c.account_id == messages.c.account_id,
        outbox.c.message_id == func.coalesce(messages.c.joined_to, messages.c.message_id),
        outbox.c.outcome.in_(_NOT_SENT),
    )
    for_a_person = case(
        (messages.c.verdict == Decision.PENDING.value, messages.c.received_at_ms < now_ms - _UNDECIDED_MS),
        (messages.c.verdict == Decision.ANSWERED.value, failed),
        else_=messages.c.verdict.not_in([one.value for one in _FOR_NO_ASSIGNEE]),
    )
    asked = messages.c.direction == "in"
    of_chat = and_(messages.c.account_id == chats.c.account_id, messages.c.chat_id == chats.c.chat_id)
    newest = (
        select(case((asked, for_a_person), else_=false()))
        .where(of_chat, messages.c.direction != "site", not_(and_(asked, is_lone_emoji())))
        .order_by(messages.c.created_at_ms.desc(), messages.c.id.desc())
        .limit(1)
        .correlate(chats)
        .scalar_subquery()
    )
    only_emojis = exists().where(of_chat, asked).correlate(chats)
    waiting = func.coalesce(newest, not_(only_emojis))
    return and_(text(ASKED), status(now_ms) == WorkStatus.OPEN.value, waiting)

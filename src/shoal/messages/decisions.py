"""The recorded decision for every incoming message, and what is counted in the transaction that records it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, literal, not_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from shoal.accounts.events import MessageEvent
from shoal.clock import now_ms
from shoal.storage.database import Database
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, chat_subject, open_incidents
from shoal.storage.schema import messages, once_replies, rule_hits
from shoal.storage.upserts import insert_for, insert_or


class Decision(StrEnum):
    """Why a message was answered or not. Stored with it; ``is_final``: it may not be answered any more."""

    PENDING = ""
    """Not decided yet."""
    ANSWERED = "answered"
    """A rule, an item's reply or the default reply answers it; the outbox has the outcome."""
    SILENT_RULE = "silent_rule"
    """A rule without a reply matched: the owner wants no answer."""
    NO_RULE = "no_rule"
    """No rule and no default reply matches."""
    PAUSED = "paused"
    """The owner has taken the chat over, by writing in it or in Shoal."""
    HUMAN_ANSWERED = "human_answered"
    """The owner answered it first."""
    BUYER_LIMIT = "buyer_limit"
    """The buyer got the allowed number of automatic replies within an hour."""
    SHOP_LIMIT = "shop_limit"
    """The account sent the allowed number of automatic replies within a minute.

    The message is answered when the limit allows it, if it is not too old by then.
    """
    COOLDOWN = "cooldown"
    """The rule answered this buyer a short time ago."""
    FILTERED = "filtered"
    """The output filter held the answer back; the words are stored with it."""
    DRAFTED = "drafted"
    """A language model wrote a draft; a person decides whether it is sent."""
    MODEL_AWAY = "model_away"
    """The language model was not asked (out of its hours, resting, without budget), and there is no default reply.

    Only the away word is sent, once in each chat and day, or closed period of the model.
    """
    CLOSED = "closed"
    """The shop is closed; only its away word is sent, once in each chat and closed period."""
    HANDED_OFF = "handed_off"
    """The buyer asked for a person: the chat is left to the owner."""
    SAID_ONCE = "said_once"
    """The chat already got its once-only default reply."""
    TOO_OLD = "too_old"
    """It had waited too long when it could have been answered."""
    DISABLED = "disabled"
    """The account is disabled. The message is still answered if that ends before it is too old."""
    REPLIES_OFF = "replies_off"
    """The account's automatic replies are switched off."""
    SYSTEM_TEXT = "system_text"
    """The site's own text, which needs no answer."""
    SITE_CARD = "site_card"
    """A card or notice of the site, under a buyer's id."""
    SITE_TIP = "site_tip"
    """A hint or an advertisement of the site."""
    OFFICIAL = "official"
    """An account of the site wrote it."""
    GROUP_CHAT = "group_chat"
    """It was sent in a group: only a chat with one buyer gets automatic replies."""
    PAID_UNKNOWN = "paid_unknown"
    """The site says that an order of the chat is paid, and not which: it is not handled until its owner says so."""
    NOTHING_SAID = "nothing_said"
    """No text and no picture that a rule could match."""
    ECHO = "echo"
    """The echo of a message from this server."""
    HUMAN = "human"
    """A message of the owner from the site's own client."""

    @property
    def is_final(self) -> bool:
        """Return whether the message needs nothing more."""
        return self not in {Decision.PENDING, Decision.DISABLED, Decision.SHOP_LIMIT}


_FIRED = frozenset({Decision.ANSWERED, Decision.SILENT_RULE})


class Hits(msgspec.Struct, frozen=True):
    """How often a rule matched, and when last, in milliseconds since 1970."""

    count: int
    last_ms: int


_LEFT_TO_OWNER = frozenset(
    {
        Decision.NO_RULE,
        Decision.BUYER_LIMIT,
        Decision.PAID_UNKNOWN,
        Decision.FILTERED,
        Decision.DRAFTED,
        Decision.MODEL_AWAY,
    }
)


# ── in the transaction that decides ────────────────────────────────────────────────────────────────────────────────


def decide(
    connection: Connection,
    account_id: str,
    message_ids: Sequence[str],
    decision: Decision,
    rule_id: str,
    *,
    for_good: bool = False,
    words: Sequence[str] = (),
) -> None:
    """Store the decision about the messages of a burst; all but the last are joined to the last.

    A matching rule, even without a reply, counts one hit. ``for_good``: makes a decision final that is not final by
    itself. ``words``: those of a filtered answer.
    """
    if not message_ids:
        return
    if rule_id and decision in _FIRED:
        count_hit(connection, account_id, rule_id, now_ms())
    is_final = for_good or decision.is_final
    values: dict[str, Any] = {"handled": is_final, "verdict": decision.value, "rule_id": rule_id}
    if words:
        values["filtered_words"] = "\n".join(words)
    mine = messages.c.account_id == account_id
    last, others = message_ids[-1], list(message_ids[:-1])
    if decision in _LEFT_TO_OWNER:
        _open_incident(connection, account_id, message_ids, decision)
    connection.execute(update(messages).where(mine, messages.c.message_id == last).values(**values, joined_to=None))
    if others:
        joined = last if is_final else None
        connection.execute(
            update(messages).where(mine, messages.c.message_id.in_(others)).values(**values, joined_to=joined)
        )


def _open_incident(connection: Connection, account_id: str, message_ids: Sequence[str], decision: Decision) -> None:
    """Open the incident that a buyer waits for the owner, unless the burst has nothing but emojis."""
    mine = and_(messages.c.account_id == account_id, messages.c.message_id.in_(message_ids))
    chat_id = connection.scalar(select(messages.c.chat_id).where(mine, not_(is_lone_emoji())).limit(1))
    if chat_id is not None:
        opening = Opening(
            subject=chat_subject(account_id, chat_id),
            kind=IncidentKind.BUYER_WAITS,
            at_ms=now_ms(),
            account_id=account_id,
            detail=decision.value,
            facts={"chat_id": chat_id},
        )
        open_incidents(connection, [opening])


def settle_payment(connection: Connection, account_id: str, message_id: str) -> bool | None:
    """Mark a payment that names no order as handled. Return whether it was open, or ``None`` without such a payment."""
    mine = and_(messages.c.account_id == account_id, messages.c.message_id == message_id)
    payment = and_(mine, messages.c.verdict == Decision.PAID_UNKNOWN.value)
    if connection.execute(update(messages).where(payment, not_(messages.c.handled)).values(handled=True)).rowcount:
        return True
    return None if connection.scalar(select(messages.c.id).where(payment)) is None else False


def decided_before(connection: Connection, account_id: str, message_ids: Sequence[str]) -> frozenset[str]:
    """Return which of these messages need nothing more. The others stay locked until this transaction ends."""
    if not message_ids:
        return frozenset()
    query = (
        select(messages.c.message_id, messages.c.handled)
        .where(messages.c.account_id == account_id, messages.c.message_id.in_(list(message_ids)))
        .with_for_update()
    )
    return frozenset(row.message_id for row in connection.execute(query) if row.handled)


def first_once(connection: Connection, account_id: str, chat_id: str, at_ms: int, *, buyer_id: str = "") -> bool:
    """Record the chat's once-only reply. Return whether neither it nor its buyer had one before.

    Rows with a buyer's id come from another system, which noted it there instead of the chat's.
    """
    columns = [once_replies.c.account_id, once_replies.c.chat_id, once_replies.c.at_ms]
    mine = and_(once_replies.c.account_id == account_id, once_replies.c.chat_id == buyer_id)
    values = (literal(value, column.type) for value, column in zip((account_id, chat_id, at_ms), columns, strict=True))
    new = select(*values).where(~exists().where(mine))
    statement = (
        insert_or(connection, once_replies)
        .from_select(columns, new)
        .on_conflict_do_nothing(index_elements=columns[:2])
        .returning(once_replies.c.chat_id)
    )
    return connection.execute(statement).first() is not None


def count_hit(connection: Connection, account_id: str, rule_id: str, at_ms: int) -> None:
    """Count one hit of the rule, in the caller's transaction."""
    count_hits(connection, [{"account_id": account_id, "rule_id": rule_id, "hits": 1, "last_hit_ms": at_ms}])


def count_hits(connection: Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Add hits to rules, in the caller's transaction. ``rows``: those of ``rule_hits``, each rule once."""
    connection.execute(_counted_hit(connection.dialect.name), rows)


@cache
def _counted_hit(dialect: str) -> sqlite.Insert | postgresql.Insert:
    statement = insert_for(dialect, rule_hits)
    later = func.max if dialect == "sqlite" else func.greatest
    return statement.on_conflict_do_update(
        index_elements=[rule_hits.c.account_id, rule_hits.c.rule_id],
        set_={
            "hits": rule_hits.c.hits + statement.excluded.hits,
            "last_hit_ms": later(rule_hits.c.last_hit_ms, statement.excluded.last_hit_ms),
        },
    )


def take_hit_back(connection: Connection, account_id: str, rule_id: str) -> None:
    """Count one hit less: the rule's reply certainly was not sent, and the message will be answered again."""
    mine = and_(rule_hits.c.account_id == account_id, rule_hits.c.rule_id == rule_id, rule_hits.c.hits > 0)
    connection.execute(update(rule_hits).where(mine).values(hits=rule_hits.c.hits - 1))


# ── reading and publishing ───────────────────────────────────────────────────────────────────────────────────────


def decision_events(
    account_id: str, ids: Collection[str], decision: Decision, rule_id: str, at_ms: int
) -> list[MessageEvent]:
    """Return the events of messages that were decided."""
    return [
        MessageEvent(
            account_id=account_id,
            kind="decision",
            key=message_id,
            facts={"message_id": message_id, "decision": decision.value, "rule_id": rule_id},
            at_ms=at_ms,
        )
        for message_id in ids
    ]


async def hits_of(database: Database, account_id: str) -> dict[str, Hits]:
    """Return the hits by rule id; rules without hits are missing, deleted rules may be included."""
    query = select(rule_hits).where(rule_hits.c.account_id == account_id)
    rows = await database.read(lambda connection: connection.execute(query).all())
    return {row.rule_id: Hits(row.hits, row.last_hit_ms) for row in rows}


async def forget_once_replies(database: Database, account_id: str) -> int:
    """Let every chat of the account get the once-only reply again. Return how many chats had it."""
    statement = delete(once_replies).where(once_replies.c.account_id == account_id)
    return await database.write(lambda connection: connection.execute(statement).rowcount)


_TEXTS: Final = ("1", "text")
"""The kinds of a message that has words of its own; those of a picture are the site's, such as `[图片]`."""
_SYMBOLS: Final = r"\s\u200d\ufe0f\u2600-\u2752\u2756-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
_EMOJIS: Final = rf"\A(?:\[[^\[\]\s]{{1,8}}\]|[{_SYMBOLS}])+\Z"
"""The site's own, such as `[旺柴]`, and those of Unicode but the marks of a question (U+2753 to U+2755). Both databases
read it alike."""


def is_lone_emoji() -> ColumnElement[bool]:
    """Select whether a row of ``messages`` has emojis and nothing else."""
    return and_(messages.c.content_type.in_(_TEXTS), messages.c.text.regexp_match(_EMOJIS))

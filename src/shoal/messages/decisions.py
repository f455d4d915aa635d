"""The recorded decision for every incoming message, and what is counted in the transaction that records it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, and_, delete, func, select, update

from shoal.accounts.events import MessageEvent
from shoal.clock import now_ms
from shoal.storage.database import Database
from shoal.storage.schema import insert_or, messages, once_replies, rule_hits


class Decision(StrEnum):
    """Why a message was answered, or was not. Stored with it; ``is_final`` tells whether it may still be answered."""

    PENDING = ""
    """Nothing is decided yet."""
    ANSWERED = "answered"
    """A rule (or the item's, or the default reply) answers it; what became of that stands with the sendings."""
    SILENT_RULE = "silent_rule"
    """A rule fired that says nothing: the owner wants it so."""
    NO_RULE = "no_rule"
    """Nothing answers such words."""
    PAUSED = "paused"
    """The owner has the chat, by having spoken there or by hand."""
    HUMAN_ANSWERED = "human_answered"
    """The owner answered it first."""
    BUYER_LIMIT = "buyer_limit"
    """The buyer got as many automatic replies within an hour as the shop allows."""
    SHOP_LIMIT = "shop_limit"
    """The shop sent as many automatic replies within a minute as it allows. It is answered when there is room again, if
    that comes before it has grown old."""
    COOLDOWN = "cooldown"
    """The rule spoke to this buyer a short while ago."""
    SAID_ONCE = "said_once"
    """The chat has had its default reply, which is given once."""
    TOO_OLD = "too_old"
    """It had waited too long when it could have been answered."""
    DISABLED = "disabled"
    """The account was switched off. It is answered all the same if that ends before it has grown old."""
    SYSTEM_TEXT = "system_text"
    """The site's own words; nobody expects an answer."""
    NOTHING_SAID = "nothing_said"
    """No words and no picture that a rule could look at."""
    ECHO = "echo"
    """Our own sending, come back."""
    HUMAN = "human"
    """The owner, speaking in the site's own client."""

    @property
    def is_final(self) -> bool:
        """Whether the message needs nothing more."""
        return self not in {Decision.PENDING, Decision.DISABLED, Decision.SHOP_LIMIT}


_FIRED = frozenset({Decision.ANSWERED, Decision.SILENT_RULE})


@dataclass(frozen=True, slots=True)
class Hits:
    """How often a rule fired, and when last, in milliseconds since 1970."""

    count: int
    last_ms: int


# ── in the transaction that decides ────────────────────────────────────────────────────────────────────────────────


def decide(
    connection: Connection,
    account_id: str,
    message_ids: Sequence[str],
    decision: Decision,
    rule_id: str,
    *,
    for_good: bool = False,
) -> None:
    """Write what was decided about the messages of a burst; all but the last one are joined to the last.

    A rule that answers them, or says nothing on purpose, has fired once more. ``for_good``: also what is not final as
    such ends the matter.
    """
    if not message_ids:
        return
    if rule_id and decision in _FIRED:
        count_hit(connection, account_id, rule_id, now_ms())
    is_final = for_good or decision.is_final
    values: dict[str, Any] = {"handled": is_final, "verdict": decision.value, "rule_id": rule_id}
    mine = messages.c.account_id == account_id
    last, others = message_ids[-1], list(message_ids[:-1])
    connection.execute(update(messages).where(mine, messages.c.message_id == last).values(**values, joined_to=None))
    if others:
        joined = last if is_final else None
        connection.execute(
            update(messages).where(mine, messages.c.message_id.in_(others)).values(**values, joined_to=joined)
        )


def decided_before(connection: Connection, account_id: str, message_ids: Sequence[str]) -> frozenset[str]:
    """Which of these messages need nothing more. The others cannot be decided before this transaction ends."""
    if not message_ids:
        return frozenset()
    query = (
        select(messages.c.message_id, messages.c.handled)
        .where(messages.c.account_id == account_id, messages.c.message_id.in_(list(message_ids)))
        .with_for_update()
    )
    return frozenset(row.message_id for row in connection.execute(query) if row.handled)


def first_once(connection: Connection, account_id: str, chat_id: str, at_ms: int) -> bool:
    """Whether this chat has not had its once-only reply; from now on it has."""
    columns = [once_replies.c.account_id, once_replies.c.chat_id]
    statement = (
        insert_or(connection, once_replies)
        .values(account_id=account_id, chat_id=chat_id, at_ms=at_ms)
        .on_conflict_do_nothing(index_elements=columns)
        .returning(once_replies.c.chat_id)
    )
    return connection.execute(statement).first() is not None


def count_hit(connection: Connection, account_id: str, rule_id: str, at_ms: int) -> None:
    """One more for the rule, in the caller's transaction."""
    statement = insert_or(connection, rule_hits).values(
        account_id=account_id, rule_id=rule_id, hits=1, last_hit_ms=at_ms
    )
    later = func.max if connection.dialect.name == "sqlite" else func.greatest
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[rule_hits.c.account_id, rule_hits.c.rule_id],
            set_={"hits": rule_hits.c.hits + 1, "last_hit_ms": later(rule_hits.c.last_hit_ms, at_ms)},
        )
    )


def take_hit_back(connection: Connection, account_id: str, rule_id: str) -> None:
    """One less: what the rule said certainly never left, and what it answers will be answered again."""
    mine = and_(rule_hits.c.account_id == account_id, rule_hits.c.rule_id == rule_id, rule_hits.c.hits > 0)
    connection.execute(update(rule_hits).where(mine).values(hits=rule_hits.c.hits - 1))


# ── reading and telling ──────────────────────────────────────────────────────────────────────────────────────────


def decision_events(
    account_id: str, ids: Collection[str], decision: Decision, rule_id: str, at_ms: int
) -> list[MessageEvent]:
    """The events of messages about which something was decided."""
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
    """The hits of an account's rules by rule id; one that never fired is left out, one that is gone may be in it."""
    query = select(rule_hits).where(rule_hits.c.account_id == account_id)
    rows = await database.read(lambda connection: connection.execute(query).all())
    return {row.rule_id: Hits(row.hits, row.last_hit_ms) for row in rows}


async def forget_once_replies(database: Database, account_id: str) -> int:
    """Let every chat of the account have it again. Returns how many had had it."""
    statement = delete(once_replies).where(once_replies.c.account_id == account_id)
    return await database.write(lambda connection: connection.execute(statement).rowcount)

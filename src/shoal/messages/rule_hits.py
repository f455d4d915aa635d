"""How often each rule fired, and when last: counted in the transaction that queues the reply, or decides on none."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, select, update

from shoal.storage.database import Database
from shoal.storage.schema import insert_or, rule_hits


@dataclass(frozen=True, slots=True)
class Hits:
    """How often a rule fired, and when last, in milliseconds since 1970."""

    count: int
    last_ms: int


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


async def hits_of(database: Database, account_id: str) -> dict[str, Hits]:
    """The hits of an account's rules by rule id; one that never fired is left out, one that is gone may be in it."""
    query = select(rule_hits).where(rule_hits.c.account_id == account_id)
    rows = await database.read(lambda connection: connection.execute(query).all())
    return {row.rule_id: Hits(row.hits, row.last_hit_ms) for row in rows}

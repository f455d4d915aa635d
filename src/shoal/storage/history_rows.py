"""The past as rows: state moves and baselines, and how old rows are deleted step by step.

Each function of a connection is the work of one transaction. A step of pruning is small, so that no change waits long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, RowMapping, bindparam, delete, exists, func, or_, select, text

from shoal.accounts.account import AccountState, StateMove
from shoal.accounts.journal import TIMES_DIFFER_MS, Baseline, JournalEntry, advance
from shoal.accounts.positions import Stream
from shoal.errors import StoreError
from shoal.storage.among import among
from shoal.storage.change_statements import statements_of
from shoal.storage.history_tables import baselines, journal, ops, state_moves
from shoal.storage.touched import reach
from shoal.storage.upserts import insert_or_renew

STEP_ROWS = 2_000
"""How many rows a step of pruning deletes at most."""
STEP_CHARACTERS = 1_000_000
"""How much text a step folds at most (but always one entry)."""
_PRUNING_LOCK = 0x53686F616C01  # as for the journal's lock: any number that every node uses
ENTRY_COLUMNS = tuple(
    journal.c[name]
    for name in ("rev", "account_id", "owner_id", "generation", "changes", "actor", "op_id", "at_ms", "origin")
)
_FIRST_REV = select(func.min(journal.c.rev))  # each by itself: together they are a scan
_LAST_REV = select(func.max(journal.c.rev))
_NEXT_TIME = (
    select(journal.c.rev, journal.c.at_ms).where(journal.c.rev >= bindparam("rev")).order_by(journal.c.rev).limit(1)
)


# ── the journal and its baselines ─────────────────────────────────────────────────────────────────────────────────


def read_journal(
    connection: Connection,
    *,
    after_rev: int = 0,
    up_to_rev: int | None = None,
    account_id: str | None = None,
    owner_id: int | None = None,
    or_accounts: Sequence[str] = (),
    before_ms: int | None = None,
    limit: int | None = None,
    newest_first: bool = False,
) -> list[JournalEntry]:
    """Return journal entries beyond ``after_rev`` (with ``newest_first``: before it, when it is not 0).

    With ``owner_id`` those of one user's accounts, and of ``or_accounts``. With ``before_ms`` those made before that
    time.
    """
    query = select(*ENTRY_COLUMNS).limit(limit)
    if before_ms is not None:
        young = _first_rev_since(connection, before_ms + TIMES_DIFFER_MS)
        query = query.where(journal.c.rev < young, journal.c.at_ms < before_ms)
    if newest_first:
        # An account's generations rise with the revs, and they are indexed together.
        query = query.order_by((journal.c.rev if account_id is None else journal.c.generation).desc())
        query = query.where(journal.c.rev < after_rev) if after_rev else query
        if after_rev and account_id is not None:
            query = query.where(journal.c.generation < _generation_at(after_rev, account_id))
    else:
        query = query.order_by(journal.c.rev).where(journal.c.rev > after_rev)
    if up_to_rev is not None:
        query = query.where(journal.c.rev <= up_to_rev)
    if account_id is not None:
        query = query.where(journal.c.account_id == account_id)
    if owner_id is not None:
        query = query.where((journal.c.owner_id == owner_id) | among(journal.c.account_id, or_accounts))
    return [
        JournalEntry(**{**row, "changes": msgspec.json.decode(row["changes"])})
        for row in connection.execute(query).mappings()
    ]


def _generation_at(rev: int, account_id: str) -> Any:
    """Select the account's generation at that rev; a large number when the entry is another account's, or pruned."""
    at = journal.alias("at")
    found = select(at.c.generation).where(at.c.rev == rev, at.c.account_id == account_id)
    return func.coalesce(found.scalar_subquery(), 2**62)


def _first_rev_since(connection: Connection, moment_ms: int) -> int:
    """Return a rev from which on every entry was made at that time or later, or little earlier (``TIMES_DIFFER_MS``).

    It is found by halving: revs are indexed.
    """
    low, high = connection.scalar(_FIRST_REV) or 1, (connection.scalar(_LAST_REV) or 0) + 1
    while low < high:
        middle = (low + high) // 2
        rev, at_ms = connection.execute(_NEXT_TIME, {"rev": middle}).one()
        if at_ms < moment_ms:
            low = rev + 1
        else:
            high = middle
    return low


def newest_rev(connection: Connection) -> int:
    """Return the position of the last journal entry, pruned or not; 0 when there never was one."""
    newest = connection.scalar(select(func.max(journal.c.rev)))
    return oldest_rev(connection) if newest is None else newest


def oldest_rev(connection: Connection) -> int:
    """Return the position of the last pruned entry, 0 when none was pruned."""
    return connection.scalar(select(func.max(baselines.c.rev))) or 0


def read_baselines(connection: Connection, account_ids: Sequence[str] | None = None) -> dict[str, Baseline]:
    """Return all baselines, or those of these accounts."""
    query = select(baselines)
    if account_ids is not None:
        query = query.where(baselines.c.account_id.in_(account_ids))
    return {row["account_id"]: _baseline_of(row) for row in connection.execute(query).mappings()}


def _baseline_of(row: RowMapping) -> Baseline:
    return Baseline(
        account_id=row["account_id"],
        rev=row["rev"],
        generation=row["generation"],
        projection=None if row["deleted"] else msgspec.json.decode(row["projection"]),
    )


def last_rev_before(connection: Connection, moment_ms: int) -> int:
    """Return the last position up to which every entry was made before that time; 0 when there is none."""
    first_young = connection.scalar(
        select(journal.c.rev).where(journal.c.at_ms >= moment_ms).order_by(journal.c.rev).limit(1)
    )
    up_to = select(func.max(journal.c.rev))
    if first_young is not None:
        up_to = up_to.where(journal.c.rev < first_young)
    return connection.scalar(up_to) or 0


def prune_journal(connection: Connection, up_to_rev: int, *, rows: int = STEP_ROWS) -> int:
    """Fold the oldest entries up to that position into the baselines and delete them. Return how many.

    Raises ``StoreError``, without deleting anything, when they do not fold: then they are needed to find the defect.
    """
    if not prunes_alone(connection):
        return 0
    last = _end_of_step(connection, up_to_rev, rows)
    if last is None:
        return 0
    fold_away(connection, read_journal(connection, up_to_rev=last))
    return connection.execute(delete(journal).where(journal.c.rev <= last)).rowcount


def fold_away(connection: Connection, entries: Sequence[JournalEntry]) -> None:
    """Fold entries into the baselines, so that they can be deleted. Raises like ``prune_journal``."""
    starts = read_baselines(connection, sorted({entry.account_id for entry in entries}))
    try:
        ends = advance(starts.values(), entries)
    except (ValueError, KeyError, TypeError):
        raise StoreError("the journal does not fold, so it is not pruned", code="journal_broken") from None
    _write_baselines(connection, list(ends.values()))


def prunes_alone(connection: Connection) -> bool:
    """Return whether no other node prunes now. Does not wait, so that there is no deadlock."""
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _PRUNING_LOCK}))


def _end_of_step(connection: Connection, up_to_rev: int, rows: int) -> int | None:
    """Return the last position of one step; ``None`` when nothing is left."""
    query = (
        select(
            journal.c.rev,
            journal.c.account_id,
            func.length(journal.c.changes).label("new"),
            func.coalesce(func.length(baselines.c.projection), 0).label("old"),
        )
        .select_from(journal.outerjoin(baselines, baselines.c.account_id == journal.c.account_id))
        .where(journal.c.rev <= up_to_rev)
        .order_by(journal.c.rev)
        .limit(rows)
    )
    step = short_enough(connection.execute(query).all())
    return step[-1].rev if step else None


def short_enough(rows: Sequence[Any]) -> Sequence[Any]:
    """Return the first of these rows, whose texts one step can fold: ``new`` characters, and ``old`` of its account."""
    characters, met = 0, set[str]()
    for place, row in enumerate(rows):
        characters += row.new + (0 if row.account_id in met else row.old)
        met.add(row.account_id)
        if place and characters > STEP_CHARACTERS:
            return rows[:place]
    return rows


def _write_baselines(connection: Connection, ends: Sequence[Baseline]) -> None:
    rows = [
        {
            "account_id": end.account_id,
            "rev": end.rev,
            "generation": end.generation,
            "projection": "" if end.deleted else msgspec.json.encode(end.projection).decode(),
            "deleted": end.deleted,
        }
        for end in ends
    ]
    connection.execute(insert_or_renew(connection, baselines, ("rev", "generation", "projection", "deleted")), rows)


def prune_ops(connection: Connection, moment_ms: int, *, rows: int = STEP_ROWS) -> int:
    """Delete ops from before that time whose idempotency key had expired by then. Return how many."""
    old = (
        select(ops.c.op_id)
        .where(ops.c.at_ms < moment_ms, or_(ops.c.expires_at_ms.is_(None), ops.c.expires_at_ms < moment_ms))
        .order_by(ops.c.at_ms)
        .limit(rows)
    )
    return connection.execute(delete(ops).where(ops.c.op_id.in_(old))).rowcount


# ── the history of states ─────────────────────────────────────────────────────────────────────────────────────────


def write_moves(connection: Connection, moves: Sequence[StateMove]) -> None:
    """Store moves of accounts that exist, in the given order; those that are stored already are ignored."""
    rows = [(move.account_id, move.at_ms, move.state.value, move.reason) for move in moves]
    if rows and (highest := statements_of(connection).add_moves(rows)) is not None:
        reach(connection, Stream.STATES, highest)


def read_timeline(connection: Connection, account_id: str, since_ms: int, limit: int | None) -> list[StateMove]:
    """Return the account's moves, oldest first (see ``AccountStore.timeline``)."""
    mine = state_moves.c.account_id == account_id
    first = select(func.coalesce(func.max(state_moves.c.id), 0)).where(mine, state_moves.c.at_ms < since_ms)
    query = (
        select(state_moves)
        .where(mine, state_moves.c.id >= first.scalar_subquery())
        .order_by(state_moves.c.id.desc())
        .limit(limit)
    )
    return [_move_of(row) for row in reversed(connection.execute(query).all())]


def _move_of(row: Row[Any]) -> StateMove:
    try:
        state = AccountState(row.state)
    except ValueError:
        raise StoreError(
            f"a state in the history of account {row.account_id} is unknown", code="unreadable_account"
        ) from None
    return StateMove(account_id=row.account_id, state=state, reason=row.reason, at_ms=row.at_ms)


def prune_moves(connection: Connection, moment_ms: int, *, rows: int = STEP_ROWS) -> int:
    """Delete moves from before that time, except each account's last one of these. Return how many."""
    later = state_moves.alias("later")
    followed = exists().where(
        later.c.account_id == state_moves.c.account_id, later.c.id > state_moves.c.id, later.c.at_ms < moment_ms
    )
    old = select(state_moves.c.id).where(state_moves.c.at_ms < moment_ms, followed).limit(rows)
    return connection.execute(delete(state_moves).where(state_moves.c.id.in_(old))).rowcount

"""What a restored database must know: that time went on without it.

Numbers continue above all that were given since the backup, sign-ins end, and what may have left in the meantime is not
sent again: it waits for its owner.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, delete, insert, select, text, update

from shoal.accounts.journal import RESTORER
from shoal.cluster.server_lease import FACT as LEASE
from shoal.goods.sent_units import has_file, stoppable_goods
from shoal.maintenance.backup.snapshot import heads
from shoal.messages.outbox_rows import SendOutcome
from shoal.orders.order_actions import Action, ActionState, Why
from shoal.orders.order_rows import OrderRow
from shoal.storage.database import Database
from shoal.storage.history_tables import journal
from shoal.storage.notice_tables import notices
from shoal.storage.order_tables import order_actions
from shoal.storage.schema import accounts, metadata, outbox, store_meta
from shoal.storage.upserts import insert_or_renew
from shoal.storage.user_tables import api_tokens, invitations, recovery_codes, sessions, users

# The earlier database knows which recovery codes are left. A code stays only where it is left there too; none is taken
# over from there, because a restore may be meant to undo what was done since. Without that database it is not known
# which were used: then all end.
_MARKER = "marker"


class UnusedCodes(msgspec.Struct, frozen=True, kw_only=True):
    """What a database knows of used codes. ``marker``: which database it is."""

    marker: str
    left: frozenset[tuple[int, str]]
    """The user and the hash of each recovery code that is left."""
    steps: tuple[tuple[int, int], ...]
    """The user and the time step of the last code of an app."""


def unused_codes(ask: Callable[[str], Iterable[Sequence[Any]]]) -> UnusedCodes:
    """Return what a database knows. ``ask`` returns the rows of a query."""
    markers = [str(row[0]) for row in ask(f"SELECT value FROM store_meta WHERE key = '{_MARKER}'")]  # noqa: S608
    left = ask("SELECT user_id, code_hash FROM recovery_codes")
    steps = ask("SELECT id, totp_step FROM users WHERE totp_step > 0")
    return UnusedCodes(
        marker=next(iter(markers), ""),
        left=frozenset((int(user_id), str(code)) for user_id, code in left),
        steps=tuple((int(user_id), int(step)) for user_id, step in steps),
    )


def end_used_codes(connection: Connection, earlier: UnusedCodes | None) -> int:
    """Delete the codes of a restored database that may have been used. Return how many users have none any more."""
    marker = connection.scalar(select(store_meta.c.value).where(store_meta.c.key == _MARKER))
    known = earlier if earlier is not None and earlier.marker == marker else None
    had = connection.execute(select(recovery_codes.c.user_id, recovery_codes.c.code_hash)).all()
    left = known.left if known is not None else frozenset()
    for user_id, code in had:
        if (user_id, code) not in left:
            mine = (recovery_codes.c.user_id == user_id, recovery_codes.c.code_hash == code)
            connection.execute(delete(recovery_codes).where(*mine))
    for user_id, step in known.steps if known is not None else ():
        mine = (users.c.id == user_id, users.c.totp_step < step)
        connection.execute(update(users).where(*mine).values(totp_step=step))
    return len({user_id for user_id, _ in had} - {user_id for user_id, code in had if (user_id, code) in left})


LAST_BACKUP: Final = "backup"
"""The ``store_meta`` key of what came of the last scheduled backup: it may lie on another machine."""
LEAST_STEP: Final = 1_000_000
"""By how much revs and generations rise at least. Otherwise it is one for each millisecond since the backup: more than
any server gave."""
_FAR: Final = frozenset({"journal", "state_moves", "order_events", "incident_events", "bindings", "units", "outbox"})
"""Tables whose numbers rise as far as revs do."""
_NEAR: Final = 20_000
"""By how much the numbers of other rows rise: people read them, and gaps between messages are indexed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Earlier:
    """What is known of the database that a restore replaces, as far as it can be read."""

    given: Mapping[str, int] = field(default_factory=dict)
    """The largest number that each table gave."""
    codes: UnusedCodes | None = None


class NewLife(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore changed."""

    rev: int
    orders_to_check: int
    messages_in_doubt: int
    without_codes: int
    """How many users have no recovery code left because of it."""
    goods_to_stop: int
    """How many goods the next start switches off if ``units.log`` is not there."""


def begin_new_life(connection: Connection, *, made_at_ms: int, now_ms: int, earlier: Earlier | None = None) -> NewLife:
    """Change a restored database so that it can be served. ``earlier``: what the database in its place knew.

    ``made_at_ms``: of when its contents are.
    """
    earlier = earlier or Earlier()
    step = max(LEAST_STEP, now_ms - made_at_ms)
    _raise_numbers(connection, step, earlier.given)
    rev = _raise_generations(connection, step, now_ms)
    for table in (sessions, api_tokens):
        connection.execute(delete(table))
    connection.execute(delete(invitations).where(invitations.c.used_at_ms.is_(None)))
    connection.execute(delete(store_meta).where(store_meta.c.key.in_([LEASE, LAST_BACKUP])))
    without_codes = end_used_codes(connection, earlier.codes)
    doubted = _doubt_messages(connection, now_ms)
    checked = _hold_orders(connection, now_ms)
    connection.execute(
        update(notices).where(notices.c.state.in_(["waiting", "sending", "failed"])).values(maybe_again=True)
    )
    known = msgspec.json.encode(Restored(at_ms=now_ms, made_at_ms=made_at_ms)).decode()
    connection.execute(insert_or_renew(connection, store_meta, ("value",)), [{"key": FACT, "value": known}])
    return NewLife(
        rev=rev, orders_to_check=checked, messages_in_doubt=doubted, without_codes=without_codes,
        goods_to_stop=len(stoppable_goods(connection)) if has_file(connection) else 0,
    )  # fmt: skip


def _raise_numbers(connection: Connection, step: int, given: Mapping[str, int]) -> None:
    """Let every table go on above the numbers that were given, also above those of rows that are not in the backup."""
    for name, head in heads(connection).items():
        goal = max(head, given.get(name, 0)) + (step if name in _FAR else _NEAR)
        if connection.dialect.name == "postgresql":
            column = metadata.tables[name].autoincrement_column
            values = {"table": name, "column": column.name if column is not None else "", "goal": goal}
            connection.execute(text("SELECT setval(pg_get_serial_sequence(:table, :column), :goal)"), values)
        elif metadata.tables[name].dialect_options["sqlite"]["autoincrement"]:
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), {"table": name})
            connection.execute(
                text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :goal)"), {"table": name, "goal": goal}
            )


def _raise_generations(connection: Connection, step: int, now_ms: int) -> int:
    """Give every account, also removed ones, an entry in the history with a generation that it cannot have had."""
    newest = 0
    found = connection.execute(
        select(accounts.c.id, accounts.c.owner_id, accounts.c.generation).order_by(accounts.c.id)
    )
    for row in found.all():
        entry = {
            "account_id": row.id, "owner_id": row.owner_id, "generation": row.generation + step, "changes": "{}",
            "actor": RESTORER, "op_id": str(uuid.uuid4()), "at_ms": now_ms, "origin": "",
        }  # fmt: skip
        newest = int(connection.scalar(insert(journal).values(entry).returning(journal.c.rev)) or 0)
        values = {"generation": row.generation + step, "rev": newest}
        connection.execute(update(accounts).where(accounts.c.id == row.id).values(values))
    return newest


def _doubt_messages(connection: Connection, now_ms: int) -> int:
    """Send nothing that waited when the backup was made: it may have arrived since."""
    waiting = outbox.c.outcome.in_([SendOutcome.WAITING.value, SendOutcome.SENDING.value])
    doubted = {"outcome": SendOutcome.UNCERTAIN.value, "reason": Why.INTERRUPTED.value, "settled_at_ms": now_ms}
    return connection.execute(update(outbox).where(waiting).values(doubted)).rowcount


def _hold_orders(connection: Connection, now_ms: int) -> int:
    """Leave every action that was due or under way when the backup was made to its owner. Return how many orders."""
    open_now = order_actions.c.state.in_([ActionState.PENDING.value, ActionState.INTENDED.value])
    columns = (order_actions.c.account_id, order_actions.c.order_id)
    found = connection.execute(select(*columns).where(open_now).distinct()).all()
    for account_id, order_id in found:
        row = OrderRow(connection, account_id, order_id, now_ms)
        for before in row.order_actions():
            if before.state is ActionState.INTENDED:
                row.settle_interrupted(before)
        for action in Action:
            row.move(action, (ActionState.PENDING,), ActionState.FAILED, Why.BEFORE_RESTORE)
        row.look_at()
    return len(found)


FACT: Final = "restored"
"""The ``store_meta`` key of the last restore."""


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """The last restore: when it was, and of when the backup is."""

    at_ms: int
    made_at_ms: int


async def restored_at_ms(database: Database) -> int:
    """Return when the database was restored; 0 when it never was. Raises ``StoreError``."""
    known = await database.fact(FACT)
    return msgspec.json.decode(known, type=Restored).at_ms if known else 0

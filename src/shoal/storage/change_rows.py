"""A change as its journal entry, its row of ``accounts`` and its op."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, and_, bindparam, insert, select, update

from shoal.accounts.account import SCALAR_FIELDS, SECRET_FIELDS, Account, differing
from shoal.accounts.journal import Changes, JournalEntry, differences
from shoal.accounts.ownership import shard_of
from shoal.accounts.shop_settings import VIEWED_SETTINGS
from shoal.accounts.store import Change
from shoal.errors import StaleGeneration
from shoal.storage.change_statements import Values, statements_of
from shoal.storage.rule_table import RuleWrites, rule_writes
from shoal.storage.schema import Row, accounts
from shoal.storage.vault import Vault

COOKIE_COLUMN = "accounts.cookie"
PROXY_COLUMN = "accounts.proxy"
PLAIN_FIELDS = tuple(name for name in SCALAR_FIELDS if name not in {*SECRET_FIELDS, *VIEWED_SETTINGS})
"""The fields that are columns of the account's own row; a paid message is a row of ``delivery_rules``."""
_PLAIN = frozenset(PLAIN_FIELDS)

_UPDATE_TOMBSTONE = update(accounts).where(
    and_(accounts.c.id == bindparam("b_id"), accounts.c.generation == bindparam("b_generation")),
    accounts.c.deleted,
    accounts.c.purged,
)


@dataclass(slots=True, eq=False)
class Draft:
    """A change with what can be made of it before the writer's turn: its journal text, and the changed columns."""

    change: Change
    account: Account
    changes: Changes
    text: bytes
    columns: Row
    is_noop: bool
    rules: RuleWrites | None = None

    @property
    def rule_rows(self) -> int:
        """How many rows of rules it writes."""
        return 0 if self.rules is None else self.rules.rows


Entries = Mapping[str, JournalEntry]
"""The journal's entry of each change that is no no-op, by account."""


def drafted(vault: Vault, change: Change) -> Draft:
    """Return the draft of a change, with encrypted secrets."""
    account = change.new or change.old
    if account is None:
        raise ValueError("a change has an old or a new account")
    if change.is_noop:
        return Draft(change, account, {}, b"", {}, is_noop=True)
    changes = change.changes
    if change.new is None:
        columns: Row = {"deleted": True, "purged": False}
    elif change.found is not None and change.old is not None:  # what another program changed is in the row already
        columns = _columns(vault, change.new, differing(change.old, change.new))
    else:
        columns = _columns(vault, change.new, changes)
    text = msgspec.json.encode(changes)
    # what another program changed is in the rows already
    found = changes if change.found is None else differences(change.old, change.new)
    rules = rule_writes(change, found["keywords"]) if "keywords" in found and change.new is not None else None
    return Draft(change, account, changes, text, columns, is_noop=False, rules=rules)


def _columns(vault: Vault, new: Account, changed: Collection[str]) -> Row:
    """Return the changed columns of the account's own row, in the order of ``changed``."""
    row: Row = {name: getattr(new, name) for name in changed if name in _PLAIN}
    if "cookie" in changed:
        row["cookie_sealed"] = vault.seal(new.cookie, account_id=new.id, column=COOKIE_COLUMN)
        row["cookie_fingerprint"] = new.fingerprint
    if "proxy" in changed:
        row["proxy_sealed"] = vault.seal(new.proxy, account_id=new.id, column=PROXY_COLUMN) if new.proxy else None
    return row


def tombstones_of(connection: Connection, real: Iterable[Draft]) -> dict[str, int]:
    """Return ids of purged accounts that are created again, with the generation of their tombstone."""
    ids = [draft.account.id for draft in real if draft.change.old is None]
    if not ids:
        return {}
    query = select(accounts.c.id, accounts.c.generation).where(accounts.c.id.in_(ids), accounts.c.purged)
    return {row.id: row.generation for row in connection.execute(query)}


def write_entries(
    connection: Connection, asked: Sequence[Draft], tombstones: Mapping[str, int], *, in_turn: bool = True
) -> list[JournalEntry]:
    """Insert one row for each change; their positions rise in the order of the changes.

    ``in_turn``: no other node's positions are between them, nor visible before them.
    """
    generations = [_last_generation(draft.change, tombstones) + 1 for draft in asked]
    rows: list[Values] = []
    for draft, generation in zip(asked, generations, strict=True):
        op, account = draft.change.op, draft.account
        rows.append(
            (account.id, account.owner_id, generation, draft.text, op.actor, op.op_id, op.at_ms, op.origin)
        )  # fmt: skip
    revs = statements_of(connection).add_entries(rows, in_turn=in_turn)
    return [
        JournalEntry(
            rev=rev, account_id=account_id, owner_id=owner_id, generation=generation, changes=draft.changes,
            actor=actor, op_id=op_id, at_ms=at_ms, origin=origin,
        )
        for draft, rev, (account_id, owner_id, generation, _, actor, op_id, at_ms, origin) in zip(
            asked, revs, rows, strict=True
        )
    ]  # fmt: skip


def _last_generation(change: Change, tombstones: Mapping[str, int]) -> int:
    if change.found is not None:
        return change.found.generation
    return change.old.generation if change.old else tombstones.get(change.account_id, 0)


def write_accounts(
    connection: Connection, real: Iterable[Draft], entries: Entries, tombstones: Mapping[str, int]
) -> None:
    """Write the accounts' own rows. Raises ``StaleGeneration`` when one has moved on."""
    deleted: list[Values] = []
    by_shape: defaultdict[tuple[str, ...], list[Values]] = defaultdict(list)
    again: list[Row] = []
    fresh: list[Row] = []
    for draft in real:
        entry, old, new = entries[draft.account.id], draft.change.old, draft.change.new
        stamp = {"generation": entry.generation, "rev": entry.rev}
        if new is None and draft.change.found is not None:
            _bury(connection, draft.account, stamp)
        elif old is not None:
            row = (*draft.columns.values(), entry.generation, entry.rev, old.id, old.generation)
            (deleted if new is None else by_shape[tuple(draft.columns)]).append(row)
        elif draft.account.id in tombstones:
            key = {"b_id": draft.account.id, "b_generation": entry.generation - 1}
            again.append({**key, **stamp, **draft.columns, "deleted": False, "purged": False})
        else:
            fresh.append({**stamp, **draft.columns, "id": draft.account.id, "shard": shard_of(draft.account.id)})
    statements = statements_of(connection)
    shapes = [(("deleted", "purged"), deleted)] if deleted else []  # first: deletions free their unb
    for names, rows in (*shapes, *by_shape.items()):
        if statements.update_accounts(names, rows) != len(rows):
            raise StaleGeneration("a row has moved on")
    if again and connection.execute(_UPDATE_TOMBSTONE, again).rowcount != len(again):
        raise StaleGeneration("a row has moved on")
    if fresh:
        connection.execute(insert(accounts), fresh)


def _bury(connection: Connection, account: Account, stamp: Row) -> None:
    """Leave a tombstone, to be purged, for an account whose row another program deleted or marked as deleted."""
    tombstone = {**stamp, "deleted": True, "purged": False}
    marked = connection.execute(update(accounts).where(accounts.c.id == account.id).values(tombstone))
    if not marked.rowcount:
        whose = {"id": account.id, "owner_id": account.owner_id, "shard": shard_of(account.id)}
        connection.execute(insert(accounts), [{**whose, **tombstone}])


def check_noops(connection: Connection, noops: Iterable[Draft]) -> None:
    """Raise ``StaleGeneration`` when the row of a change that changes nothing has moved on."""
    wanted = {(draft.account.id, draft.account.generation) for draft in noops}
    if not wanted <= statements_of(connection).generations({name for name, _ in wanted}).items():
        raise StaleGeneration("a row has moved on")


def write_ops(connection: Connection, drafts: Iterable[Draft], entries: Entries) -> None:
    """Store the ops. The first change of an op represents it; a row reserved for an idempotency key is filled in."""
    rows: dict[str, Values] = {}
    for draft in drafts:
        op, account = draft.change.op, draft.account
        stamp = account if draft.is_noop else entries[account.id]
        row = (op.op_id, op.actor, account.id, stamp.generation, stamp.rev, not draft.is_noop, op.at_ms)
        rows.setdefault(op.op_id, row)
    if rows:
        statements_of(connection).store_ops(list(rows.values()))

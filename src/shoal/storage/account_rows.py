"""Accounts as rows: reads snapshots from the tables and writes changes in bulk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import cache

import msgspec
from sqlalchemy import Connection, RowMapping, and_, bindparam, delete, insert, not_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from shoal.accounts.account import SCALAR_FIELDS, SECRET_FIELDS, Account, ItemSetting
from shoal.accounts.journal import JournalEntry
from shoal.accounts.store import Change, OpRecord
from shoal.errors import (
    AccountExists,
    AccountVanishing,
    DuplicateUnb,
    InvalidInput,
    NotApplied,
    StaleGeneration,
    StoreError,
)
from shoal.rules.rule import Rule
from shoal.storage.history_tables import journal, ops
from shoal.storage.rule_table import read_rule, write_rules
from shoal.storage.schema import Row, accounts, item_settings, rules, shard_of
from shoal.storage.upserts import insert_for
from shoal.storage.vault import Vault

COOKIE_COLUMN = "accounts.cookie"
PROXY_COLUMN = "accounts.proxy"
_PLAIN_FIELDS = tuple(name for name in SCALAR_FIELDS if name not in SECRET_FIELDS)
_JOURNAL_LOCK = 0x53686F616C  # "Shoal": any number works, as long as every node uses the same

ChangeSet = tuple[Change, ...]

_living = and_(accounts.c.id == bindparam("b_id"), accounts.c.generation == bindparam("b_generation"))
_UPDATE_LIVING = update(accounts).where(_living, not_(accounts.c.deleted))
_UPDATE_TOMBSTONE = update(accounts).where(_living, accounts.c.deleted, accounts.c.purged)
_ITEM = and_(item_settings.c.account_id == bindparam("b_account"), item_settings.c.item_id == bindparam("b_id"))


class AccountRows:
    """Reads accounts and writes changes; encrypts and decrypts secrets. Runs on the database's threads."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, connection: Connection, account_id: str | None = None) -> dict[str, Account]:
        """Return all existing accounts (or one), by id. Raises ``StoreError`` that names the first unreadable one."""
        query = select(accounts).where(not_(accounts.c.deleted)).order_by(accounts.c.id)
        rule_query, item_query = select(rules), select(item_settings)
        if account_id is not None:
            query = query.where(accounts.c.id == account_id)
            rule_query = rule_query.where(rules.c.account_id == account_id)
            item_query = item_query.where(item_settings.c.account_id == account_id)
        keywords: defaultdict[str, list[Rule]] = defaultdict(list)
        for row in connection.execute(rule_query.order_by(rules.c.position, rules.c.id)).mappings():
            keywords[row["account_id"]].append(read_rule(row))
        items: defaultdict[str, list[ItemSetting]] = defaultdict(list)
        for row in connection.execute(item_query.order_by(item_settings.c.item_id)).mappings():
            items[row["account_id"]].append(ItemSetting(**{name: row[name] for name in _ITEM_FIELDS}))
        return {
            row["id"]: self._account_of(row, tuple(keywords[row["id"]]), tuple(items[row["id"]]))
            for row in connection.execute(query).mappings()
        }

    def _account_of(self, row: RowMapping, keywords: tuple[Rule, ...], items: tuple[ItemSetting, ...]) -> Account:
        if row["cookie_sealed"] is None:
            raise StoreError(f"the cookie of account {row['id']} is missing", code="unreadable_account")
        try:
            account = Account(
                id=row["id"],
                cookie=self._vault.open(row["cookie_sealed"], account_id=row["id"], column=COOKIE_COLUMN),
                proxy=self._proxy_of(row),
                keywords=keywords,
                items=items,
                generation=row["generation"],
                rev=row["rev"],
                **{name: row[name] for name in _PLAIN_FIELDS},
            )
        except InvalidInput as error:
            raise StoreError(f"the rules of account {row['id']}: {error}", code="unreadable_account") from None
        if account.fingerprint != row["cookie_fingerprint"]:
            raise StoreError(f"the cookie of account {account.id} does not match its row", code="unreadable_account")
        return account

    def _proxy_of(self, row: RowMapping) -> str:
        """Return the proxy. Raises when it cannot be decrypted: an account must not connect directly because a key is
        missing."""
        if row["proxy_sealed"] is None:
            return ""
        return self._vault.open(row["proxy_sealed"], account_id=row["id"], column=PROXY_COLUMN)

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────

    def write_checked(self, connection: Connection, changes: ChangeSet) -> tuple[JournalEntry, ...]:
        """Write one set of changes; raises the ``Conflict`` that says what does not match."""
        self._check(connection, changes)
        return self.write(connection, [changes])[0]

    def write(self, connection: Connection, sets: Sequence[ChangeSet]) -> list[tuple[JournalEntry, ...]]:
        """Write sets of changes (each account at most once) in bulk; raises when any row does not match."""
        noops = [change for changes in sets for change in changes if change.is_noop]
        asked = [change for changes in sets for change in changes if not change.is_noop]
        real = sorted(asked, key=lambda change: change.account_id)  # one order on every node: no deadlocks
        if len({change.account_id for change in real}) != len(real):
            raise NotApplied("one set of changes touches an account twice")
        entries: dict[int, JournalEntry] = {}
        if real:
            self._confirm(connection, [change for change in real if change.found is not None])
            tombstones = self._tombstones(connection, [change.account_id for change in real if change.old is None])
            entries = self._write_journal(connection, asked, tombstones)  # in the order in which they will be settled
            self._write_accounts(connection, real, entries, tombstones)
            write_rules(connection, real)
            _write_items(connection, real)
        _check_noops(connection, noops)
        _write_ops(connection, [_op_row(change, entries.get(id(change))) for changes in sets for change in changes])
        return [tuple(entries[id(change)] for change in changes if not change.is_noop) for changes in sets]

    def _confirm(self, connection: Connection, found: Iterable[Change]) -> None:
        """Compare the found changes of another program with the stored values now."""
        for change in found:
            stored = self.read(connection, change.account_id).get(change.account_id)
            if stored != (None if change.new is None else change.old):
                raise StaleGeneration(f"{change.account_id} has moved on")

    @staticmethod
    def _tombstones(connection: Connection, ids: list[str]) -> dict[str, int]:
        """Return ids of purged accounts that are created again, with the generation of their tombstone."""
        if not ids:
            return {}
        query = select(accounts.c.id, accounts.c.generation).where(accounts.c.id.in_(ids), accounts.c.purged)
        return {row.id: row.generation for row in connection.execute(query)}

    @staticmethod
    def _write_journal(
        connection: Connection, asked: list[Change], tombstones: dict[str, int]
    ) -> dict[int, JournalEntry]:
        """Insert one row for each change; their positions rise in the order of the changes."""
        if connection.dialect.name == "postgresql":
            # Held until the commit is visible: positions become visible in order, on every node.
            connection.execute(_LOCK_JOURNAL, {"key": _JOURNAL_LOCK})
        drafts: list[Row] = [
            {
                "account_id": change.account_id,
                "owner_id": _subject(change).owner_id,
                "generation": _last_generation(change, tombstones) + 1,
                "changes": change.changes,
                "actor": change.op.actor,
                "op_id": change.op.op_id,
                "at_ms": change.op.at_ms,
                "origin": change.op.origin,
            }
            for change in asked
        ]
        rows = [{**draft, "changes": msgspec.json.encode(draft["changes"]).decode()} for draft in drafts]
        statement = insert(journal).returning(journal.c.account_id, journal.c.rev, sort_by_parameter_order=True)
        result = connection.execute(statement, rows)
        revs = {row.account_id: row.rev for row in result}
        return {
            id(change): JournalEntry(rev=revs[change.account_id], **draft)
            for change, draft in zip(asked, drafts, strict=True)
        }

    def _write_accounts(
        self,
        connection: Connection,
        real: list[Change],
        entries: dict[int, JournalEntry],
        tombstones: dict[str, int],
    ) -> None:
        by_shape: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
        again: list[Row] = []
        fresh: list[Row] = []
        for change in real:
            entry, old, new = entries[id(change)], change.old, change.new
            key = {"b_id": change.account_id, "b_generation": old.generation if old else entry.generation - 1}
            stamp = {"generation": entry.generation, "rev": entry.rev}
            if new is None and change.found is not None:
                _bury(connection, _subject(change), stamp)
                continue
            if new is None:
                by_shape["deleted",].append({**key, **stamp, "deleted": True, "purged": False})
                continue
            changed = self._changed_columns(old, new)
            if old is not None:
                by_shape[tuple(changed)].append({**key, **stamp, **changed})
            elif new.id in tombstones:
                again.append({**key, **stamp, **changed, "deleted": False, "purged": False})
            else:
                fresh.append({**stamp, **changed, "id": new.id, "shard": shard_of(new.id)})
        living = sorted(by_shape.items(), key=lambda item: item[0] != ("deleted",))  # deletions free their unb first
        for statement, rows in (*((_UPDATE_LIVING, rows) for _, rows in living), (_UPDATE_TOMBSTONE, again)):
            if rows and connection.execute(statement, rows).rowcount != len(rows):
                raise StaleGeneration("a row has moved on")
        if fresh:
            connection.execute(insert(accounts), fresh)

    def _changed_columns(self, old: Account | None, new: Account) -> Row:
        """Return the changed columns of the account's own row, with encrypted secrets."""
        row: Row = {
            name: getattr(new, name)
            for name in _PLAIN_FIELDS
            if old is None or getattr(old, name) != getattr(new, name)
        }
        if old is None or old.cookie != new.cookie:
            row["cookie_sealed"] = self._vault.seal(new.cookie, account_id=new.id, column=COOKIE_COLUMN)
            row["cookie_fingerprint"] = new.fingerprint
        if old is None or old.proxy != new.proxy:
            sealed = self._vault.seal(new.proxy, account_id=new.id, column=PROXY_COLUMN) if new.proxy else None
            row["proxy_sealed"] = sealed
        return row

    @staticmethod
    def _check(connection: Connection, changes: ChangeSet) -> None:
        """Compare one set with the rows, to refuse it with a name before a constraint refuses it without one."""
        ids = [change.account_id for change in changes]
        unbs = [change.new.unb for change in changes if change.new is not None and not change.is_noop]
        columns = (accounts.c.id, accounts.c.generation, accounts.c.deleted, accounts.c.purged)
        stored = {row.id: row for row in connection.execute(select(*columns).where(accounts.c.id.in_(ids)))}
        living_unb = and_(accounts.c.unb.in_(unbs), not_(accounts.c.deleted))
        holders = select(accounts.c.id, accounts.c.owner_id, accounts.c.unb).where(living_unb)
        found = connection.execute(holders) if unbs else ()
        owners = {(row.owner_id, row.unb): row.id for row in found}
        leaving = {change.account_id for change in changes if change.new is None}
        for change in changes:
            row = stored.get(change.account_id)
            if change.found is not None:
                continue  # found changes are compared with the whole row when they are written
            if change.old is not None:
                if row is None or row.deleted or row.generation != change.old.generation:
                    raise StaleGeneration(f"{change.account_id} has moved on")
            elif row is not None and not row.deleted:
                raise AccountExists(f"{change.account_id} exists")
            elif row is not None and not row.purged:
                raise AccountVanishing(f"{change.account_id} is being deleted")
            if change.new is not None:
                other = owners.get((change.new.owner_id, change.new.unb))
                if other not in {None, change.account_id, *leaving}:
                    raise DuplicateUnb("this seller already stands under another id", id=other)


_LOCK_JOURNAL = text("SELECT pg_advisory_xact_lock(:key)")
_ITEM_FIELDS = tuple(entry.name for entry in fields(ItemSetting))


def _subject(change: Change) -> Account:
    account = change.new or change.old
    if account is None:
        raise ValueError("a change has an old or a new account")
    return account


def _last_generation(change: Change, tombstones: dict[str, int]) -> int:
    if change.found is not None:
        return change.found.generation
    return change.old.generation if change.old else tombstones.get(change.account_id, 0)


def _bury(connection: Connection, account: Account, stamp: Row) -> None:
    """Leave a tombstone, to be purged, for an account whose row another program deleted or marked as deleted."""
    tombstone = {**stamp, "deleted": True, "purged": False}
    marked = connection.execute(update(accounts).where(accounts.c.id == account.id).values(tombstone))
    if not marked.rowcount:
        whose = {"id": account.id, "owner_id": account.owner_id, "shard": shard_of(account.id)}
        connection.execute(insert(accounts), [{**whose, **tombstone}])


def _write_items(connection: Connection, real: Iterable[Change]) -> None:
    removed: list[Row] = []
    edited: list[Row] = []
    added: list[Row] = []
    for change in real:
        if change.new is None or (change.old is not None and change.old.items is change.new.items):
            continue
        before = {item.item_id: item for item in change.old.items} if change.old is not None else {}
        for item in change.new.items:
            known = before.pop(item.item_id, None)
            values: Row = {name: getattr(item, name) for name in _ITEM_FIELDS}
            if known is None:
                added.append({"account_id": change.account_id, **values})
            elif known != item:
                edited.append({"b_account": change.account_id, "b_id": item.item_id, **values})
        removed += [{"b_account": change.account_id, "b_id": gone} for gone in before]
    if removed and connection.execute(delete(item_settings).where(_ITEM), removed).rowcount != len(removed):
        raise StaleGeneration("an item that was to be removed is not there")
    if edited and connection.execute(update(item_settings).where(_ITEM), edited).rowcount != len(edited):
        raise StaleGeneration("an item that was to be edited is not there")
    if added:
        connection.execute(insert(item_settings), added)


def _check_noops(connection: Connection, noops: list[Change]) -> None:
    wanted = {(change.account_id, _subject(change).generation) for change in noops}
    if not wanted:
        return
    query = select(accounts.c.id, accounts.c.generation).where(
        accounts.c.id.in_({name for name, _ in wanted}), not_(accounts.c.deleted)
    )
    if not wanted <= {(row.id, row.generation) for row in connection.execute(query)}:
        raise StaleGeneration("a row has moved on")


def _op_row(change: Change, entry: JournalEntry | None) -> Row:
    account = _subject(change)
    return {
        "op_id": change.op.op_id,
        "actor": change.op.actor,
        "account_id": account.id,
        "generation": entry.generation if entry else account.generation,
        "rev": entry.rev if entry else account.rev,
        "changed": entry is not None,
        "at_ms": change.op.at_ms,
    }


def _write_ops(connection: Connection, rows: list[Row]) -> None:
    """Store the ops. The first change of an op represents it; a row reserved for an idempotency key is filled in."""
    if not rows:
        return
    firsts = {row["op_id"]: row for row in reversed(rows)}
    connection.execute(_store_op(connection.dialect.name), list(firsts.values()))


@cache
def _store_op(dialect: str) -> sqlite.Insert | postgresql.Insert:
    statement = insert_for(dialect, ops)
    filled = {name: statement.excluded[name] for name in ("account_id", "generation", "rev", "changed", "at_ms")}
    return statement.on_conflict_do_update(index_elements=[ops.c.op_id], set_=filled, where=ops.c.account_id.is_(None))


def read_op(connection: Connection, op_id: str) -> OpRecord | None:
    """Return the result of an op; ``None`` when it was never applied (or only reserved)."""
    query = select(ops).where(ops.c.op_id == op_id, ops.c.account_id.is_not(None))
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else OpRecord(**{entry.name: row[entry.name] for entry in fields(OpRecord)})

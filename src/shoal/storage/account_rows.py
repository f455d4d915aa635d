"""Accounts as rows: reads snapshots from the tables and writes changes in bulk."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, not_, select, update

from shoal.accounts.account import Account
from shoal.accounts.delivery_rule import DeliveryRule, in_order
from shoal.accounts.delivery_views import items_of, paid_message_of
from shoal.accounts.item_setting import ItemSetting
from shoal.accounts.journal import JournalEntry
from shoal.accounts.store import Change, OpRecord
from shoal.errors import (
    AccountBeingDeleted,
    AccountExists,
    DuplicateUnb,
    InvalidInput,
    NotApplied,
    StaleGeneration,
    StoreError,
    TooManyShops,
    Unauthenticated,
)
from shoal.rules.rule import Rule
from shoal.storage.among import among
from shoal.storage.change_rows import (
    COOKIE_COLUMN,
    PLAIN_FIELDS,
    PROXY_COLUMN,
    Draft,
    check_noops,
    drafted,
    tombstones_of,
    write_accounts,
    write_entries,
    write_ops,
)
from shoal.storage.change_statements import statements_of
from shoal.storage.delivery_rule_rows import read_delivery_rule, write_delivery_rules
from shoal.storage.history_tables import ops
from shoal.storage.rule_table import read_rule, write_rules
from shoal.storage.schema import Row, accounts, delivery_rules, item_settings, rules
from shoal.storage.user_tables import users
from shoal.storage.vault import Vault

ChangeSet = tuple[Change, ...]

_ITEM = and_(item_settings.c.account_id == bindparam("b_account"), item_settings.c.item_id == bindparam("b_id"))

_ITEM_COLUMNS = ("reply", "facts", "floor_fen")
_VALUES = ("id", "generation", "rev", *PLAIN_FIELDS)
_COLUMNS = tuple(accounts.c[name] for name in ("cookie_sealed", "cookie_fingerprint", "proxy_sealed", *_VALUES))


class AccountRows:
    """Reads accounts and writes changes; encrypts and decrypts secrets. Runs on the database's threads."""

    def __init__(self, vault: Vault, *, several_nodes: bool = False) -> None:
        """``several_nodes``: others may write the same accounts at the same time."""
        self._vault = vault
        self._several_nodes = several_nodes

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, connection: Connection, *names: str) -> dict[str, Account]:
        """Return all existing accounts (or these), by id. Raises ``StoreError`` that names the first unreadable one."""
        query = select(*_COLUMNS).where(not_(accounts.c.deleted)).order_by(accounts.c.id)
        rule_query, item_query, delivery_query = select(rules), select(item_settings), select(delivery_rules)
        if names:
            query = query.where(among(accounts.c.id, names))
            rule_query = rule_query.where(among(rules.c.account_id, names))
            item_query = item_query.where(among(item_settings.c.account_id, names))
            delivery_query = delivery_query.where(among(delivery_rules.c.account_id, names))
        keywords: defaultdict[str, list[Rule]] = defaultdict(list)
        for row in connection.execute(rule_query.order_by(rules.c.position, rules.c.id)).mappings():
            keywords[row["account_id"]].append(read_rule(row))
        items: defaultdict[str, list[ItemSetting]] = defaultdict(list)
        for row in connection.execute(item_query.order_by(item_settings.c.item_id)).mappings():
            items[row["account_id"]].append(ItemSetting(**{name: row[name] for name in ("item_id", *_ITEM_COLUMNS)}))
        deliveries: defaultdict[str, list[DeliveryRule]] = defaultdict(list)
        for row in connection.execute(delivery_query).mappings():
            deliveries[row["account_id"]].append(read_delivery_rule(row))
        found: dict[str, Account] = {}
        for cookie, mark, proxy, *own in connection.execute(query).all():
            values: dict[str, Any] = dict(zip(_VALUES, own, strict=True))
            name = values["id"]
            if name in deliveries:
                rules_of = in_order(deliveries[name])
                values |= {"deliveries": rules_of, "paid_message": paid_message_of(rules_of)}
            if name in items or name in deliveries:
                values["items"] = items_of(tuple(items[name]), values.get("deliveries", ()))
            if name in keywords:
                values["keywords"] = tuple(keywords[name])
            values["proxy"] = self._proxy_of(name, proxy)
            found[name] = self._account_of(values, cookie, mark)
        return found

    def _account_of(self, values: dict[str, Any], sealed: bytes | None, mark: str) -> Account:
        """Return the account with the cookie, whose fingerprint must be ``mark``."""
        name = values["id"]
        if sealed is None:
            raise StoreError(f"the cookie of account {name} is missing", code="unreadable_account")
        values["cookie"] = self._vault.open(sealed, account_id=name, column=COOKIE_COLUMN)
        try:
            account = Account(**values)
        except InvalidInput as error:
            raise StoreError(f"the rules of account {name}: {error}", code="unreadable_account") from None
        if account.fingerprint != mark:
            raise StoreError(f"the cookie of account {name} does not match its row", code="unreadable_account")
        return account

    def _proxy_of(self, account_id: str, sealed: bytes | None) -> str:
        """Return the proxy. Raises when it cannot be decrypted: an account must not connect directly because a key is
        missing."""
        return "" if sealed is None else self._vault.open(sealed, account_id=account_id, column=PROXY_COLUMN)

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────

    def draft(self, changes: ChangeSet) -> tuple[Draft, ...]:
        """Return the drafts of one set of changes. May run on any thread."""
        return tuple(drafted(self._vault, change) for change in changes)

    def write_checked(self, connection: Connection, drafts: Sequence[Draft]) -> tuple[JournalEntry, ...]:
        """Write one set of changes; raises the ``Conflict`` that says what does not match."""
        self._check(connection, [draft.change for draft in drafts])
        return self.write(connection, [drafts])[0]

    def write(self, connection: Connection, sets: Sequence[Sequence[Draft]]) -> list[tuple[JournalEntry, ...]]:
        """Write sets of changes (each account at most once) in bulk; raises when any row does not match."""
        drafts = [draft for drafts in sets for draft in drafts]
        asked = [draft for draft in drafts if not draft.is_noop]
        if len({draft.account.id for draft in asked}) != len(asked):
            raise NotApplied("one set of changes touches an account twice")
        entries: dict[str, JournalEntry] = {}
        if asked:
            if self._several_nodes:
                statements_of(connection).lock_accounts(sorted(draft.account.id for draft in asked))
                _hold_owners(connection, asked)
            self._confirm(connection, [draft.change for draft in asked if draft.change.found is not None])
            tombstones = tombstones_of(connection, asked)
            # in the order in which they will be settled
            made = write_entries(connection, asked, tombstones, in_turn=not self._several_nodes)
            entries = {entry.account_id: entry for entry in made}
            real = sorted(asked, key=_account_id)  # one order on every node: no deadlocks
            write_accounts(connection, real, entries, tombstones)
            heavy = [draft for draft in real if not draft.change.is_light]
            for draft in heavy:
                if draft.rules is not None:
                    write_rules(connection, draft.account.id, draft.rules)
            _write_items(connection, [draft.change for draft in heavy])
            write_delivery_rules(connection, [draft.change for draft in heavy])
        if len(asked) != len(drafts):
            check_noops(connection, [draft for draft in drafts if draft.is_noop])
        write_ops(connection, drafts, entries)
        return [tuple(entries[draft.account.id] for draft in drafts if not draft.is_noop) for drafts in sets]

    def _confirm(self, connection: Connection, found: Iterable[Change]) -> None:
        """Compare the found changes of another program with the stored values now."""
        for change in found:
            stored = self.read(connection, change.account_id).get(change.account_id)
            if stored != (None if change.new is None else change.old):
                raise StaleGeneration(f"{change.account_id} has moved on")

    @staticmethod
    def _check(connection: Connection, changes: Sequence[Change]) -> None:
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
                raise AccountBeingDeleted(f"{change.account_id} is being deleted")
            if change.new is not None:
                other = owners.get((change.new.owner_id, change.new.unb))
                if other not in {None, change.account_id, *leaving}:
                    raise DuplicateUnb("this seller already stands under another id", id=other)


def _hold_owners(connection: Connection, drafts: Iterable[Draft]) -> None:
    """Keep the users of new accounts until the transaction ends. Raise ``Unauthenticated`` when one is leaving or gone,
    ``TooManyShops`` when one would have more accounts than allowed.

    Another node may be removing them, or adding accounts too: it waits for this transaction, or this one sees what it
    wrote. Additions without a limit do not wait for each other.
    """
    fresh: Counter[int] = Counter()
    limits: dict[int, int] = {}
    for draft in drafts:
        if draft.change.old is None and draft.change.found is None:
            owner_id, limit = draft.account.owner_id, draft.change.most_shops
            fresh[owner_id] += 1
            if limit is not None:
                limits[owner_id] = min(limit, limits.get(owner_id, limit))
    if not fresh:
        return
    staying = select(users.c.id).where(users.c.id.in_(list(fresh)), not_(users.c.leaving)).order_by(users.c.id)
    kept = staying.with_for_update(key_share=True) if limits else staying.with_for_update(read=True)
    if len(connection.execute(kept).all()) != len(fresh):
        raise Unauthenticated("that user is being removed")
    if limits:
        _refuse_too_many(connection, fresh, limits)


def _refuse_too_many(connection: Connection, fresh: Counter[int], limits: dict[int, int]) -> None:
    """Count after the users are kept: a statement sees what was committed before it began."""
    living = (accounts.c.owner_id.in_(list(limits)), not_(accounts.c.deleted))
    query = select(accounts.c.owner_id, func.count()).where(*living).group_by(accounts.c.owner_id)
    for owner_id, count in connection.execute(query):
        fresh[owner_id] += count
    for owner_id, limit in limits.items():
        if fresh[owner_id] > limit:
            raise TooManyShops(f"one user may have {limit} shops", limit=limit)


def _account_id(draft: Draft) -> str:
    return draft.account.id


def _write_items(connection: Connection, real: Iterable[Change]) -> None:
    removed: list[Row] = []
    edited: list[Row] = []
    added: list[Row] = []
    for change in real:
        if change.new is None or (change.old is not None and change.old.items is change.new.items):
            continue
        before = _item_rows(change.old)
        for item_id, row in _item_rows(change.new).items():
            known = before.pop(item_id, None)
            if known is None:
                added.append({"account_id": change.account_id, "item_id": item_id, **row})
            elif known != row:
                edited.append({"b_account": change.account_id, "b_id": item_id, **row})
        removed += [{"b_account": change.account_id, "b_id": gone} for gone in before]
    if removed and connection.execute(delete(item_settings).where(_ITEM), removed).rowcount != len(removed):
        raise StaleGeneration("an item that was to be removed is not there")
    if edited and connection.execute(update(item_settings).where(_ITEM), edited).rowcount != len(edited):
        raise StaleGeneration("an item that was to be edited is not there")
    if added:
        connection.execute(insert(item_settings), added)


def _item_rows(account: Account | None) -> dict[str, Row]:
    """Return the columns of items that have a row: one that only has a delivery rule has none."""
    items = account.items if account is not None else ()
    return {
        item.item_id: {name: getattr(item, name) for name in _ITEM_COLUMNS}
        for item in items
        if item.has_own or not item.has_delivery
    }


def read_op(connection: Connection, op_id: str) -> OpRecord | None:
    """Return the result of an op; ``None`` when it was never applied (or only reserved)."""
    query = select(ops).where(ops.c.op_id == op_id, ops.c.account_id.is_not(None))
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else OpRecord(**{entry.name: row[entry.name] for entry in fields(OpRecord)})

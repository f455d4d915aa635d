"""``DBManager``: the ``AccountStore`` on a database, and single fields by the method names of sellers' tools."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, delete, update

from shoal.accounts.account import Account, Observation, StateMove
from shoal.accounts.journal import JournalEntry
from shoal.accounts.store import (
    Change,
    Committed,
    Contents,
    Glimpse,
    Op,
    OpRecord,
    Pruned,
    Refused,
    Settle,
    Settlement,
    ShardContents,
    Tombstone,
    fold_of,
)
from shoal.clock import now_ms
from shoal.errors import ConfigError, StoreChecking, StoreError, UnknownAccount
from shoal.rules.rule import Rule
from shoal.storage.account_rows import AccountRows, read_op
from shoal.storage.change_statements import statements_of
from shoal.storage.database import Database
from shoal.storage.history_rows import (
    last_rev_before,
    newest_rev,
    oldest_rev,
    prune_journal,
    prune_moves,
    prune_ops,
    read_baselines,
    read_journal,
    read_timeline,
    write_moves,
)
from shoal.storage.key_changes import take_up_at_start
from shoal.storage.message_segments import drop_segments, segments_of_account
from shoal.storage.observation_rows import read_observations, write_observations
from shoal.storage.schema import account_tables, accounts
from shoal.storage.sealed_values import has_sealed_values
from shoal.storage.seller_number_rows import free_number, hold_number, read_number_holders
from shoal.storage.shard_rows import read_shards, read_tombstones
from shoal.storage.stream_rows import StoredStream, prune_stream, start_of_stream
from shoal.storage.vault import KEY_BYTES, Vault, parse_keys

log = structlog.get_logger("shoal.database")

_SEGMENTS_AT_ONCE = 4
"""How many segments a step drops from the index of words."""
_CHECK_COLUMN = "store_meta.key_check"
_CHECK_TEXT = "the right key opens this"
ANSWERS_SECRET = "answers_secret"  # noqa: S105 - a name
DEVICES_SECRET = "devices_secret"  # noqa: S105 - a name
"""The ``store_meta`` key of the secret that keys the request hashes of idempotency keys."""
PUSH_SECRET = "push_secret"  # noqa: S105 - a name
"""The ``store_meta`` key of the secret that makes the key for web push."""
UNITS_SECRET = "units_secret"  # noqa: S105 - a name
"""The ``store_meta`` key of the secret that keys the digests of units."""
SEALED_FACTS: dict[str, dict[str, Any]] = {
    "key_check": {"account_id": "", "column": _CHECK_COLUMN},
    ANSWERS_SECRET: {"column": "store_meta.answers_secret"},
    DEVICES_SECRET: {"column": "store_meta.devices_secret"},
    PUSH_SECRET: {"column": "store_meta.push_secret"},
    UNITS_SECRET: {"column": "store_meta.units_secret"},
}
"""Values of ``store_meta`` that are encrypted, with the vault's arguments for each."""


async def open_vault(
    database: Database, key_file: Path, secret_key: str | None = None, *, several_nodes: bool = False
) -> Vault:
    """Load the keys for an open database, and verify them with a stored value.

    A change of the key that several servers began is taken up first.
    A new database gets a new key file when there is none. A ``secret_key`` of another database, without this database's
    old key beside it, is treated as a mistake. Raises ``ConfigError`` that says what to do.
    """
    stored = await database.fact("key_check")
    vault = Vault.load(key_file, secret_key, create=stored is None and not await database.read(has_sealed_values))
    if not secret_key and stored is not None:
        await take_up_at_start(database, vault, key_file, several_nodes=several_nodes)
    stored = await database.remember("key_check", _key_check(vault))
    if not _opens(vault, stored):
        wrong = "startup.wrong_key_of_several" if several_nodes else "startup.wrong_key"
        raise ConfigError(wrong, path=key_file, code="wrong_secret_key")
    if secret_key and not _opens(Vault(parse_keys(secret_key, origin="SHOAL_SECRET_KEY")), stored):
        raise ConfigError("startup.wrong_secret_key", path=key_file, code="wrong_secret_key")
    if not several_nodes and not vault.is_current(bytes.fromhex(stored)):  # else all must have the key before
        await database.replace_fact("key_check", _key_check(vault))
        log.warning("a new key seals from now on; keep the old one until `shoal keys` says that nothing needs it")
    return vault


async def own_secret(database: Database, vault: Vault, name: str) -> bytes:
    """Return 32 random bytes of this database, stored encrypted; created again if they cannot be decrypted.

    ``name`` is one of ``SEALED_FACTS``.
    """
    stored = await database.fact(name)
    if stored is not None:
        with contextlib.suppress(StoreError, ValueError):
            return bytes.fromhex(vault.open(bytes.fromhex(stored), **SEALED_FACTS[name]))
        log.warning("a secret of the server's own was made again", name=name)
    fresh = secrets.token_bytes(KEY_BYTES)
    sealed = vault.seal(fresh.hex(), **SEALED_FACTS[name]).hex()
    if stored is not None:
        await database.replace_fact(name, sealed)
        return fresh
    kept = await database.remember(name, sealed)  # another server may have been faster
    return bytes.fromhex(vault.open(bytes.fromhex(kept), **SEALED_FACTS[name]))


async def renew_facts(database: Database, vault: Vault) -> None:
    """Encrypt the encrypted values of ``store_meta`` again with the newest key."""
    for name, bound in SEALED_FACTS.items():
        stored = await database.fact(name)
        if stored is None or vault.is_current(bytes.fromhex(stored)):
            continue
        with contextlib.suppress(StoreError):  # the next start creates one that cannot be decrypted again
            text = vault.open(bytes.fromhex(stored), **bound)
            await database.replace_fact(name, vault.seal(text, **bound).hex())


def _key_check(vault: Vault) -> str:
    return vault.seal(_CHECK_TEXT, account_id="", column=_CHECK_COLUMN).hex()


def _opens(vault: Vault, stored: str) -> bool:
    """Return whether one of these keys encrypted the stored check."""
    with contextlib.suppress(StoreError, ValueError):
        return vault.open(bytes.fromhex(stored), account_id="", column=_CHECK_COLUMN) == _CHECK_TEXT
    return False


class DBManager:
    """Accounts in a database. Reads raise ``StoreError``; a failure never becomes a default."""

    def __init__(
        self, database: Database, vault: Vault, *, now_ms: Callable[[], int] = now_ms, several_nodes: bool = False
    ) -> None:
        """``several_nodes``: others may write to the same PostgreSQL database at the same time."""
        self._database = database
        self._several_nodes = several_nodes
        self._rows = AccountRows(vault, several_nodes=several_nodes)
        self._now_ms = now_ms
        self.stream = StoredStream(database, self._rows)
        """What all nodes follow when there are several."""
        self.on_commit: Callable[[], object] | None = None
        """Called on the loop when changes of this node were committed."""
        database.write_changes_with(self._rows)

    # ── AccountStore ────────────────────────────────────────────────────────────────────────────────────────────

    def submit(self, changes: Sequence[Change], settle: Settle) -> None:
        """Write the changes in one transaction and settle (see ``AccountStore``)."""
        if self._database.checking:
            asyncio.get_running_loop().call_soon(settle, Refused(StoreChecking()))
            return
        self._database.group_writer.submit(changes, settle if self.on_commit is None else self._noting_commit(settle))

    def _noting_commit(self, settle: Settle) -> Settle:
        """Settle, and report that something was committed."""

        def settled(settlement: Settlement) -> None:
            settle(settlement)
            if isinstance(settlement, Committed) and settlement.entries and self.on_commit is not None:
                self.on_commit()

        return settled

    async def load(self) -> Contents:
        """Read everything from one snapshot; one unreadable row raises with the account's name."""

        def job(connection: Connection) -> Contents:
            start, newest = start_of_stream(connection) if self._several_nodes else (None, newest_rev(connection))
            return Contents(
                accounts=self._rows.read(connection),
                observations=read_observations(connection),
                tombstones=read_tombstones(connection),
                newest_rev=newest,
                stream_start=start,
            )

        return await self._database.read(job)

    async def glimpse(self, account_id: str, *, after_rev: int) -> Glimpse:
        """Read one account and its journal (see ``AccountStore``)."""

        def job(connection: Connection) -> Glimpse:
            entries = read_journal(connection, account_id=account_id)
            starts = read_baselines(connection, [account_id]).values()
            return Glimpse(
                account=self._rows.read(connection, account_id).get(account_id),
                folded=fold_of(entries, starts, account_id),
                entries=tuple(entry for entry in entries if entry.rev > after_rev),
            )

        return await self._database.read(job)

    async def stored(self, account_id: str) -> Account | Tombstone | None:
        """Read one account; a deleted one is its tombstone (see ``AccountStore``)."""

        def job(connection: Connection) -> Account | Tombstone | None:
            account = self._rows.read(connection, account_id).get(account_id)
            return account if account is not None else read_tombstones(connection, account_id).get(account_id)

        return await self._database.read(job)

    async def load_shards(self, shards: Collection[int]) -> ShardContents:
        """Read where the accounts of these shards stand (see ``AccountStore``)."""
        return await self._database.read(lambda connection: read_shards(connection, shards))

    async def observe(self, observations: Mapping[str, Observation], moves: Sequence[StateMove] = ()) -> None:
        """Store observations and the moves that led to them, in one transaction (see ``AccountStore``)."""
        names = {*observations, *(move.account_id for move in moves)}

        def job(connection: Connection) -> None:
            living = statements_of(connection).generations(names)
            write_observations(connection, {name: seen for name, seen in observations.items() if name in living})
            write_moves(connection, [move for move in moves if move.account_id in living])

        if names:
            await self._database.write(job)

    async def timeline(self, account_id: str, *, since_ms: int = 0, limit: int | None = None) -> list[StateMove]:
        """Return the account's moves, oldest first, with the last before ``since_ms``; with ``limit`` the newest."""
        return await self._database.read(lambda connection: read_timeline(connection, account_id, since_ms, limit))

    async def purge(self, account_id: str) -> None:
        """Delete every row of a deleted account except its journal, its baseline, its ops and its tombstone.

        The segments with its messages leave the index of words before, a few at a time. Raises ``UnknownAccount`` when
        there is no such tombstone.
        """

        def job(connection: Connection) -> None:
            tombstone = (accounts.c.id == account_id) & accounts.c.deleted
            bare = dict.fromkeys(("unb", "cookie_fingerprint", "remark", "default_reply"), "")
            emptied = connection.execute(
                update(accounts).where(tombstone).values(cookie_sealed=None, proxy_sealed=None, purged=True, **bare)
            )
            if emptied.rowcount != 1:
                raise UnknownAccount(account_id)
            for table in account_tables():
                connection.execute(delete(table).where(table.c.account_id == account_id))

        left = await self._database.read(lambda connection: segments_of_account(connection, account_id))
        for first in range(0, len(left), _SEGMENTS_AT_ONCE):
            some = left[first : first + _SEGMENTS_AT_ONCE]
            await self._database.write(partial(drop_segments, segments=some))
        await self._database.write(job)

    async def hold_number(self, number: str, account_id: str, at_ms: int) -> str | None:
        """Let an account hold a seller's number if no other does. Return its holder (see ``AccountStore``)."""
        return await self._database.write(lambda connection: hold_number(connection, number, account_id, at_ms))

    async def free_number(self, number: str, holder: str) -> None:
        """Take a seller's number from that account, if it holds it."""
        await self._database.write(lambda connection: free_number(connection, number, holder))

    async def number_holders(self, *numbers: str) -> dict[str, str]:
        """Return which account holds which seller's number: of these numbers or, without any, of all."""
        return await self._database.read(lambda connection: read_number_holders(connection, numbers))

    async def journal(
        self,
        *,
        after_rev: int = 0,
        account_id: str | None = None,
        owner_id: int | None = None,
        or_accounts: Sequence[str] = (),
        before_ms: int | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[JournalEntry]:
        """Return journal entries beyond ``after_rev`` (see ``AccountStore``)."""
        return await self._database.read(
            lambda connection: read_journal(
                connection,
                after_rev=after_rev,
                account_id=account_id,
                owner_id=owner_id,
                or_accounts=or_accounts,
                before_ms=before_ms,
                limit=limit,
                newest_first=newest_first,
            )
        )

    async def op(self, op_id: str) -> OpRecord | None:
        """Return the result of an op, or ``None`` if it was never applied."""
        return await self._database.read(lambda connection: read_op(connection, op_id))

    async def oldest_rev(self) -> int:
        """Return the smallest cursor after which the journal is complete."""
        return await self._database.read(oldest_rev)

    async def prune(self, *, journal_before_ms: int, ops_before_ms: int, moves_before_ms: int) -> Pruned:
        """Delete old rows step by step, so that changes can be written in between (see ``AccountStore``)."""
        return Pruned(
            entries=await self._in_steps(await self._pruning(journal_before_ms)),
            ops=await self._in_steps(lambda connection: prune_ops(connection, ops_before_ms)),
            moves=await self._in_steps(lambda connection: prune_moves(connection, moves_before_ms)),
        )

    async def _pruning(self, before_ms: int) -> Callable[[Connection], int]:
        """Return a step that deletes old entries of the journal."""
        if self._several_nodes:
            return lambda connection: prune_stream(connection, before_ms)
        up_to = await self._database.read(lambda connection: last_rev_before(connection, before_ms))
        return lambda connection: prune_journal(connection, up_to)

    async def _in_steps(self, step: Callable[[Connection], int]) -> int:
        """Repeat a step, each in its own transaction, until it finds nothing to do. Return the sum."""
        total = 0
        while done := await self._database.write(step):
            total += done
        return total

    # ── single fields, by the names of the system that sellers come from ────────────────────────────────────────

    async def save_cookie_status(self, cookie_id: str, enabled: bool, *, actor: str = "store") -> None:
        """Store whether the account is enabled, with its journal row."""
        await self._save(cookie_id, actor, enabled=enabled)

    async def get_cookie_status(self, cookie_id: str) -> bool:
        """Return whether the account is enabled. Raises ``UnknownAccount``; there is no default."""
        return (await self._stored(cookie_id)).enabled

    async def save_auto_confirm(self, cookie_id: str, auto_confirm: bool, *, actor: str = "store") -> None:
        """Store whether paid orders are confirmed automatically, with its journal row."""
        await self._save(cookie_id, actor, auto_confirm=auto_confirm)

    async def get_auto_confirm(self, cookie_id: str) -> bool:
        """Return whether paid orders are confirmed automatically. Raises ``UnknownAccount``."""
        return (await self._stored(cookie_id)).auto_confirm

    async def save_keywords(self, cookie_id: str, keywords: Sequence[Rule], *, actor: str = "store") -> None:
        """Store the account's rules, with their journal row."""
        await self._save(cookie_id, actor, keywords=tuple(keywords))

    async def get_keywords(self, cookie_id: str) -> tuple[Rule, ...]:
        """Return the account's rules, in order. Raises ``UnknownAccount``."""
        return (await self._stored(cookie_id)).keywords

    async def get_cookie_details(self, cookie_id: str) -> Account:
        """Return the whole account as it is stored now. Raises ``UnknownAccount``."""
        return await self._stored(cookie_id)

    async def _stored(self, account_id: str) -> Account:
        rows = await self._database.read(lambda connection: self._rows.read(connection, account_id))
        account = rows.get(account_id)
        if account is None:
            raise UnknownAccount(account_id)
        return account

    async def _save(self, account_id: str, actor: str, **values: Any) -> None:
        old = await self._stored(account_id)
        new = old.evolve(**values)
        new = old if new == old else new.evolve(generation=old.generation + 1)
        await commit(
            self, [Change(old=old, new=new, op=Op(op_id=str(uuid.uuid4()), actor=actor, at_ms=self._now_ms()))]
        )


async def commit(store: DBManager, changes: Sequence[Change]) -> tuple[JournalEntry, ...]:
    """Submit and wait for the first settlement. Raises the reason of a refusal, or ``CommitUnknown``."""
    future: asyncio.Future[Settlement] = asyncio.get_running_loop().create_future()

    def settle(settlement: Settlement) -> None:
        if not future.done():
            future.set_result(settlement)

    store.submit(changes, settle)
    settlement = await future
    if isinstance(settlement, Committed):
        return settlement.entries
    if isinstance(settlement, Refused):
        raise settlement.error
    raise settlement.error

"""What a user may do with which account: an owner everything, other users what the owner has granted.

The grants are kept in memory as they are in the database, so that a check needs no query. They are correct at once
after a change on this node, after a restart, and within ``FOLLOW_SECONDS`` after a change on another node. When nodes
share the database and none could be read for ``TRUSTED_SECONDS``, shared accounts are refused; those of the caller not.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
import structlog
from sqlalchemy import Connection, delete, select

from shoal.accounts.account import Account
from shoal.accounts.events import AccessChanged, EventBus
from shoal.accounts.journal import JournalEntry
from shoal.auth.api_tokens import ApiToken
from shoal.auth.grant_rows import Grant, Wanted, grant_of, write_grants
from shoal.auth.permission import Permission, permission_missing
from shoal.auth.sessions import Session
from shoal.auth.users import Role, User
from shoal.clock import now_ms
from shoal.errors import ShoalError, StoreError, UnknownAccount
from shoal.storage.among import among
from shoal.storage.database import Database
from shoal.storage.user_tables import grants

log = structlog.get_logger("shoal.access")
T = TypeVar("T")

FOLLOW_SECONDS = 2.0
"""How often a node looks for grants that another node changed."""
TRUSTED_SECONDS = 10.0
"""How long grants that were read are trusted when another node may have changed them since."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The caller: a user, by a session or by one of the user's API tokens, which may do less than the user."""

    user: User
    session: Session | None = None
    token: ApiToken | None = None

    @property
    def id(self) -> int:
        """The user's id."""
        return self.user.id

    @property
    def most(self) -> Permission:
        """The highest permission that the caller may have on any account."""
        return Permission.OWN if self.token is None else self.token.scope

    @property
    def owns_shops(self) -> bool:
        """Whether the user may own accounts."""
        return self.user.role is not Role.STAFF

    @property
    def sight(self) -> Hashable:
        """What the caller sees of accounts depends on, beside grants and the accounts themselves."""
        return self.user.id, self.most, None if self.token is None else self.token.only_accounts

    def may_bind_goods(self, account: Account) -> bool:
        """Return whether the caller may name any goods of the owner: they are of the whole user, not of an account."""
        return account.owner_id == self.id and (self.token is None or self.token.only_accounts is None)

    def covers(self, account_id: str) -> bool:
        """Return whether the caller may ask about that account at all: a token may be limited to some accounts."""
        return self.token is None or self.token.covers(account_id)


_Grants = dict[str, dict[int, Grant]]
"""By account, then by user."""


class Authorization:
    """Decides who may do what, and lets owners share their accounts."""

    def __init__(
        self,
        database: Database,
        accounts: Mapping[str, Account],
        events: EventBus,
        *,
        of_owner: Callable[[int], Iterable[Account]],
        now_ms: Callable[[], int] = now_ms,
        follow_seconds: float = FOLLOW_SECONDS,
        trusted_seconds: float = math.inf,
    ) -> None:
        """``accounts``: the published snapshots, by id. ``of_owner``: those of a user.

        ``trusted_seconds``: how long what was read counts when it cannot be read again.
        """
        self._database = database
        self._accounts = accounts
        self._of_owner = of_owner
        self._events = events
        self._now_ms = now_ms
        self._follow_seconds = follow_seconds
        self._trusted_seconds = trusted_seconds
        self._grants: _Grants = {}
        self._distrusted: _Grants = {}
        """The grants that were read too long ago; they count no more."""
        self._read_at = -math.inf
        self.version = 0
        """Rises whenever a grant may have changed."""
        self._turn = asyncio.Lock()
        self._running: set[asyncio.Task[Any]] = set()
        self._looking: set[asyncio.Task[None]] = set()
        self._following: asyncio.Task[None] | None = None

    # ── life ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Read the grants. On a database that other nodes share, read them again regularly. Raises ``StoreError``."""
        await self.reload()
        if not self._database.is_sqlite:
            self._following = asyncio.create_task(self._follow(), name="grants")

    async def close(self) -> None:
        """Stop following, and wait for the changes under way."""
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
        for task in self._looking:
            task.cancel()
        await asyncio.gather(*self._running, *self._looking, return_exceptions=True)

    async def reload(self, *, behind_writes: bool = False) -> None:
        """Read the grants again and publish ``AccessChanged`` for each user whose permissions differ.

        ``behind_writes``: what waits to be written now is read too. Raises ``StoreError``.
        """
        ask = self._database.write if behind_writes else self._database.read
        async with self._turn:
            began = time.monotonic()
            rows = await ask(lambda connection: connection.execute(select(grants)).all())
            found: _Grants = {}
            for row in rows:
                found.setdefault(row.account_id, {})[row.user_id] = grant_of(row)
            self._read_at, self._distrusted = began, {}
            self._replace(found)

    def look_again(self) -> asyncio.Task[None]:
        """Read the grants again, with all that is written now, as often as the database does not answer."""
        task = asyncio.create_task(self._look_again(), name="grants again")
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)
        return task

    async def _look_again(self) -> None:
        while True:
            try:
                return await self.reload(behind_writes=True)
            except StoreError as error:
                log.debug("grants not read", why=type(error).__name__)
                await asyncio.sleep(self._follow_seconds)

    def _replace(self, found: _Grants) -> None:
        before, self._grants = self._grants, found
        self.version += 1
        for account_id in {*before, *found}:
            self._publish_differing(before.get(account_id, {}), found.get(account_id, {}))

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._follow_seconds)
            left = self._read_at + self._trusted_seconds - time.monotonic()
            try:
                async with asyncio.timeout(None if left == math.inf else left if left > 0 else self._trusted_seconds):
                    await self.reload()
            except (StoreError, TimeoutError) as error:
                log.debug("grants not read", why=type(error).__name__)
                self._distrust_old()

    def _distrust_old(self) -> None:
        """Refuse shared accounts when the grants were read too long ago: another node may have taken them."""
        if self._grants and time.monotonic() - self._read_at >= self._trusted_seconds:
            log.warning("shared shops are refused: the database has not answered who may see them")
            self._distrusted = self._grants
            self._replace({})

    # ── questions ───────────────────────────────────────────────────────────────────────────────────────────────

    def permission_on(self, who: Principal, account: Account) -> Permission | None:
        """Return what the caller may do with the account; ``None``: the caller may not even know that it exists."""
        if not who.covers(account.id):
            return None
        if account.owner_id == who.id:
            return who.most
        given = self.given_to(account, who.id)
        return None if given is None else min(given, who.most)

    def require(self, who: Principal, account_id: str, permission: Permission) -> Account:
        """Return the account if the caller has the permission on it.

        Raises ``UnknownAccount`` (also when the caller may not see it), or ``Forbidden`` (``permission_missing``) when
        the caller may see it but has less than the permission.
        """
        account = self._accounts.get(account_id)
        if account is None:
            raise UnknownAccount(account_id)
        self.check(who, account, permission)
        return account

    def check(self, who: Principal, account: Account, permission: Permission) -> None:
        """Check the permission on an account that was found. Raises as ``require``."""
        given = self.permission_on(who, account)
        if given is None:
            if who.id in self._distrusted.get(account.id, ()):
                raise StoreError("the database does not answer who may see this account")
            raise UnknownAccount(account.id)
        if given < permission:
            raise permission_missing(permission, given, by_token=who.token is not None and who.most < permission)

    def accounts_of(self, who: Principal, permission: Permission = Permission.READ) -> list[Account]:
        """Return the accounts on which the caller has the permission, oldest first."""
        return [account for account, _ in self.permissions_of(who, permission)]

    def permissions_of(
        self, who: Principal, permission: Permission = Permission.READ
    ) -> list[tuple[Account, Permission]]:
        """Return the accounts on which the caller has the permission, oldest first, each with all that it may do."""
        most = who.most
        found = []
        if most >= permission:
            found = [(account, most) for account in self._of_owner(who.id) if who.covers(account.id)]
        for account_id, by_user in self._grants.items():
            account = self._accounts.get(account_id) if who.id in by_user else None
            if account is not None and account.owner_id != who.id:
                given = self.permission_on(who, account)
                if given is not None and given >= permission:
                    found.append((account, given))
        found.sort(key=_age)
        return found

    def may_see(self, who: Principal, account_id: str, owner_id: int, at_ms: int | None = None) -> bool:
        """Return whether the caller may see what happened (at ``at_ms``) to an account of that owner.

        The account may be removed by now.
        """
        if not who.covers(account_id):
            return False
        if owner_id == who.id:
            return True
        account = self._accounts.get(account_id)
        if account is None:  # the event may be its removal
            return who.id in self._grants.get(account_id, {})
        is_of_an_earlier = account.owner_id != owner_id or (at_ms is not None and at_ms < account.created_at_ms)
        return not is_of_an_earlier and self.permission_on(who, account) is not None

    def may_see_stored(self, who: Principal, account_id: str, owner_id: int | None, at_ms: int) -> bool:
        """Return whether the caller may see now what happened to an account then; ``owner_id``: whose it was, if known.

        Without that only an account that is there now counts, and not an earlier one of the same id.
        """
        if owner_id is not None:
            return self.may_see(who, account_id, owner_id, at_ms)
        account = self._accounts.get(account_id)
        return (
            account is not None
            and self.may_see(who, account_id, account.owner_id, max(at_ms, 0))
            and (at_ms >= account.created_at_ms)
        )

    def may_see_entry(self, who: Principal, entry: JournalEntry) -> bool:
        """Return whether the caller may see a change."""
        return self.may_see(who, entry.account_id, entry.owner_id, entry.at_ms)

    def shared_with(self, who: Principal) -> list[str]:
        """Return the ids of other owners' accounts that the caller may see."""
        return [account.id for account in self.accounts_of(who) if account.owner_id != who.id]

    def colleagues_of(self, who: Principal) -> dict[int, int]:
        """Return the users with whom the caller shares accounts of its own, and how many with each."""
        found: dict[int, int] = {}
        for account in self._of_owner(who.id):
            for grant in self._grants.get(account.id, {}).values():
                if grant.is_for(account):
                    found[grant.user_id] = found.get(grant.user_id, 0) + 1
        return found

    def given_to(self, account: Account, user_id: int) -> Permission | None:
        """Return what a user was granted on an account."""
        grant = self._grants.get(account.id, {}).get(user_id)
        return grant.permission if grant is not None and grant.is_for(account) else None

    def staff_of(self, account: Account) -> list[Grant]:
        """Return the grants of an account, oldest first."""
        found = (grant for grant in self._grants.get(account.id, {}).values() if grant.is_for(account))
        return sorted(found, key=lambda grant: (grant.since_ms, grant.user_id))

    # ── changes ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def give(self, account: Account, user_id: int, permission: Permission, *, given_by: str) -> bool:
        """Grant a user a permission on an account, in place of an earlier one. False: nothing changed.

        Raises ``Conflict`` (``own_shop``, ``too_many_staff``), ``UnknownUser`` or ``UnknownAccount`` when either does
        not exist.
        """
        changed, failed = await self.share(user_id, [Wanted(account, permission)], given_by=given_by)
        if failed:
            raise failed[account.id]
        return bool(changed)

    async def share(
        self, user_id: int, wanted: Sequence[Wanted], *, given_by: str
    ) -> tuple[set[str], dict[str, ShoalError]]:
        """Grant a user permissions on accounts, or take them (``None``), each for itself in one transaction.

        Return the accounts for which something changed, and the errors of the others that failed, as ``give`` raises
        them. Raises ``UnknownUser``.
        """
        now = self._now_ms()

        def job(connection: Connection) -> dict[str, ShoalError]:
            return write_grants(connection, user_id, wanted, now_ms=now, given_by=given_by)

        failed, changed = await self._changed([one.account.id for one in wanted], job)
        return changed, failed

    async def take(self, account_id: str, user_id: int) -> bool:
        """Delete a user's grant on an account. False: there was none."""
        statement = delete(grants).where(grants.c.account_id == account_id, grants.c.user_id == user_id)
        _, changed = await self._changed([account_id], lambda connection: connection.execute(statement).rowcount)
        return bool(changed)

    def forget_user(self, user_id: int) -> None:
        """Drop at once the grants of a user who is being removed; their rows are deleted with the user."""
        for by_user in self._grants.values():
            by_user.pop(user_id, None)
        self.version += 1
        self._events.publish(AccessChanged(user_id=user_id))

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _changed(self, account_ids: Sequence[str], job: Callable[[Connection], T]) -> tuple[T, set[str]]:
        """Write, and read the accounts' grants into memory, also when the caller was cancelled during the write.

        Return what ``job`` returned, and the accounts whose stored grants differ: memory may not know yet what
        another node changed.
        """

        async def write() -> tuple[T, set[str]]:
            def rows(connection: Connection) -> tuple[_Grants, T, _Grants]:
                return _stored(connection, account_ids), job(connection), _stored(connection, account_ids)

            async with self._turn:
                earlier, result, found = await self._database.write(rows)
                for account_id, after in found.items():
                    before = self._grants.pop(account_id, {})
                    if after:
                        self._grants[account_id] = after
                    self._publish_differing(before, after)
                self.version += 1
                return result, {one for one, after in found.items() if _differing(earlier[one], after)}

        task = asyncio.create_task(write(), name=f"grants:{account_ids[0] if account_ids else ''}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # marks the exception as retrieved, also when no caller waits any more

    def _publish_differing(self, before: Mapping[int, Grant], after: Mapping[int, Grant]) -> None:
        for user_id in _differing(before, after):
            self._events.publish(AccessChanged(user_id=user_id))


def _stored(connection: Connection, account_ids: Sequence[str]) -> _Grants:
    found: _Grants = {account_id: {} for account_id in account_ids}
    for row in connection.execute(select(grants).where(among(grants.c.account_id, account_ids))):
        found[row.account_id][row.user_id] = grant_of(row)
    return found


def _differing(before: Mapping[int, Grant], after: Mapping[int, Grant]) -> list[int]:
    def permission(side: Mapping[int, Grant], user_id: int) -> tuple[Permission, int] | None:
        grant = side.get(user_id)
        return None if grant is None else (grant.permission, grant.account_since_ms)

    return [user_id for user_id in {*before, *after} if permission(before, user_id) != permission(after, user_id)]


def _age(found: tuple[Account, Permission]) -> tuple[int, str]:
    return found[0].created_at_ms, found[0].id

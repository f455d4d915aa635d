"""What a user may do with which account: an owner everything, other users what the owner has granted.

The grants are kept in memory as they are in the database, so that a check needs no query. They are correct at once
after a change on this node, after a restart, and within ``FOLLOW_SECONDS`` after a change on another node. When nodes
share the database and none could be read for ``TRUSTED_SECONDS``, shared accounts are refused; those of the caller not.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, Row, delete, exists, func, select

from shoal.accounts.account import SECRET_FIELDS, Account
from shoal.accounts.events import AccessChanged, EventBus
from shoal.accounts.journal import JournalEntry
from shoal.auth.api_tokens import ApiToken
from shoal.auth.permission import Permission
from shoal.auth.sessions import Session
from shoal.auth.users import Role, User
from shoal.clock import now_ms
from shoal.errors import Conflict, Forbidden, StoreError, UnknownAccount, UnknownUser
from shoal.storage.database import Database
from shoal.storage.schema import accounts
from shoal.storage.upserts import insert_or
from shoal.storage.user_tables import grants, users

log = structlog.get_logger("shoal.access")

FOLLOW_SECONDS = 2.0
"""How often a node looks for grants that another node changed."""
TRUSTED_SECONDS = 10.0
"""How long grants that were read are trusted when another node may have changed them since."""
MOST_STAFF = 100
"""With how many users an account may be shared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
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

    def covers(self, account_id: str) -> bool:
        """Return whether the caller may ask about that account at all: a token may be limited to some accounts."""
        return self.token is None or self.token.covers(account_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """What an owner lets a user do with an account."""

    account_id: str
    user_id: int
    permission: Permission
    account_since_ms: int
    since_ms: int
    given_by: str

    def is_for(self, account: Account) -> bool:
        """Return whether the grant is for this account, and not for an earlier one of the same id."""
        return account.id == self.account_id and account.created_at_ms == self.account_since_ms


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
        self._running: set[asyncio.Task[None]] = set()
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
        await asyncio.gather(*self._running, return_exceptions=True)

    async def reload(self) -> None:
        """Read the grants again and publish ``AccessChanged`` for each user whose permissions differ.

        Raises ``StoreError``.
        """
        async with self._turn:
            began = time.monotonic()
            rows = await self._database.read(lambda connection: connection.execute(select(grants)).all())
            found: _Grants = {}
            for row in rows:
                found.setdefault(row.account_id, {})[row.user_id] = _grant(row)
            self._read_at, self._distrusted = began, {}
            self._replace(found)

    def _replace(self, found: _Grants) -> None:
        before, self._grants = self._grants, found
        self.version += 1
        for account_id in {*before, *found}:
            self._tell_differing(before.get(account_id, {}), found.get(account_id, {}))

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
        grant = self._grants.get(account.id, {}).get(who.id)
        return min(grant.permission, who.most) if grant is not None and grant.is_for(account) else None

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
        if user_id == account.owner_id:
            raise Conflict("the owner needs no grant", code="own_shop")
        row = {
            "account_id": account.id,
            "user_id": user_id,
            "access": permission.word,
            "account_since_ms": account.created_at_ms,
            "since_ms": self._now_ms(),
            "given_by": given_by,
        }

        def job(connection: Connection) -> None:
            living = select(exists().where(accounts.c.id == account.id, ~accounts.c.deleted))
            if not connection.scalar(living.where(accounts.c.created_at_ms == account.created_at_ms)):
                raise UnknownAccount(account.id)
            if not connection.scalar(select(exists().where(users.c.id == user_id))):
                raise UnknownUser("there is no such user")
            others = grants.c.account_id == account.id, grants.c.user_id != user_id
            if (connection.scalar(select(func.count()).where(*others)) or 0) >= MOST_STAFF:
                raise Conflict("the shop is shared with many", code="too_many_staff", limit=MOST_STAFF)
            fresh = {name: row[name] for name in ("access", "account_since_ms", "given_by")}
            statement = insert_or(connection, grants).values(**row)
            connection.execute(statement.on_conflict_do_update(index_elements=["account_id", "user_id"], set_=fresh))

        return await self._changed(account.id, job)

    async def take(self, account_id: str, user_id: int) -> bool:
        """Delete a user's grant on an account. False: there was none."""
        statement = delete(grants).where(grants.c.account_id == account_id, grants.c.user_id == user_id)
        return await self._changed(account_id, lambda connection: connection.execute(statement).rowcount)

    def forget_user(self, user_id: int) -> None:
        """Drop at once the grants of a user who is being removed; their rows are deleted with the user."""
        for by_user in self._grants.values():
            by_user.pop(user_id, None)
        self.version += 1
        self._events.publish(AccessChanged(user_id=user_id))

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _changed(self, account_id: str, job: Callable[[Connection], object]) -> bool:
        """Write, and read the account's grants into memory, also when the caller was cancelled during the write."""
        differed: list[bool] = []

        async def write() -> None:
            def rows(connection: Connection) -> list[Row[tuple[object, ...]]]:
                job(connection)
                return list(connection.execute(select(grants).where(grants.c.account_id == account_id)).all())

            async with self._turn:
                found = {row.user_id: _grant(row) for row in await self._database.write(rows)}
                before = self._grants.pop(account_id, {})
                if found:
                    self._grants[account_id] = found
                self.version += 1
                differed.append(self._tell_differing(before, found))

        task = asyncio.create_task(write(), name=f"grant:{account_id}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.shield(task)
        return differed[0]

    def _tell_differing(self, before: Mapping[int, Grant], after: Mapping[int, Grant]) -> bool:
        def permission(side: Mapping[int, Grant], user_id: int) -> tuple[Permission, int] | None:
            grant = side.get(user_id)
            return None if grant is None else (grant.permission, grant.account_since_ms)

        differing = [
            user_id for user_id in {*before, *after} if permission(before, user_id) != permission(after, user_id)
        ]
        for user_id in differing:
            self._events.publish(AccessChanged(user_id=user_id))
        return bool(differing)


def _age(found: tuple[Account, Permission]) -> tuple[int, str]:
    return found[0].created_at_ms, found[0].id


_OF_THE_OWNER = SECRET_FIELDS | {"cookie_version", "deleted", "owner_id", "unb"}


def permission_to_change(fields: Iterable[str]) -> Permission:
    """Return the permission that is needed to change those fields of an account."""
    return Permission.OPERATE if _OF_THE_OWNER.isdisjoint(fields) else Permission.OWN


def permission_missing(permission: Permission, given: Permission, *, by_token: bool = False) -> Forbidden:
    """Return the error for a caller whose permission is too low. ``by_token``: the token is the limit."""
    code = "right_missing/token" if by_token else "right_missing"
    return Forbidden(f"needs {permission.word}, has {given.word}", code=code, needed=permission.word, given=given.word)


def _grant(row: Row[tuple[object, ...]]) -> Grant:
    return Grant(
        account_id=row.account_id,
        user_id=row.user_id,
        permission=Permission.of(row.access),
        account_since_ms=row.account_since_ms,
        since_ms=row.since_ms,
        given_by=row.given_by,
    )

"""What a person may do with which shop: an owner everything, others what the owner has given them.

The grants are kept in memory as they stand in the database, so that a question costs nothing: right at once after a
change here, after a restart, and on several nodes within ``FOLLOW_SECONDS``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
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
from shoal.storage.schema import accounts, grants, insert_or, users

log = structlog.get_logger("shoal.access")

FOLLOW_SECONDS = 2.0
"""How often a node looks for grants that another one gave or took."""
MOST_STAFF = 100
"""With so many people a shop may be shared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """Who asks: a person, by a sign-in or by one of their API tokens, which may do less than they."""

    user: User
    session: Session | None = None
    token: ApiToken | None = None

    @property
    def id(self) -> int:
        """The person's number."""
        return self.user.id

    @property
    def most(self) -> Permission:
        """More than this they may do with no shop."""
        return Permission.OWN if self.token is None else self.token.scope

    @property
    def owns_shops(self) -> bool:
        """Whether they may have shops of their own."""
        return self.user.role is not Role.STAFF

    def covers(self, account_id: str) -> bool:
        """Whether they may ask about that shop at all: a token may be limited to some."""
        return self.token is None or self.token.covers(account_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """What an owner lets a person do with a shop."""

    account_id: str
    user_id: int
    permission: Permission
    account_since_ms: int
    since_ms: int
    given_by: str

    def is_for(self, account: Account) -> bool:
        """Whether this very account is meant, and not an earlier one of the same id."""
        return account.id == self.account_id and account.created_at_ms == self.account_since_ms


_Grants = dict[str, dict[int, Grant]]
"""By account, then by person."""


class Authorization:
    """Answers who may do what, and lets owners share their shops."""

    def __init__(
        self,
        database: Database,
        accounts: Mapping[str, Account],
        events: EventBus,
        *,
        now_ms: Callable[[], int] = now_ms,
        follow_seconds: float = FOLLOW_SECONDS,
    ) -> None:
        """``accounts``: the published snapshots, by id."""
        self._database = database
        self._accounts = accounts
        self._events = events
        self._now_ms = now_ms
        self._follow_seconds = follow_seconds
        self._grants: _Grants = {}
        self._turn = asyncio.Lock()
        self._running: set[asyncio.Task[None]] = set()
        self._following: asyncio.Task[None] | None = None

    # ── life ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Read the grants; on a database that other nodes share, go on looking. Raises ``StoreError``."""
        await self.reload()
        if not self._database.is_sqlite:
            self._following = asyncio.create_task(self._follow(), name="grants")

    async def close(self) -> None:
        """Stop looking, and let what was begun come to its end."""
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following
        await asyncio.gather(*self._running, return_exceptions=True)

    async def reload(self) -> None:
        """Read the grants again and tell whom it concerns. Raises ``StoreError``."""
        async with self._turn:
            rows = await self._database.read(lambda connection: connection.execute(select(grants)).all())
            found: _Grants = {}
            for row in rows:
                found.setdefault(row.account_id, {})[row.user_id] = _grant(row)
            before, self._grants = self._grants, found
            for account_id in {*before, *found}:
                self._tell_differing(before.get(account_id, {}), found.get(account_id, {}))

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._follow_seconds)
            try:
                await self.reload()
            except StoreError as error:
                log.debug("grants not read", why=error.code)

    # ── questions ───────────────────────────────────────────────────────────────────────────────────────────────

    def permission_on(self, who: Principal, account: Account) -> Permission | None:
        """What they may do with the shop; ``None``: not even know that there is one."""
        if not who.covers(account.id):
            return None
        if account.owner_id == who.id:
            return who.most
        grant = self._grants.get(account.id, {}).get(who.id)
        return min(grant.permission, who.most) if grant is not None and grant.is_for(account) else None

    def require(self, who: Principal, account_id: str, permission: Permission) -> Account:
        """The account, with which they may do that. Raises ``UnknownAccount`` (also when it is none of theirs), or
        ``Forbidden`` (``permission_missing``) when they may see it and no more.
        """
        account = self._accounts.get(account_id)
        if account is None:
            raise UnknownAccount(account_id)
        self.check(who, account, permission)
        return account

    def check(self, who: Principal, account: Account, permission: Permission) -> None:
        """The same, of an account that was found."""
        given = self.permission_on(who, account)
        if given is None:
            raise UnknownAccount(account.id)
        if given < permission:
            raise permission_missing(permission, given, by_token=who.token is not None and who.most < permission)

    def accounts_of(self, who: Principal, permission: Permission = Permission.READ) -> list[Account]:
        """The shops with which they may do that, oldest first."""
        mine = (account for account in self._accounts.values() if (self.permission_on(who, account) or 0) >= permission)
        return sorted(mine, key=lambda account: (account.created_at_ms, account.id))

    def may_see(self, who: Principal, account_id: str, owner_id: int, at_ms: int | None = None) -> bool:
        """Whether what happened to an account of that owner (then) is for them. The account may be gone by now."""
        if not who.covers(account_id):
            return False
        if owner_id == who.id:
            return True
        account = self._accounts.get(account_id)
        if account is None:  # the news may be that it is gone
            return who.id in self._grants.get(account_id, {})
        is_of_an_earlier = account.owner_id != owner_id or (at_ms is not None and at_ms < account.created_at_ms)
        return not is_of_an_earlier and self.permission_on(who, account) is not None

    def may_see_entry(self, who: Principal, entry: JournalEntry) -> bool:
        """The same, of a change."""
        return self.may_see(who, entry.account_id, entry.owner_id, entry.at_ms)

    def shared_with(self, who: Principal) -> list[str]:
        """The ids of the shops of others that they may see."""
        return [account.id for account in self.accounts_of(who) if account.owner_id != who.id]

    def staff_of(self, account: Account) -> list[Grant]:
        """With whom the shop is shared, the longest first."""
        found = (grant for grant in self._grants.get(account.id, {}).values() if grant.is_for(account))
        return sorted(found, key=lambda grant: (grant.since_ms, grant.user_id))

    # ── changes ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def give(self, account: Account, user_id: int, permission: Permission, *, given_by: str) -> bool:
        """Let a person do that with a shop, instead of what they might before. False: nothing differed.

        Raises ``Conflict`` (``own_shop``, ``too_many_staff``), ``UnknownUser`` or ``UnknownAccount``
        when either is gone.
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
                raise UnknownUser("there is no such person")
            others = grants.c.account_id == account.id, grants.c.user_id != user_id
            if (connection.scalar(select(func.count()).where(*others)) or 0) >= MOST_STAFF:
                raise Conflict("the shop is shared with many", code="too_many_staff", limit=MOST_STAFF)
            fresh = {name: row[name] for name in ("access", "account_since_ms", "given_by")}
            statement = insert_or(connection, grants).values(**row)
            connection.execute(statement.on_conflict_do_update(index_elements=["account_id", "user_id"], set_=fresh))

        return await self._changed(account.id, job)

    async def take(self, account_id: str, user_id: int) -> bool:
        """Let a person do nothing more with a shop of somebody else. False: they might not before."""
        statement = delete(grants).where(grants.c.account_id == account_id, grants.c.user_id == user_id)
        return await self._changed(account_id, lambda connection: connection.execute(statement).rowcount)

    def forget_user(self, user_id: int) -> None:
        """Drop at once what a person who is being removed might do; the rows go with the person."""
        for people in self._grants.values():
            people.pop(user_id, None)
        self._events.publish(AccessChanged(user_id=user_id))

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _changed(self, account_id: str, job: Callable[[Connection], object]) -> bool:
        """Write, and take into memory what stands then: also when the caller has gone meanwhile."""
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


_OF_THE_OWNER = SECRET_FIELDS | {"cookie_version", "deleted", "owner_id", "unb"}


def permission_to_change(fields: Iterable[str]) -> Permission:
    """What one must be allowed to change those fields of an account."""
    return Permission.OPERATE if _OF_THE_OWNER.isdisjoint(fields) else Permission.OWN


def permission_missing(permission: Permission, given: Permission, *, by_token: bool = False) -> Forbidden:
    """The refusal of who may do less than is asked. ``by_token``: it is the token that may not."""
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

"""Links that can be used once: an invitation of a new user, or a new password for an existing one.

The token of a link is shown once and stored as its hash. The first administrator's set-up link is of the second kind. A
link ends when it is used, revoked or too old, or when its maker is no longer an active administrator. A link for a
password also ends when its user signs in with the old password, or changes it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, FromClause, RowMapping, Select, delete, or_, select, update

from shoal.auth.grant_rows import MOST_STAFF, living_accounts, number_of_staff
from shoal.auth.passwords import Passwords
from shoal.auth.permission import Permission
from shoal.auth.sessions import HOUR_MS, token_hash
from shoal.auth.user_replica import UserStore
from shoal.auth.users import Role, User, add_user, checked_email, checked_name, find_user, replace_password
from shoal.clock import now_ms, present_clock
from shoal.errors import UnknownUser
from shoal.storage.idempotency_keys import Also, nothing
from shoal.storage.user_tables import grants, invitations, users

MOST_INVITED_SHOPS: Final = 1_000
"""How many accounts an invitation may name."""


class InvitedShop(msgspec.Struct, frozen=True, array_like=True):
    """One account, since when it exists, and the word of the permission that the new user gets on it."""

    account_id: str
    account_since_ms: int
    permission: str


def stored_shops(shops: Sequence[InvitedShop]) -> str | None:
    """Return the accounts as the row of an invitation has them."""
    return msgspec.json.encode(shops).decode() if shops else None


def shops_of(stored: str | None) -> tuple[InvitedShop, ...]:
    """Return the accounts in the row of an invitation."""
    return msgspec.json.decode(stored, type=tuple[InvitedShop, ...]) if stored else ()


def still_given(connection: Connection, shops: Sequence[InvitedShop], owner_id: int | None) -> list[InvitedShop]:
    """Return those of the accounts that exist, still belong to this user, and may be shared with one more."""
    names = [shop.account_id for shop in shops]
    living, staff = living_accounts(connection, names), number_of_staff(connection, names)
    return [
        shop
        for shop in shops
        if living.get(shop.account_id) == (shop.account_since_ms, owner_id)
        and staff.get(shop.account_id, 0) < MOST_STAFF
    ]


def give_shops(
    connection: Connection, shops: Iterable[InvitedShop], user_id: int, *, given_by: str, now_ms: int
) -> None:
    """Share the accounts with a user who was added in the same transaction."""
    rows: list[dict[str, Any]] = [
        {
            "account_id": shop.account_id,
            "user_id": user_id,
            "access": Permission.of(shop.permission).word,
            "account_since_ms": shop.account_since_ms,
            "since_ms": now_ms,
            "given_by": given_by,
        }
        for shop in shops
    ]
    if rows:
        connection.execute(grants.insert(), rows)


_KEPT_MS: Final = 30 * 24 * HOUR_MS
"""How long a link that has ended stays in the list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Invitation:
    """One link. ``for_user_id``: the user whose password it sets; ``None`` for a new user, who gets ``role``.

    ``shops``: the accounts that are shared with a new user, as far as they still belong to the maker then.
    """

    id: str
    role: str
    email: str | None
    for_user_id: int | None
    for_username: str | None
    maker_id: int | None
    invited_by: str | None
    used_by: str | None
    created_at_ms: int
    expires_at_ms: int
    used_at_ms: int | None
    shops: tuple[InvitedShop, ...] = ()


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """A link that was used, its user, and which of its accounts were shared with that user."""

    link: Invitation
    user: User
    shared: tuple[InvitedShop, ...]


class Invitations:
    """Makes, shows, uses and revokes links."""

    def __init__(self, database: UserStore, passwords: Passwords, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._passwords = passwords
        self._now_ms = now_ms

    async def invite(
        self,
        role: Role,
        *,
        hours: float,
        email: str | None = None,
        invited_by: int | None = None,
        shops: Sequence[InvitedShop] = (),
        also: Also = nothing,
    ) -> tuple[Invitation, str]:
        """Make a link for a new user; return it and its token, which is stored nowhere.

        ``also`` is done in the same transaction.

        Raises ``InvalidInput`` (``bad_email``).
        """
        values = {"role": role.value, "email": checked_email(email), "invited_by": invited_by}
        values["shops"] = stored_shops(shops)
        return await self._make(values, hours, also)

    async def password_link(
        self, user_id: int, *, hours: float, invited_by: int | None = None, also: Also = nothing
    ) -> tuple[Invitation, str]:
        """Make a link with which a user sets a new password; an earlier one ends. Raises ``UnknownUser``."""
        return await self._make({"for_user_id": user_id, "invited_by": invited_by}, hours, also)

    async def _make(self, values: dict[str, Any], hours: float, also: Also) -> tuple[Invitation, str]:
        token = secrets.token_urlsafe(32)
        now, may_delete = self._now_ms(), present_clock().is_sure
        row = {
            **values,
            "id": secrets.token_hex(8),
            "token_hash": token_hash(token),
            "created_at_ms": now,
            "expires_at_ms": now + int(hours * HOUR_MS),
        }
        user_id = values.get("for_user_id")

        def job(connection: Connection) -> Invitation:
            also(connection)
            if user_id is not None:
                if connection.scalar(select(users.c.id).where(users.c.id == user_id, ~users.c.leaving)) is None:
                    raise UnknownUser("there is no such user")
                connection.execute(delete(invitations).where(invitations.c.for_user_id == user_id))
            if may_delete:
                connection.execute(delete(invitations).where(invitations.c.expires_at_ms <= now - _KEPT_MS))
            connection.execute(invitations.insert().values(**row))
            return _invitation(connection.execute(_query(invitations.c.id == row["id"])).mappings().one())

        return await self._database.write(job), token

    async def everything(self) -> list[Invitation]:
        """Return every link of the last weeks, newest first."""
        query = _query().order_by(invitations.c.created_at_ms.desc(), invitations.c.id)
        return await self._database.read(
            lambda connection: [_invitation(row) for row in connection.execute(query).mappings()]
        )

    async def revoke(self, invitation_id: str) -> Invitation:
        """Revoke a link that was not used. Raises ``UnknownUser`` when there is none."""

        def job(connection: Connection) -> Invitation:
            which = [invitations.c.id == invitation_id, invitations.c.used_at_ms.is_(None)]
            row = connection.execute(_query(*which)).mappings().first()
            if row is None or connection.execute(delete(invitations).where(*which)).rowcount != 1:
                raise UnknownUser("there is no such invitation", code="unknown_invitation")
            return _invitation(row)

        return await self._database.write(job)

    async def look(self, token: str) -> Invitation:
        """Return what a link is for.

        Raises ``UnknownUser`` (``unknown_invitation``) when it has ended or never existed.
        """
        query = _query(*self._open(token))
        row = await self._database.read(lambda connection: connection.execute(query).mappings().first())
        if row is None:
            raise UnknownUser("this link is over", code="unknown_invitation")
        return _invitation(row)

    async def use(
        self,
        token: str,
        *,
        username: str,
        password: str,
        email: str | None = None,
        shared: Callable[[], object] = lambda: None,
    ) -> Used:
        """Add the new user and share the link's accounts, or set the new password, in one transaction.

        When two requests use one link, only one of them succeeds. An account that was removed, or went to another
        owner, since the link was made is not shared. ``shared`` is called when accounts were shared or may have been,
        also when the caller is cancelled. ``username`` and ``email`` count for a new user only. Raises as ``look``, and
        as ``Users.create``; the link then stays usable.
        """
        link = await self.look(token)
        name = link.for_username or checked_name(username)
        address = checked_email(email) or link.email
        hashed = await self._passwords.new(password, about=(name, address))
        now = self._now_ms()

        def job(connection: Connection) -> Used:
            given: list[InvitedShop] = []
            used = update(invitations).where(*self._open(token)).values(used_at_ms=now)
            if connection.execute(used).rowcount != 1:
                raise UnknownUser("this link is over", code="unknown_invitation")
            if link.for_user_id is not None:
                replace_password(connection, link.for_user_id, hashed, now_ms=now)
                user_id = link.for_user_id
            else:
                user_id = add_user(
                    connection, name=name, email=address, role=Role(link.role), password_hash=hashed, now_ms=now
                ).id
                given = _share(connection, link.id, user_id, now)
            mark = update(invitations).where(invitations.c.id == link.id).values(used_by=user_id)
            connection.execute(mark)
            return Used(link=link, user=find_user(connection, user_id), shared=tuple(given))

        try:
            return await self._database.write(job)
        finally:
            if link.shops:
                shared()

    def _open(self, token: str) -> list[Any]:
        """Return the conditions under which a token's link is usable.

        A link for a user works only while the user is active.
        """
        return [
            invitations.c.token_hash == token_hash(token),
            invitations.c.used_at_ms.is_(None),
            invitations.c.expires_at_ms > self._now_ms(),
            or_(
                invitations.c.for_user_id.is_(None),
                invitations.c.for_user_id.in_(select(users.c.id).where(users.c.active)),
            ),
            or_(
                invitations.c.invited_by.is_(None),
                invitations.c.invited_by.in_(
                    select(users.c.id).where(users.c.active, users.c.role == Role.ADMIN.value)
                ),
            ),
        ]


_NAMES: Final = {"for_username": "for_user_id", "invited_by": "invited_by", "used_by": "used_by"}
"""Fields that show a user by name, and the columns with their ids."""


def _query(*where: Any) -> Select[Any]:
    joined: FromClause = invitations
    columns: list[ColumnElement[Any]] = [
        invitations.c[entry.name] for entry in fields(Invitation) if entry.name not in {*_NAMES, "maker_id"}
    ]
    columns.append(invitations.c.invited_by.label("maker_id"))
    for name, column in _NAMES.items():
        somebody = users.alias(name)
        joined = joined.outerjoin(somebody, somebody.c.id == invitations.c[column])
        columns.append(somebody.c.username.label(name))
    return select(*columns).select_from(joined).where(*where)


def _invitation(row: RowMapping) -> Invitation:
    values = {entry.name: row[entry.name] for entry in fields(Invitation)}
    return Invitation(**values | {"shops": shops_of(values["shops"])})


def _share(connection: Connection, invitation_id: str, user_id: int, now_ms: int) -> list[InvitedShop]:
    """Share the accounts of an invitation with its new user, as far as its maker still owns them."""
    makers = users.alias("makers")
    joined = invitations.outerjoin(makers, makers.c.id == invitations.c.invited_by)
    query = select(invitations.c.shops, invitations.c.invited_by, makers.c.username).select_from(joined)
    stored, owner_id, maker = connection.execute(query.where(invitations.c.id == invitation_id)).one()
    shops = still_given(connection, shops_of(stored), owner_id)
    give_shops(connection, shops, user_id, given_by=f"user:{maker}", now_ms=now_ms)
    return shops

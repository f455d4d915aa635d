"""The users who may sign in. Only the hash of a password is stored."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, RowMapping, delete, exists, func, select, update

from shoal.auth.passwords import Passwords, made_up_password
from shoal.auth.user_replica import UserStore
from shoal.clock import now_ms
from shoal.errors import Conflict, InvalidInput, NotApplied, StoreError, UnknownUser
from shoal.language.folding import folded, seen
from shoal.storage.idempotency_keys import Also, nothing
from shoal.storage.schema import accounts
from shoal.storage.user_tables import api_tokens, invitations, sessions, users

ADMIN_NAME: Final = "admin"
MAX_NAME_CHARACTERS: Final = 64
MAX_EMAIL_CHARACTERS: Final = 254
_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+")


class Role(StrEnum):
    """What a user may do."""

    ADMIN = "admin"
    """The same as an owner, and also manages users and the server."""
    OWNER = "owner"
    """Everything, for the user's own accounts."""
    STAFF = "staff"
    """Owns no account; does what is allowed on accounts shared with the user."""


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """One user, without the password's hash. ``leaving``: being removed, together with their accounts."""

    id: int
    username: str
    email: str | None
    role: Role
    active: bool
    created_at_ms: int
    updated_at_ms: int
    leaving: bool
    has_totp: bool
    signed_in_at_ms: int | None


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """A user who has just proved the password, and the hash of it."""

    user: User
    password_hash: str


class Users:
    """Finds, adds, changes and removes users."""

    def __init__(self, database: UserStore, passwords: Passwords, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._passwords = passwords
        self._now_ms = now_ms

    async def create(
        self, username: str, password: str, *, role: Role = Role.OWNER, email: str | None = None, also: Also = nothing
    ) -> User:
        """Add a user, and do ``also`` in the same transaction.

        Raises ``Conflict`` (``username_taken``, ``email_taken``) and ``InvalidInput`` (``bad_username``, ``bad_email``,
        ``bad_password``, ``weak_password``).
        """
        name, address = checked_name(username), checked_email(email)
        hashed = await self._passwords.new(password, about=(name, address))

        def job(connection: Connection) -> User:
            also(connection)
            return add_user(
                connection, name=name, email=address, role=role, password_hash=hashed, now_ms=self._now_ms()
            )

        return await self._database.write(job)

    async def add_moved(
        self,
        name: str,
        *,
        email: str | None,
        active: bool,
        sha256: str,
        also: Callable[[Connection, User], None],
    ) -> User | None:
        """Add an owner who comes from another system; ``None`` if the name is here.

        ``sha256``: see ``Passwords.wrapped``; without one the user needs a link. An address that another user has is
        left out. ``also`` is called in the same transaction.
        """
        hashed = await (self._passwords.wrapped(sha256) if sha256 else self._passwords.unknown())

        def job(connection: Connection) -> User | None:
            if connection.scalar(select(users.c.id).where(users.c.name_key == folded(name))) is not None:
                return None
            taken = (
                email is not None and connection.scalar(select(users.c.id).where(users.c.email == email)) is not None
            )
            made = add_user(
                connection,
                name=name,
                email=None if taken else email,
                role=Role.OWNER,
                password_hash=hashed,
                now_ms=self._now_ms(),
            )
            if not active:
                connection.execute(update(users).where(users.c.id == made.id).values(active=False))
            also(connection, made)
            return made

        return await self._database.write(job)

    async def get(self, user_id: int) -> User | None:
        """Return one user by id."""
        return await self._one(users.c.id == user_id)

    async def by_name(self, username: str) -> User | None:
        """Return one user by user name, typed in any case and width."""
        return await self._one(users.c.name_key == folded(username.strip()))

    async def by_email(self, email: str) -> User | None:
        """Return one user by e-mail address."""
        return await self._one(users.c.email == _email(email))

    async def list_users(self) -> list[User]:
        """Return all users, by id."""
        query = select(*USER_COLUMNS).order_by(users.c.id)
        return await self._database.read(
            lambda connection: [user_of(row) for row in connection.execute(query).mappings()]
        )

    async def verify(self, name: str, password: str) -> User | None:
        """Return the active user with that user name (or e-mail) and password. Takes as long for an unknown name."""
        proof = await self.prove(name, password)
        return None if proof is None else proof.user

    async def prove(self, name: str, password: str) -> Proof | None:
        """Verify as ``verify``; also return the proved hash, so that no session opens if it was replaced since."""
        found = users.c.email == _email(name) if "@" in name else users.c.name_key == folded(name.strip())
        query = select(users.c.password_hash, *USER_COLUMNS).where(found)
        row = await self._database.read(lambda connection: connection.execute(query).mappings().first())
        stored = None if row is None else row["password_hash"]
        if not await self._passwords.matches(stored, password) or row is None or not row["active"]:
            return None
        user = user_of(row)
        return Proof(user=user, password_hash=await self._as_strong_as_today(user.id, row["password_hash"], password))

    async def _as_strong_as_today(self, user_id: int, stored: str, password: str) -> str:
        renewed = await self._passwords.renewed(stored, password)
        if renewed is None:
            return stored
        statement = update(users).where(users.c.id == user_id, users.c.password_hash == stored)
        try:
            replaced = await self._database.write(
                lambda connection: connection.execute(statement.values(password_hash=renewed)).rowcount
            )
        except StoreError:  # a failed renewal must not stop the sign-in
            return stored
        return renewed if replaced else stored

    async def set_password(self, user_id: int, password: str, *, keep_session: str = "") -> bool:
        """Replace a password; end every session of the user except the one with the hash ``keep_session``.

        Links to set another password end too. Raises as ``create``. False: there is no such user.
        """
        user = await self.get(user_id)
        if user is None:
            return False
        hashed = await self._passwords.new(password, about=(user.username, user.email))
        return await self._database.write(
            lambda connection: replace_password(
                connection, user_id, hashed, now_ms=self._now_ms(), keep_session=keep_session
            )
        )

    async def update(self, user_id: int, values: Mapping[str, Any]) -> User:
        """Change some of ``role``, ``active`` and ``email``. Deactivating ends the sessions and the API tokens.

        Raises ``UnknownUser``, ``InvalidInput`` (``bad_email``) and ``Conflict``: ``email_taken``, ``last_admin`` when
        no active administrator would be left, ``person_leaving`` when the user is being removed, ``owns_shops`` when
        the user would become staff but owns accounts.
        """
        changes = dict(values)
        if "email" in changes:
            changes["email"] = checked_email(changes["email"])
        if "role" in changes:
            changes["role"] = Role(changes["role"]).value

        def job(connection: Connection) -> User:
            before = find_user(connection, user_id)
            if before.leaving:
                raise Conflict("that user is being removed", code="person_leaving")
            _check_free(connection, email=changes.get("email"), but=user_id)
            if changes.get("role") == Role.STAFF:
                _check_owns_nothing(connection, user_id)
            if changes.get("active") is False or changes.get("role", Role.ADMIN) != Role.ADMIN:
                _check_not_last_admin(connection, before)
            statement = update(users).where(users.c.id == user_id)
            connection.execute(statement.values(**changes, updated_at_ms=self._now_ms()))
            if changes.get("active") is False:
                connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
            if changes.get("active") is False or not before.active:  # a reactivated user makes new tokens
                connection.execute(delete(api_tokens).where(api_tokens.c.user_id == user_id))
            return find_user(connection, user_id)

        return await self._database.write(job)

    async def check_may_leave(self, user_id: int) -> User:
        """Return the user if removal is allowed. Raises as ``begin_leaving``."""

        def job(connection: Connection) -> User:
            user = find_user(connection, user_id)
            _check_not_last_admin(connection, user, locked=False)
            return user

        return await self._database.read(job)

    async def begin_leaving(self, user_id: int) -> User:
        """Block all sign-ins of a user who is to be removed. Repeating it is harmless.

        Raises ``UnknownUser`` and ``Conflict`` (``last_admin``).
        """

        def job(connection: Connection) -> User:
            before = find_user(connection, user_id)
            _check_not_last_admin(connection, before)
            statement = update(users).where(users.c.id == user_id)
            connection.execute(statement.values(active=False, leaving=True, updated_at_ms=self._now_ms()))
            connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
            return find_user(connection, user_id)

        return await self._database.write(job)

    async def remove(self, user_id: int) -> bool:
        """Delete a user and every row that refers to the user; the accounts must be removed before.

        False: no such user. Raises ``NotApplied`` while there is an account of the user, which another node may have
        added a moment ago.
        """
        owned = exists().where(accounts.c.owner_id == user_id, ~accounts.c.deleted)

        def job(connection: Connection) -> bool:
            if connection.scalar(select(owned)):
                raise NotApplied("the user still has a shop")
            return connection.execute(delete(users).where(users.c.id == user_id)).rowcount == 1

        return await self._database.write(job)

    async def ensure_admin(self, password: str | None = None) -> str | None:
        """Add ``admin`` to an empty table, with that password or a random one; return the password, shown only this
        once.

        ``None`` when there are users already. Raises ``InvalidInput`` when the password is too easy to guess.
        """
        if await self._database.read(lambda connection: connection.scalar(select(func.count()).select_from(users))):
            return None
        chosen = password or made_up_password()
        try:
            await self.create(ADMIN_NAME, chosen, role=Role.ADMIN)
        except Conflict:  # another node was faster
            return None
        return chosen

    async def _one(self, where: Any) -> User | None:
        query = select(*USER_COLUMNS).where(where)
        row = await self._database.read(lambda connection: connection.execute(query).mappings().first())
        return None if row is None else user_of(row)


USER_COLUMNS = [
    users.c.totp_sealed.is_not(None).label("has_totp") if entry.name == "has_totp" else users.c[entry.name]
    for entry in fields(User)
]
"""The columns of a query that makes a ``User``."""


def user_of(row: RowMapping) -> User:
    """Return the user of a row with ``USER_COLUMNS``."""
    values = {entry.name: row[entry.name] for entry in fields(User)}
    return User(**{**values, "role": Role(row["role"]), "has_totp": bool(row["has_totp"])})


_NOT_IN_NAMES = frozenset("/\\?#%")
"""The same characters as in account ids: names are parts of paths."""


def checked_name(username: str) -> str:
    """Return a user name in the form in which it is shown. Raises ``InvalidInput`` (``bad_username``)."""
    name = unicodedata.normalize("NFKC", username).strip()
    if (
        not 1 <= len(name) <= MAX_NAME_CHARACTERS
        or "@" in name  # the @ marks an e-mail address
        or not _NOT_IN_NAMES.isdisjoint(name)
        or not name.isprintable()
        or seen(name) != name
        or not folded(name)
    ):
        raise InvalidInput("this user name cannot be used", code="bad_username")
    return name


def checked_email(email: str | None) -> str | None:
    """Return an e-mail address as it is stored; ``None`` for none. Raises ``InvalidInput`` (``bad_email``)."""
    address = _email(email)
    if address is not None and (len(address) > MAX_EMAIL_CHARACTERS or not _EMAIL.fullmatch(address)):
        raise InvalidInput("this is no e-mail address", code="bad_email", field="email")
    return address


def add_user(
    connection: Connection, *, name: str, email: str | None, role: Role, password_hash: str, now_ms: int
) -> User:
    """Add a user within the caller's transaction. Raises ``Conflict`` (``username_taken``, ``email_taken``)."""
    _check_free(connection, name=name, email=email)
    row = {
        "username": name,
        "name_key": folded(name),
        "email": email,
        "password_hash": password_hash,
        "role": role.value,
        "active": True,
        "created_at_ms": now_ms,
        "updated_at_ms": now_ms,
    }
    added = connection.execute(users.insert().values(**row).returning(*USER_COLUMNS)).mappings().one()
    return user_of(added)


def _check_owns_nothing(connection: Connection, user_id: int) -> None:
    shops = select(accounts.c.id).where(accounts.c.owner_id == user_id, ~accounts.c.deleted).order_by(accounts.c.id)
    if owned := list(connection.scalars(shops)):
        raise Conflict("staff own no shops", code="owns_shops", shops=owned)


def replace_password(
    connection: Connection, user_id: int, password_hash: str, *, now_ms: int, keep_session: str = ""
) -> bool:
    """Replace a password within the caller's transaction, and end what was opened with the old one.

    Without ``keep_session`` the caller did not use the old password (a link, a recovery): the user's API tokens end
    too, because a thief of the old password may have made some.
    """
    statement = update(users).where(users.c.id == user_id)
    changed = connection.execute(statement.values(password_hash=password_hash, updated_at_ms=now_ms)).rowcount
    connection.execute(delete(sessions).where(sessions.c.user_id == user_id, sessions.c.token_hash != keep_session))
    connection.execute(
        delete(invitations).where(invitations.c.for_user_id == user_id, invitations.c.used_at_ms.is_(None))
    )
    if not keep_session:
        connection.execute(delete(api_tokens).where(api_tokens.c.user_id == user_id))
    return changed == 1


def _email(email: str | None) -> str | None:
    return email.strip().lower() or None if email else None


def find_user(connection: Connection, user_id: int) -> User:
    """Return one user, within the caller's transaction. Raises ``UnknownUser``."""
    row = connection.execute(select(*USER_COLUMNS).where(users.c.id == user_id)).mappings().first()
    if row is None:
        raise UnknownUser("there is no such user")
    return user_of(row)


def _check_not_last_admin(connection: Connection, user: User, *, locked: bool = True) -> None:
    if user.role is not Role.ADMIN or not user.active:
        return
    others = select(users.c.id).where(users.c.id != user.id, users.c.role == Role.ADMIN.value, users.c.active)
    if locked:  # another node may remove that one at the same time
        others = others.with_for_update()
    if connection.execute(others).first() is None:
        raise Conflict("no other administrator is active", code="last_admin")


def _check_free(
    connection: Connection, *, name: str | None = None, email: str | None = None, but: int | None = None
) -> None:
    key = None if name is None else folded(name)
    for column, value, code in ((users.c.name_key, key, "username_taken"), (users.c.email, email, "email_taken")):
        if value is not None and connection.scalar(select(users.c.id).where(column == value)) not in {None, but}:
            raise Conflict("somebody else has that name or address", code=code)

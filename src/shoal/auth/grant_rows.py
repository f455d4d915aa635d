"""The rows that say what a user may do with another user's account, and how they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, Row, delete, exists, func, select

from shoal.accounts.account import Account
from shoal.auth.permission import Permission
from shoal.errors import Conflict, ShoalError, UnknownAccount, UnknownUser
from shoal.storage.among import among
from shoal.storage.schema import accounts
from shoal.storage.upserts import insert_or
from shoal.storage.user_tables import grants, users

MOST_STAFF: Final = 100
"""With how many users an account may be shared."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
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


class Wanted(msgspec.Struct, frozen=True):
    """What a user is to be allowed on an account; ``None``: nothing."""

    account: Account
    permission: Permission | None


def grant_of(row: Row[tuple[object, ...]]) -> Grant:
    """Return the grant of a row."""
    return Grant(
        account_id=row.account_id,
        user_id=row.user_id,
        permission=Permission.of(row.access),
        account_since_ms=row.account_since_ms,
        since_ms=row.since_ms,
        given_by=row.given_by,
    )


def write_grants(
    connection: Connection, user_id: int, wanted: Sequence[Wanted], *, now_ms: int, given_by: str
) -> dict[str, ShoalError]:
    """Write a user's grants on accounts that still exist. Return the errors of those that were not written.

    A user with a grant keeps the moment at which it was first given. Raises ``UnknownUser``.
    """
    if not connection.scalar(select(exists().where(users.c.id == user_id))):
        raise UnknownUser("there is no such user")
    given = [one for one in wanted if one.permission is not None]
    names = [one.account.id for one in given]
    living, staff = living_accounts(connection, names), number_of_staff(connection, names, without=user_id)
    refusals = {one.account.id: _refusal(one, user_id, living, staff) for one in given}
    failed = {name: error for name, error in refusals.items() if error is not None}
    rows = [
        {
            "account_id": one.account.id,
            "user_id": user_id,
            "access": one.permission.word,
            "account_since_ms": one.account.created_at_ms,
            "since_ms": now_ms,
            "given_by": given_by,
        }
        for one in given
        if one.permission is not None and one.account.id not in failed
    ]
    if rows:
        statement = insert_or(connection, grants)
        fresh = {name: statement.excluded[name] for name in ("access", "account_since_ms", "given_by")}
        connection.execute(statement.on_conflict_do_update(index_elements=["account_id", "user_id"], set_=fresh), rows)
    gone = [one.account.id for one in wanted if one.permission is None]
    if gone:
        connection.execute(delete(grants).where(grants.c.user_id == user_id, among(grants.c.account_id, gone)))
    return failed


def living_accounts(connection: Connection, account_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return since when each of these accounts exists, and whose it is; those that are gone are left out."""
    columns = accounts.c.id, accounts.c.created_at_ms, accounts.c.owner_id
    living = select(*columns).where(among(accounts.c.id, account_ids), ~accounts.c.deleted)
    return {name: (at, owner) for name, at, owner in connection.execute(living)}


def number_of_staff(
    connection: Connection, account_ids: Sequence[str], *, without: int | None = None
) -> dict[str, int]:
    """Return with how many users each of these accounts is shared, without that one user."""
    query = select(grants.c.account_id, func.count().label("number")).where(among(grants.c.account_id, account_ids))
    if without is not None:
        query = query.where(grants.c.user_id != without)
    return {row.account_id: row.number for row in connection.execute(query.group_by(grants.c.account_id))}


def _refusal(
    wanted: Wanted, user_id: int, living: Mapping[str, tuple[int, int]], staff: Mapping[str, int]
) -> ShoalError | None:
    """Return why a grant cannot be written, if so."""
    name = wanted.account.id
    since_ms, owner_id = living.get(name, (None, None))
    if since_ms != wanted.account.created_at_ms:
        return UnknownAccount(name)
    if owner_id == user_id:
        return Conflict("the owner needs no grant", code="own_shop")
    if staff.get(name, 0) >= MOST_STAFF:
        return Conflict("the shop is shared with many", code="too_many_staff", limit=MOST_STAFF)
    return None

"""The accounts that an invitation shares with the user who uses it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from shoal.auth.grant_rows import MOST_STAFF, living_accounts, number_of_staff
from shoal.auth.permission import Permission
from shoal.storage.user_tables import grants

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

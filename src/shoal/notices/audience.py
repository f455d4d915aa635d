"""Who is notified of an incident: the users whom it concerns, and those of their channels that ask for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, and_, bindparam, not_, select

from shoal.auth.users import Role
from shoal.notices.quiet_hours import QuietHours, quiet_hours_of
from shoal.storage.incident_kinds import POLICIES, IncidentKind, Level
from shoal.storage.notice_tables import channels, subscriptions
from shoal.storage.schema import accounts
from shoal.storage.user_tables import grants, users

_PRESENT = and_(users.c.active, not_(users.c.leaving))
_OF_ACCOUNT = and_(accounts.c.id == bindparam("account_id"), not_(accounts.c.deleted))
_OWNER = select(accounts.c.owner_id.label("user_id")).where(_OF_ACCOUNT)
_GRANTED = and_(grants.c.account_id == accounts.c.id, grants.c.account_since_ms == accounts.c.created_at_ms)
_STAFF = select(grants.c.user_id).join(accounts, _GRANTED).where(_OF_ACCOUNT)
_SEES_ACCOUNT = _OWNER.union(_STAFF)
_ADMINISTRATORS = select(users.c.id).where(users.c.role == Role.ADMIN.value, _PRESENT)
_CHANNELS: Final = (
    select(channels, subscriptions.c.kinds, subscriptions.c.accounts, subscriptions.c.tags)
    .join(users, users.c.id == channels.c.user_id)
    .join(subscriptions, subscriptions.c.channel_id == channels.c.id)
    .where(channels.c.active, _PRESENT)
    .order_by(channels.c.id, subscriptions.c.id)
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Subscription:
    """What a channel reports; an empty set does not limit. Tags are accounts too, once accounts have tags."""

    kinds: frozenset[str] = frozenset()
    accounts: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()

    def includes(self, kind: str, account_id: str | None) -> bool:
        """Return whether it includes that kind of incident of that account. ``None``: of no account."""
        if kind not in self.kinds and (self.kinds or POLICIES[IncidentKind(kind)].is_asked_for):
            return False
        return account_id in self.accounts if self.accounts or self.tags else True


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelToNotify:
    """A channel that is notified of an incident."""

    id: int
    quiet: QuietHours | None


def users_concerned(connection: Connection, account_id: str | None, user_id: int | None) -> set[int]:
    """Return the users whom an incident of that account, of that user or (with neither) of the server concerns."""
    if account_id is not None:
        return set(connection.scalars(_SEES_ACCOUNT, {"account_id": account_id}))
    return {user_id} if user_id is not None else set(connection.scalars(_ADMINISTRATORS))


def channels_to_notify(
    connection: Connection, kind: str, account_id: str | None, user_id: int | None
) -> list[ChannelToNotify]:
    """Return the channels that are notified of an incident, each once."""
    concerned = users_concerned(connection, account_id, user_id)
    found: dict[int, ChannelToNotify] = {}
    query = _CHANNELS.where(channels.c.user_id.in_(sorted(concerned)))
    for row in connection.execute(query).mappings() if concerned else ():
        if asks_for(row["least"], kind) and _subscription(row).includes(kind, account_id):
            found[row["id"]] = ChannelToNotify(id=row["id"], quiet=quiet_of(row))
    return list(found.values())


def asks_for(least: str, kind: str) -> bool:
    """Return whether a channel that is notified from a level on is notified of that kind."""
    return POLICIES[IncidentKind(kind)].level.rank >= Level(least).rank


def quiet_of(row: Any) -> QuietHours | None:
    """Return the quiet hours of a channel's row; none when they cannot be read: it is better to be notified."""
    try:
        return quiet_hours_of(row["quiet_from"], row["quiet_to"], row["quiet_zone"])
    except ValueError:
        return None


def _subscription(row: Any) -> Subscription:
    return Subscription(**{name: _listed(row[name]) for name in ("kinds", "accounts", "tags")})


def _listed(text: str) -> frozenset[str]:
    values: Iterable[str] = msgspec.json.decode(text, type=list[str]) if text else ()
    return frozenset(values)

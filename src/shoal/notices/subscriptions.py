"""What channels report, as rows. A channel without a row reports nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, delete, insert, select

from shoal.errors import InvalidInput
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.notice_tables import channels, subscriptions

MOST_OF_A_LIST: Final = 1_000
"""How many kinds or accounts a subscription may name."""
_LISTS: Final = ("kinds", "accounts", "tags")


@dataclass(frozen=True, kw_only=True, slots=True)
class Subscription:
    """What a channel reports. An empty list does not limit; with all of them empty, it reports everything.

    ``nothing``: it reports nothing, whatever the lists say.
    """

    kinds: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    nothing: bool = False

    def check(self) -> None:
        """Raise ``InvalidInput`` for what cannot be stored."""
        for kind in self.kinds:
            if kind not in list(IncidentKind):
                raise InvalidInput("there is no such kind", code="unknown_incident_kind", kind=kind[:40])
        if self.tags:
            raise InvalidInput("accounts have no tags", code="no_tags_yet")
        if max(len(self.kinds), len(self.accounts)) > MOST_OF_A_LIST:
            raise InvalidInput("a list is long", code="subscription_too_long", limit=MOST_OF_A_LIST)

    def covers(self, account_id: str) -> bool:
        """Return whether it reports incidents of that account."""
        return not self.nothing and (account_id in self.accounts or not self.accounts)

    def with_account(self, account_id: str) -> Subscription:
        """Return one that reports incidents of that account too."""
        if self.covers(account_id):
            return self
        return replace(self, accounts=(*self.accounts, account_id), nothing=False)

    def without_account(self, account_id: str, every: Collection[str]) -> Subscription:
        """Return one that reports none of that account. ``every``: the accounts of one without a limit."""
        left = tuple(one for one in self.accounts or tuple(every) if one != account_id)
        return replace(self, accounts=left, nothing=self.nothing or not left)


EVERYTHING: Final = Subscription()


def subscription_of(connection: Connection, channel_id: int) -> Subscription:
    """Return what a channel reports."""
    query = select(subscriptions).where(subscriptions.c.channel_id == channel_id).order_by(subscriptions.c.id)
    return _subscription(connection.execute(query).mappings().first())


def subscriptions_of(connection: Connection, user_id: int) -> dict[int, Subscription]:
    """Return what each channel of a user reports, by the channel's id."""
    query = (
        select(channels.c.id.label("of_channel"), subscriptions)
        .outerjoin(subscriptions, subscriptions.c.channel_id == channels.c.id)
        .where(channels.c.user_id == user_id)
        .order_by(channels.c.id)
    )
    rows = connection.execute(query).mappings()
    return {row["of_channel"]: _subscription(row if row["id"] is not None else None) for row in rows}


def set_subscription(connection: Connection, channel_id: int, wanted: Subscription) -> None:
    """Set what a channel reports."""
    connection.execute(delete(subscriptions).where(subscriptions.c.channel_id == channel_id))
    if not wanted.nothing:
        lists = {name: _text(getattr(wanted, name)) for name in _LISTS}
        connection.execute(insert(subscriptions).values(channel_id=channel_id, **lists))


def _subscription(row: Any) -> Subscription:
    if row is None:
        return Subscription(nothing=True)
    kinds, accounts, tags = (_list(row[name]) for name in _LISTS)
    return Subscription(kinds=kinds, accounts=accounts, tags=tags)


def _text(names: tuple[str, ...]) -> str:
    return msgspec.json.encode(sorted(set(names))).decode() if names else ""


def _list(text: str) -> tuple[str, ...]:
    return tuple(msgspec.json.decode(text, type=list[str])) if text else ()

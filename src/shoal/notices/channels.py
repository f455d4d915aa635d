"""Channels: where a user is notified of incidents, and of which. The address is sealed and never shown again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from zoneinfo import available_timezones

import msgspec
from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from shoal.clock import now_ms
from shoal.errors import Conflict, InvalidInput, NotFound, StaleGeneration, StoreError
from shoal.notices.quiet_hours import quiet_hours_of
from shoal.notices.services import SERVICES, Fields, Service, service_of
from shoal.notices.subscriptions import EVERYTHING, Subscription, set_subscription, subscription_of, subscriptions_of
from shoal.notices.transport import Level
from shoal.storage.database import Database
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, channel_subject, close_incidents, open_incidents
from shoal.storage.notice_tables import channels
from shoal.storage.vault import Vault

MAX_CHANNELS: Final = 20
"""How many channels one user may have."""
MOST_NAME: Final = 80
GONE: Final = "gone"
"""Why a channel is off: its service answered that the address is no more."""
_COLUMN: Final = "channels.address"
_COLUMNS: Final = [column for column in channels.c if column.name != "address_sealed"]


class UnknownChannel(NotFound):
    """There is no such channel, or it belongs to another user (the answer is the same)."""

    code = "unknown_channel"


class Quiet(msgspec.Struct, frozen=True, kw_only=True):
    """The hours in which notices wait for their end, as they are stored: ``HH:MM`` in a time zone."""

    start: str
    end: str
    zone: str

    def check(self) -> None:
        """Raise ``InvalidInput`` for times or a zone that there are not."""
        try:
            known = quiet_hours_of(self.start, self.end, self.zone)
        except (ValueError, KeyError):  # no time of a day, no zone
            known = None
        if known is None or self.zone not in available_timezones():
            raise InvalidInput("these are no quiet hours", code="bad_quiet_hours")


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """One channel, without its address. ``buyer_words``: its notices may quote buyers.

    ``off_reason``: why the server itself switched it off.
    """

    id: int
    user_id: int
    name: str
    service: str
    language: str = "zh"
    quiet: Quiet | None = None
    least: Level = Level.INFO
    buyer_words: bool = False
    active: bool = True
    off_reason: str = ""
    version: int = 1
    created_at_ms: int = 0
    changed_at_ms: int = 0

    def check(self) -> None:
        """Raise ``InvalidInput`` for what cannot be stored."""
        if not self.name or len(self.name) > MOST_NAME:
            raise InvalidInput("a channel has a name", code="bad_channel_name", limit=MOST_NAME, field="name")
        if self.quiet is not None:
            self.quiet.check()


class ChannelStore:
    """Reads and changes the channels of every user."""

    def __init__(self, database: Database, vault: Vault, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._vault = vault
        self._now_ms = now_ms

    async def list(self, user_id: int) -> list[Channel]:
        """Return the channels of a user, in the order in which they were made."""
        query = select(*_COLUMNS).where(channels.c.user_id == user_id).order_by(channels.c.id)
        rows = await self._database.read(lambda connection: connection.execute(query).mappings().all())
        return [_channel(row) for row in rows]

    async def get(self, user_id: int, channel_id: int) -> Channel:
        """Return a channel of the user. Raises ``UnknownChannel``."""
        return await self._database.read(lambda connection: _of(connection, user_id, channel_id))

    async def opened(self, channel_id: int) -> tuple[Channel, Service, Fields] | None:
        """Return a channel with what its service needs; ``None`` when it is gone.

        Raises ``StoreError`` when its address cannot be opened.
        """
        query = select(channels).where(channels.c.id == channel_id)
        row = await self._database.read(lambda connection: connection.execute(query).mappings().one_or_none())
        if row is None:
            return None
        text = self._vault.open(row["address_sealed"], column=_COLUMN, user_id=row["user_id"])
        if row["service"] not in SERVICES:
            raise StoreError(f"channel {channel_id} is of a service that is not known", code="unreadable_secret")
        fields: dict[str, str] = msgspec.json.decode(text)
        return _channel(row), SERVICES[row["service"]], fields

    async def create(
        self,
        user_id: int,
        service: str,
        fields: Fields,
        values: Mapping[str, Any],
        *,
        subscription: Subscription = EVERYTHING,
        also: Callable[[Connection, Channel], object] | None = None,
    ) -> Channel:
        """Add a channel; ``also`` is called in the same transaction.

        Raises ``InvalidInput``, and ``Conflict`` (``too_many_channels``).
        """
        kept = service_of(service).checked(fields)
        now = self._now_ms()
        new = _named(Channel(id=0, user_id=user_id, service=service, created_at_ms=now, changed_at_ms=now, **values))
        row = {**_row(new), "address_sealed": self._sealed(user_id, kept)}

        def job(connection: Connection) -> Channel:
            mine = select(func.count()).where(channels.c.user_id == user_id)
            if (connection.scalar(mine) or 0) >= MAX_CHANNELS:
                raise Conflict("the user has many channels", code="too_many_channels", limit=MAX_CHANNELS)
            made = connection.execute(insert(channels).values(row)).inserted_primary_key
            fresh = replace(new, id=int(made[0]))  # type: ignore[index]  # an INSERT of one row has a key
            set_subscription(connection, fresh.id, subscription)
            if also is not None:
                also(connection, fresh)
            return fresh

        return await self._database.write(job)

    async def change(
        self,
        user_id: int,
        channel_id: int,
        values: Mapping[str, Any],
        *,
        fields: Fields | None = None,
        versions: frozenset[int] | None = None,
    ) -> Channel:
        """Change a channel. ``fields`` replaces the whole address; ``versions``: it must have one of these.

        Raises ``UnknownChannel``, ``InvalidInput`` and ``StaleGeneration``.
        """
        now = self._now_ms()

        def job(connection: Connection) -> Channel:
            before = _of(connection, user_id, channel_id, lock=True)
            if versions is not None and before.version not in versions:
                raise StaleGeneration(f"channel {channel_id} is at version {before.version}", id=str(channel_id))
            after = _named(replace(before, **values))
            address = {}
            if fields is not None:
                address = {"address_sealed": self._sealed(user_id, service_of(before.service).checked(fields))}
            if after == before and not address:
                return before
            after = replace(after, version=before.version + 1, changed_at_ms=now)
            if before.off_reason and after.active:
                after = replace(after, off_reason="")
                _no_longer_ended(connection, channel_id, now)
            mine = channels.c.id == channel_id
            connection.execute(update(channels).where(mine).values({**_row(after), **address}))
            return after

        return await self._database.write(job)

    async def remove(self, user_id: int, channel_id: int) -> Channel:
        """Remove a channel with its subscriptions and notices. Raises ``UnknownChannel``."""
        now = self._now_ms()

        def job(connection: Connection) -> Channel:
            before = _of(connection, user_id, channel_id, lock=True)
            connection.execute(delete(channels).where(channels.c.id == channel_id))
            if before.off_reason:
                _no_longer_ended(connection, channel_id, now)
            return before

        return await self._database.write(job)

    async def end(self, known: Channel) -> None:
        """Switch off a channel that its service ended, and open the incident that says so.

        One that was changed since it was read stays as it is: it has another address.
        """
        now = self._now_ms()
        as_known = (channels.c.id == known.id, channels.c.version == known.version, channels.c.active)
        off = {"active": False, "off_reason": GONE, "version": known.version + 1, "changed_at_ms": now}

        def job(connection: Connection) -> None:
            if not connection.execute(update(channels).where(*as_known).values(off)).rowcount:
                return
            opening = Opening(
                subject=channel_subject(known.id),
                kind=IncidentKind.CHANNEL_ENDED,
                at_ms=now,
                user_id=known.user_id,
                facts={"channel": known.name},
            )
            open_incidents(connection, [opening])

        await self._database.write(job)

    async def subscription(self, channel_id: int) -> Subscription:
        """Return what a channel reports."""
        return await self._database.read(lambda connection: subscription_of(connection, channel_id))

    async def subscriptions(self, user_id: int) -> dict[int, Subscription]:
        """Return what each channel of a user reports, by the channel's id."""
        return await self._database.read(lambda connection: subscriptions_of(connection, user_id))

    async def subscribe(
        self, user_id: int, channel_id: int, edit: Callable[[Subscription], Subscription]
    ) -> tuple[Channel, Subscription]:
        """Change what a channel reports; return the channel and that. Raises ``UnknownChannel``, ``InvalidInput``."""

        def job(connection: Connection) -> tuple[Channel, Subscription]:
            channel = _of(connection, user_id, channel_id, lock=True)
            before = subscription_of(connection, channel_id)
            after = edit(before)
            after.check()
            if after != before:
                set_subscription(connection, channel_id, after)
            return channel, after

        return await self._database.write(job)

    def _sealed(self, user_id: int, fields: Fields) -> bytes:
        return self._vault.seal(msgspec.json.encode(dict(fields)).decode(), column=_COLUMN, user_id=user_id)


def _no_longer_ended(connection: Connection, channel_id: int, now_ms: int) -> None:
    close_incidents(connection, [channel_subject(channel_id)], [IncidentKind.CHANNEL_ENDED], now_ms)


def _named(channel: Channel) -> Channel:
    channel = replace(channel, name=channel.name.strip())
    channel.check()
    return channel


def _of(connection: Connection, user_id: int, channel_id: int, *, lock: bool = False) -> Channel:
    query = select(*_COLUMNS).where(channels.c.id == channel_id, channels.c.user_id == user_id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise UnknownChannel
    return _channel(row)


_PLAIN: Final = (
    *("name", "service", "language", "buyer_words", "active", "off_reason", "version"),
    *("created_at_ms", "changed_at_ms"),
)


def _row(channel: Channel) -> dict[str, Any]:
    quiet = channel.quiet or Quiet(start="", end="", zone="")
    return {
        **{name: getattr(channel, name) for name in _PLAIN},
        "user_id": channel.user_id,
        "least": channel.least.value,
        "quiet_from": quiet.start,
        "quiet_to": quiet.end,
        "quiet_zone": quiet.zone,
    }


def _channel(row: RowMapping) -> Channel:
    quiet = Quiet(start=row["quiet_from"], end=row["quiet_to"], zone=row["quiet_zone"]) if row["quiet_from"] else None
    plain = {name: row[name] for name in _PLAIN}
    for name in ("buyer_words", "active"):
        plain[name] = bool(plain[name])
    return Channel(id=row["id"], user_id=row["user_id"], quiet=quiet, least=Level(row["least"]), **plain)

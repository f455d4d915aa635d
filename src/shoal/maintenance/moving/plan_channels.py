"""Plans channels: those of services that are known here, off."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection
from typing import Any

from shoal.errors import InvalidInput
from shoal.maintenance.moving.old_shop import Fate, OldChannel, OldShop
from shoal.maintenance.moving.plan import Here, Kind, NewChannel, Tally, WasOn
from shoal.maintenance.moving.plan_users import Owners
from shoal.notices.channels import MAX_CHANNELS, MOST_NAME
from shoal.notices.old_channels import fields_of_old


def plan_channels(
    old: OldShop, here: Here, owners: Owners, tally: Tally, taken: Collection[str]
) -> tuple[tuple[NewChannel, ...], tuple[WasOn, ...]]:
    """Return the channels to add, and those that were on. ``taken``: the ids of the accounts that are here."""
    found: list[NewChannel] = []
    was_on: list[WasOn] = []
    per_owner: Counter[str] = Counter()
    for channel in old.channels:
        owner, _ = owners.of(channel.user_id)
        if owner is None:
            _skip(channel, tally, "row_of_other_user")
            continue
        key = key_of(channel)
        if here.knows(owner, Kind.CHANNELS, key):
            tally.count(Kind.CHANNELS, Fate.KNOWN)
            if channel.is_on and here.id_of(owner, Kind.CHANNELS, key) in here.new_channels:
                was_on.append(WasOn(kind=Kind.CHANNELS, id=key, name=channel.name, owner=owner))
            continue
        user = here.users.get(owner)
        there = 0 if user is None else here.channels_of.get(user.id, 0)
        if there + per_owner[owner] >= MAX_CHANNELS:
            _skip(channel, tally, "too_many_channels", limit=MAX_CHANNELS)
            continue
        made = _channel(channel, key, owner, tally, taken)
        if made is not None:
            per_owner[owner] += 1
            found.append(made)
            if channel.is_on:
                was_on.append(WasOn(kind=Kind.CHANNELS, id=key, name=made.name, owner=owner))
    return tuple(found), tuple(was_on)


def _channel(channel: OldChannel, key: str, owner: str, tally: Tally, taken: Collection[str]) -> NewChannel | None:
    try:
        service, fields = fields_of_old(channel.kind, channel.config)
        checked = service.checked(fields)
    except InvalidInput as error:
        _skip(channel, tally, "channel_refused", problem=error.code, **error.params)
        return None
    name = channel.name.strip()[:MOST_NAME] or service.name
    ids = tuple(one for one in channel.account_ids if one in taken)
    fate = Fate.TAKEN
    if name != channel.name:
        fate = Fate.CHANGED
        tally.note("notification_channels", _label(channel), "channel_renamed", fate, name=name)
    if not ids:
        fate = Fate.CHANGED
        tally.note("notification_channels", _label(channel), "channel_tells_nothing", fate, name=name)
    tally.count(Kind.CHANNELS, fate)
    return NewChannel(key=key, owner=owner, name=name, service=service.name, fields=dict(checked), account_ids=ids)


def key_of(channel: OldChannel) -> str:
    """Return what distinguishes a channel from all others of its owner."""
    identity = "\n".join((channel.id, channel.kind, channel.created_at or channel.name))
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def _skip(channel: OldChannel, tally: Tally, code: str, **params: Any) -> None:
    tally.skip(Kind.CHANNELS, "notification_channels", _label(channel), code, **params)


def _label(channel: OldChannel) -> str:
    return f"id={channel.id} {channel.name[:40]}".strip()

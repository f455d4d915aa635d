"""The entries of the audit log as they are stored and read: the kinds of events, their rows, and who may read which."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field, fields
from enum import StrEnum
from ipaddress import ip_address, ip_network
from secrets import token_hex
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, or_, select, tuple_

from shoal.auth.users import USER_COLUMNS, User, user_of
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, open_incidents
from shoal.storage.upserts import insert_or
from shoal.storage.user_tables import audit_entries, users

OK = "ok"
REFUSED = "refused"
"""A filter value: all outcomes except ``ok``."""

_IPV6_NETWORK: Final = 64


class AuditEvent(StrEnum):
    """The kinds of events."""

    SIGN_IN = "sign_in"
    SIGN_OUT = "sign_out"
    SESSION_ENDED = "session_ended"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  a name of an event
    TOTP_ON = "totp_on"
    TOTP_OFF = "totp_off"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    RECOVERY_CODE_USED = "recovery_code_used"
    INVITATION_MADE = "invitation_made"
    INVITATION_USED = "invitation_used"
    INVITATION_REVOKED = "invitation_revoked"
    PERSON_MADE = "person_made"
    PERSON_CHANGED = "person_changed"
    PERSON_REMOVED = "person_removed"
    TOKEN_MADE = "token_made"  # noqa: S105
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    PERMISSION_GIVEN = "right_given"
    PERMISSION_TAKEN = "right_taken"
    NUMBER_FREED = "number_freed"
    """An administrator took a seller's number from the account that held it."""
    UNIT_REVEALED = "unit_revealed"
    UNIT_VOIDED = "unit_voided"
    UNIT_RETURNED = "unit_returned"
    UNIT_DOUBTED = "unit_doubted"
    UNITS_GIVEN_BACK = "units_given_back"
    BUYER_FORGOTTEN = "buyer_forgotten"
    """The words of a buyer were erased. The entry does not say whose."""
    CHANNEL_ADDED = "channel_added"
    CHANNEL_CHANGED = "channel_changed"
    CHANNEL_REMOVED = "channel_removed"
    WEBHOOK_ADDED = "webhook_added"
    WEBHOOK_CHANGED = "webhook_changed"
    WEBHOOK_REMOVED = "webhook_removed"
    PROVIDER_ADDED = "provider_added"
    PROVIDER_CHANGED = "provider_changed"
    """Also when its owner agrees that words go to its host, or no more."""
    PROVIDER_REMOVED = "provider_removed"
    REFUSED_PERMISSION = "refused_right"
    REFUSED_TOKEN = "refused_token"  # noqa: S105
    """A token, or the key of an old script, is not valid."""
    REFUSED_ORIGIN = "refused_origin"
    """A page of another site sent a request."""
    REFUSED_TARGET = "refused_target"
    """A user named an address to which this server does not connect."""
    REFUSED_RATE = "refused_rate"
    """Too many calls in a short time."""
    KEYS_ROTATED = "keys_rotated"
    NODE_DRAINED = "node_drained"
    """A server was asked to give up its shops, or to take its share again."""
    KEY_TROUBLE = "key_trouble"
    """The server did not start because of its key."""


@dataclass(kw_only=True, slots=True)
class AuditEntry:
    """One event; repetitions within a short time are counted in ``times``. The fields are the columns of its row.

    ``user_id``: the user it concerns. ``origin``: the means and the address of the caller, as in the history.
    ``outcome``: ``ok``, or the code of the refusal.
    """

    kind: str
    actor: str
    user_id: int | None = None
    origin: str = ""
    outcome: str = OK
    account_id: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    at_ms: int
    last_at_ms: int
    times: int = 1
    note_id: str = field(default_factory=lambda: token_hex(12))

    def row(self) -> dict[str, Any]:
        """Return the row of the table."""
        return {name: getattr(self, name) for name in _COLUMNS} | {"facts": msgspec.json.encode(self.facts).decode()}


_COLUMNS = tuple(column.name for column in fields(AuditEntry))


class StoredEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the log. ``username``: the present name of the user it concerns, if that user still exists."""

    id: int
    entry: AuditEntry
    username: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """Which entries a user may read: those about the user, and those about an account since the user owns it.

    ``accounts``: account id, and since when in epoch milliseconds.
    """

    user_id: int
    accounts: Collection[tuple[str, int]] = ()

    def may_read(self) -> ColumnElement[bool]:
        """Return the condition of the entries."""
        table = audit_entries.c
        theirs = (and_(table.account_id == name, table.at_ms >= since_ms) for name, since_ms in self.accounts)
        return or_(table.user_id == self.user_id, *theirs)


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """A filter of entries. ``since_ms`` is the first moment included, ``until_ms`` the first one excluded."""

    kind: str | None = None
    user: str | None = None
    outcome: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    def matches(self) -> list[ColumnElement[bool]]:
        """Return the conditions of the entries."""
        table = audit_entries.c
        wanted: list[ColumnElement[bool]] = []
        if self.kind is not None:
            wanted.append(table.kind == self.kind)
        if self.user is not None:
            wanted.append(or_(table.actor == f"user:{self.user}", users.c.username == self.user))
        if self.outcome is not None:
            wanted.append(table.outcome != OK if self.outcome == REFUSED else table.outcome == self.outcome)
        if self.since_ms is not None:
            wanted.append(table.last_at_ms >= self.since_ms)
        if self.until_ms is not None:
            wanted.append(table.at_ms < self.until_ms)
        return wanted


def write_entries(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """Write rows of entries. A row that was written before only gets new counts, so a write may be repeated.

    A sign-in from an address (of IPv6: a network) from which the user never signed in before is an incident, unless it
    is the first of all.
    """
    open_incidents(connection, _new_addresses(connection, rows))
    statement = insert_or(connection, audit_entries)
    counts = {name: statement.excluded[name] for name in ("times", "last_at_ms")}
    connection.execute(statement.on_conflict_do_update(index_elements=[audit_entries.c.note_id], set_=counts), rows)


def _new_addresses(connection: Connection, rows: list[dict[str, Any]]) -> list[Opening]:
    """Return the sign-ins from new addresses among rows that are about to be written."""
    found: dict[str, Opening] = {}
    for row in rows:
        if row["kind"] != AuditEvent.SIGN_IN or row["outcome"] != OK or row["user_id"] is None:
            continue
        mine = (audit_entries.c.kind == row["kind"], audit_entries.c.outcome == OK)
        theirs = select(audit_entries.c.origin).where(audit_entries.c.user_id == row["user_id"], *mine).distinct()
        known = {_network(origin) for origin in connection.scalars(theirs)}
        address, network = _address(row["origin"]), _network(row["origin"])
        if known and network not in known:
            subject = f"user:{row['user_id']}/{network}"
            found[subject] = Opening(
                subject=subject,
                kind=IncidentKind.NEW_ADDRESS,
                at_ms=row["at_ms"],
                user_id=row["user_id"],
                facts={"address": address},
            )
    return list(found.values())


def _address(origin: str) -> str:
    return origin.rpartition(" ")[2]


def _network(origin: str) -> str:
    """Return the address of an origin; of an IPv6 address its network, since devices change the rest of it daily."""
    address = _address(origin)
    with suppress(ValueError):
        if (found := ip_address(address)).version == 6:
            return str(ip_network((found.packed, _IPV6_NETWORK), strict=False))
    return address


def read_entries(
    connection: Connection, sought: Sought, reader: Reader | None, before: tuple[int, int] | None, limit: int
) -> list[StoredEntry]:
    """Return entries, newest first; with ``reader`` only those that this user may read.

    ``before``: moment and id of the last entry of the page before.
    """
    place = (audit_entries.c.at_ms, audit_entries.c.id)
    query = (
        select(audit_entries, users.c.username)
        .outerjoin(users, users.c.id == audit_entries.c.user_id)
        .where(*sought.matches(), *([] if reader is None else [reader.may_read()]))
        .where(*([] if before is None else [tuple_(*place) < before]))
        .order_by(*(column.desc() for column in place))
        .limit(limit)
    )
    return [_stored(row) for row in connection.execute(query).mappings()]


def _stored(row: RowMapping) -> StoredEntry:
    values = {name: row[name] for name in _COLUMNS} | {"facts": msgspec.json.decode(row["facts"])}
    return StoredEntry(id=row["id"], entry=AuditEntry(**values), username=row["username"])


def places_of_sign_ins(connection: Connection, since_ms: int, *, limit: int = 10_000) -> list[tuple[User, str]]:
    """Return users who signed in since that moment, with the address; each pair once, newest first."""
    table = audit_entries.c
    query = (
        select(*USER_COLUMNS, table.origin, func.max(table.id).label("last"))
        .join(users, users.c.id == table.user_id)
        .where(table.kind == AuditEvent.SIGN_IN.value, table.outcome == OK, table.at_ms >= since_ms)
        .group_by(users.c.id, table.origin)
        .order_by(func.max(table.id).desc())
        .limit(limit)
    )
    return [(user_of(row), _address(row["origin"])) for row in connection.execute(query).mappings()]

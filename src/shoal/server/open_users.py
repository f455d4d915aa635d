"""Opens the components for users: passwords, login, sessions, tokens, invitations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from shoal.auth.api_tokens import ApiTokens
from shoal.auth.audit_entries import AuditEvent, places_of_sign_ins
from shoal.auth.audit_log import AuditLog
from shoal.auth.device_marks import DeviceMarks
from shoal.auth.invitations import Invitations
from shoal.auth.login import Login
from shoal.auth.login_throttle import LoginThrottle
from shoal.auth.passwords import Passwords
from shoal.auth.rate_limits import RateLimits, SharedRateLimits
from shoal.auth.sessions import Sessions
from shoal.auth.shared_throttle import SharedLoginThrottle
from shoal.auth.totp import Totp
from shoal.auth.user_replica import ReplicaTimes, UserReplica
from shoal.auth.users import ADMIN_NAME, Role, Users
from shoal.clock import now_ms
from shoal.cluster.limited_tries import LimitedTries
from shoal.config import Settings
from shoal.errors import ConfigError, InvalidInput
from shoal.server.closing import Closing
from shoal.server.open_storage import ITSELF, Storage
from shoal.storage.database import Database
from shoal.storage.db_manager import DEVICES_SECRET, own_secret

SETUP_LINK_HOURS = 24
"""How long the first administrator's set-up link is valid; it ends with the first sign-in."""
FAMILIAR_DAYS = 30
"""How long an address from which a user signed in is known after a restart."""
TRUSTED_SECONDS = 30.0
"""How long a node answers from its copy who may come in, while the database does not answer."""
OVERLAP_MS = 60_000
"""How much is read twice of the sign-ins at other nodes: their clocks differ, and an entry is written late."""


class UserParts(msgspec.Struct, frozen=True, kw_only=True):
    """The components that authenticate callers."""

    users: Users
    sessions: Sessions
    invitations: Invitations
    totp: Totp
    login: Login
    api_tokens: ApiTokens


@asynccontextmanager
async def open_users(storage: Storage, settings: Settings) -> AsyncIterator[UserParts]:
    """Open users and their sessions over a replica in memory. Raises ``StoreError``."""
    async with Closing() as closing:
        passwords = Passwords()
        closing.later("passwords", passwords.close)
        times = ReplicaTimes(trusted_seconds=TRUSTED_SECONDS) if storage.several_nodes else None
        replica = UserReplica(storage.database, times)
        closing.later("users", replica.close)
        await replica.open()
        sessions = Sessions(replica, hours=settings.session_hours, idle_hours=settings.session_idle_hours)
        closing.later("sessions", sessions.close)
        api_tokens = ApiTokens(replica)
        closing.later("tokens", api_tokens.close)
        users, totp, delays = Users(replica, passwords), Totp(replica, storage.vault), await _open_delays(storage)
        devices = DeviceMarks(await own_secret(storage.database, storage.vault, DEVICES_SECRET))
        yield UserParts(
            users=users,
            sessions=sessions,
            invitations=Invitations(replica, passwords),
            totp=totp,
            login=Login(users, sessions, totp, delays, devices),
            api_tokens=api_tokens,
        )


def open_rate_limits(storage: Storage, settings: Settings) -> RateLimits:
    """Return the limits of calls and of what happens some times an hour; the latter nodes share."""
    if storage.short_writes is None:
        return RateLimits(settings)
    return SharedRateLimits(settings, LimitedTries(storage.short_writes))


async def _open_delays(storage: Storage) -> LoginThrottle:
    """Return the delays for wrong guesses: those of this server, or those that all nodes share."""
    since_ms = now_ms() - FAMILIAR_DAYS * 86_400_000
    if storage.short_writes is None:
        alone = LoginThrottle()
        await _remember_places(storage.database, alone, since_ms)
        return alone
    delays = SharedLoginThrottle(LimitedTries(storage.short_writes))
    await _remember_places(storage.database, delays, since_ms)

    read_to_ms = now_ms()

    async def read_places() -> None:
        nonlocal read_to_ms
        begun_ms = now_ms()
        await _remember_places(storage.database, delays, read_to_ms - OVERLAP_MS)
        read_to_ms = begun_ms

    delays.read_places = read_places
    return delays


async def _remember_places(database: Database, delays: LoginThrottle, since_ms: int) -> None:
    """Load the addresses from which users signed in. Failed attempts are forgotten at a restart, so the guesses of
    others do not delay users there."""
    places = await database.read(lambda connection: places_of_sign_ins(connection, since_ms))
    for user, address in reversed(places):
        for name in (user.username, user.email):
            if name:
                delays.remember(name, address)


class FirstEntry(msgspec.Struct, frozen=True):
    """The administrator's first access: a password, and the token of a link to choose another."""

    password: str
    link_token: str


async def first_entry(parts: UserParts, settings: Settings, audit_log: AuditLog) -> FirstEntry | None:
    """Create the administrator on a first start. Return the first access only if it was generated here."""
    chosen = settings.admin_password.get_secret_value() if settings.admin_password else None
    try:
        made = await parts.users.ensure_admin(chosen)
    except InvalidInput as error:
        raise ConfigError("startup.bad_admin_password", why=error, code=error.code) from None
    if made is None:
        return None
    await audit_log.record(AuditEvent.PERSON_MADE, actor=ITSELF, username=ADMIN_NAME, role=Role.ADMIN.value)
    admin = await parts.users.by_name(ADMIN_NAME)
    if chosen or admin is None:
        return None
    _, token = await parts.invitations.password_link(admin.id, hours=SETUP_LINK_HOURS)
    return FirstEntry(made, token)

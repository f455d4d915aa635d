"""What the operator of the machine may do for a user who is locked out, with or without a running server.

It changes the database directly, in one short transaction. The operator can read everything in it anyway.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, delete, select

from shoal.auth.audit_entries import AuditEntry, AuditEvent, write_entries
from shoal.auth.passwords import Passwords, made_up_password
from shoal.auth.totp import forget_factor
from shoal.auth.users import replace_password
from shoal.clock import now_ms
from shoal.config import Settings
from shoal.errors import ConfigError
from shoal.language.folding import folded
from shoal.storage.database import Database
from shoal.storage.user_tables import sessions, users

ACTOR: Final = "machine"
"""The actor in the audit log: the operator at the machine."""
ORIGIN: Final = "shell"


async def reset_password(settings: Settings, username: str) -> str:
    """Set a random password for a user and end the user's sessions; return the password, which is stored nowhere.

    Raises ``ConfigError`` when there is no such user or no database of this program, and ``StoreError``.
    """
    password = made_up_password()
    passwords = Passwords()
    hashed = await passwords.new(password)
    await passwords.close()

    def job(connection: Connection) -> None:
        user_id = _find(connection, username)
        replace_password(connection, user_id, hashed, now_ms=now_ms())
        _note(connection, AuditEvent.PASSWORD_CHANGED, user_id)

    _database(settings).write_beside(job)
    return password


def reset_totp(settings: Settings, username: str) -> bool:
    """Remove a user's second factor and end the user's sessions. False: it was off. Raises as ``reset_password``."""

    def job(connection: Connection) -> bool:
        user_id = _find(connection, username)
        was_on = forget_factor(connection, user_id)
        connection.execute(delete(sessions).where(sessions.c.user_id == user_id))
        if was_on:
            _note(connection, AuditEvent.TOTP_OFF, user_id)
        return was_on

    return _database(settings).write_beside(job)


def _database(settings: Settings) -> Database:
    url = settings.database_url.get_secret_value() if settings.database_url else ""
    return Database(Path(settings.data_dir), url=url)


def _find(connection: Connection, username: str) -> int:
    user_id = connection.scalar(select(users.c.id).where(users.c.name_key == folded(username.strip())))
    if user_id is None:
        names = ", ".join(connection.scalars(select(users.c.username).order_by(users.c.id)).all())
        raise ConfigError("startup.unknown_user", name=username, names=names)
    return int(user_id)


def _note(connection: Connection, kind: AuditEvent, user_id: int) -> None:
    now = now_ms()
    entry = AuditEntry(kind=kind.value, actor=ACTOR, user_id=user_id, origin=ORIGIN, at_ms=now, last_at_ms=now)
    write_entries(connection, [entry.row()])

"""Webhooks: the addresses to which a user's events are posted. Address and secret are sealed and not shown again."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from shoal.accounts.positions import EventId, Position
from shoal.clock import now_ms
from shoal.errors import Conflict, InvalidInput, NotFound, StaleGeneration, StoreError
from shoal.storage.database import Database
from shoal.storage.idempotency_keys import Also, nothing
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import close_incidents, webhook_subject
from shoal.storage.notice_tables import webhook_attempts, webhooks
from shoal.storage.vault import Vault
from shoal.streams.stored_events import KINDS, newest, position_at, position_before

MAX_WEBHOOKS: Final = 10
"""How many webhooks one user may have."""
MOST_URL: Final = 2_000
MOST_ACCOUNTS: Final = 1_000
SPREAD_MS: Final = 60_000
"""With several servers: by how much the times of rows may differ from the order of their ids, by clocks that differ and
by transactions that wait."""
SECRET_PREFIX: Final = "whsec_"  # noqa: S105
LEAST_KEY, MOST_KEY = 24, 64
"""How many bytes a secret has, by the specification."""


class UnknownWebhook(NotFound):
    """There is no such webhook, or it belongs to another user (the answer is the same)."""

    code = "unknown_webhook"


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook, without its secret. ``address``: as it is shown, without what may be secret of it; empty when the
    stored one cannot be opened.

    ``kinds`` and ``accounts``: of what is posted; an empty list does not limit. ``failing_since_ms``: since when
    nothing arrives. ``off_reason``: why the server switched it off.
    """

    id: int
    user_id: int
    address: str
    kinds: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    active: bool = True
    off_reason: str = ""
    position: Position
    tries: int = 0
    failing_since_ms: int | None = None
    arrived_at_ms: int | None = None
    due_at_ms: int | None = None
    version: int = 1
    created_at_ms: int = 0
    changed_at_ms: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One call of a webhook. ``status``: of the answer, ``None`` without one; ``answer``: its first characters."""

    event_id: str
    type: str
    at_ms: int
    status: int | None = None
    took_ms: int = 0
    error: str = ""
    answer: str = ""

    @property
    def arrived(self) -> bool:
        """Whether the receiver took it."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredAttempt(Attempt):
    """A stored call."""

    id: int


class Target(msgspec.Struct, frozen=True):
    """Where to post, and with which secret to sign."""

    url: str
    secret: str


class WebhookStore:
    """Reads and changes the webhooks of every user."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        *,
        now_ms: Callable[[], int] = now_ms,
        settled: Callable[[], Position | None] = lambda: None,
    ) -> None:
        """``settled``: up to where everything can be read when several servers write; else ``None``."""
        self._database = database
        self._settled = settled
        self._vault = vault
        self._now_ms = now_ms

    async def list(self, user_id: int) -> list[Webhook]:
        """Return the webhooks of a user, in the order in which they were made."""
        query = select(webhooks).where(webhooks.c.user_id == user_id).order_by(webhooks.c.id)
        rows = await self._database.read(lambda connection: connection.execute(query).mappings().all())
        return [self._webhook(row) for row in rows]

    async def get(self, user_id: int, webhook_id: int) -> Webhook:
        """Return a webhook of the user. Raises ``UnknownWebhook``."""
        return self._webhook(await self._database.read(partial(_row_of, user_id=user_id, webhook_id=webhook_id)))

    async def target(self, user_id: int, webhook_id: int) -> Target:
        """Return where a webhook of the user posts. Raises ``UnknownWebhook`` and ``StoreError``."""
        row = await self._database.read(partial(_row_of, user_id=user_id, webhook_id=webhook_id))
        return self.target_of(row)

    def target_of(self, row: RowMapping) -> Target:
        """Return where the webhook of a row posts. Raises ``StoreError`` when that cannot be opened."""
        opened = (self._vault.open(row[f"{name}_sealed"], column=f"webhooks.{name}", user_id=row["user_id"])
                  for name in ("address", "secret"))  # fmt: skip
        return Target(*opened)

    async def create(
        self,
        user_id: int,
        url: str,
        *,
        secret: str = "",
        kinds: Collection[str] = (),
        accounts: Collection[str] = (),
        also: Also = nothing,
    ) -> tuple[Webhook, str]:
        """Add a webhook that posts what happens from now on. Return it with its secret, made unless given.

        ``also`` is done in the same transaction.

        Raises ``InvalidInput``, and ``Conflict`` (``too_many_webhooks``).
        """
        now, key, settled = self._now_ms(), checked_secret(secret) if secret else new_secret(), self._settled()
        row = {
            "user_id": user_id,
            **self._sealed(user_id, address=checked_url(url), secret=key),
            **_lists(kinds=kinds, accounts=accounts),
            "created_at_ms": now,
            "changed_at_ms": now,
        }

        def job(connection: Connection) -> RowMapping:
            also(connection)
            mine = select(func.count()).where(webhooks.c.user_id == user_id)
            if (connection.scalar(mine) or 0) >= MAX_WEBHOOKS:
                raise Conflict("the user has many webhooks", code="too_many_webhooks", limit=MAX_WEBHOOKS)
            position = str(newest(connection) if settled is None else settled)
            made = connection.execute(insert(webhooks).values(**row, position=position))
            number = int(made.inserted_primary_key[0])  # type: ignore[index]  # an INSERT of one row has a key
            return _row_of(connection, user_id, number)

        return self._webhook(await self._database.write(job)), key

    async def change(
        self, user_id: int, webhook_id: int, values: Mapping[str, Any], *, versions: frozenset[int] | None = None
    ) -> Webhook:
        """Change some of ``url``, ``secret``, ``kinds``, ``accounts`` and ``active``; ``versions``: it must have one.

        One that is switched on goes on where it stopped. Raises ``UnknownWebhook``, ``InvalidInput`` and
        ``StaleGeneration``.
        """
        now = self._now_ms()
        fresh: dict[str, Any] = _lists(**{name: values[name] for name in ("kinds", "accounts") if name in values})
        if values.get("url"):
            fresh |= self._sealed(user_id, address=checked_url(values["url"]))
        if values.get("secret"):
            fresh |= self._sealed(user_id, secret=checked_secret(values["secret"]))
        if values.get("active") is not None:
            fresh["active"] = values["active"]
        if fresh.get("active") or "address_sealed" in fresh:
            fresh |= {"tries": 0, "failing_since_ms": None, "tried_since_ms": None, "due_at_ms": None, "off_reason": ""}

        def job(connection: Connection) -> RowMapping:
            before = _row_of(connection, user_id, webhook_id, lock=True)
            if versions is not None and before["version"] not in versions:
                raise StaleGeneration(f"webhook {webhook_id} is at {before['version']}", id=str(webhook_id))
            if fresh:
                mine = update(webhooks).where(webhooks.c.id == webhook_id)
                connection.execute(mine.values(**fresh, version=before["version"] + 1, changed_at_ms=now))
            if fresh.get("active"):
                close_incidents(connection, [webhook_subject(webhook_id)], [IncidentKind.WEBHOOK_OFF], now)
            return _row_of(connection, user_id, webhook_id)

        return self._webhook(await self._database.write(job))

    async def remove(self, user_id: int, webhook_id: int) -> Webhook:
        """Remove a webhook with its attempts. Raises ``UnknownWebhook``."""
        now = self._now_ms()

        def job(connection: Connection) -> RowMapping:
            before = _row_of(connection, user_id, webhook_id, lock=True)
            connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id))
            gone = [webhook_subject(webhook_id)]
            close_incidents(connection, gone, [IncidentKind.WEBHOOK_OFF], now, is_well=False)
            return before

        return self._webhook(await self._database.write(job))

    async def attempts(
        self, user_id: int, webhook_id: int, *, before: int | None = None, limit: int = 50
    ) -> Sequence[StoredAttempt]:
        """Return the calls of a webhook of the user, newest first. Raises ``UnknownWebhook``."""
        query = select(webhook_attempts).where(webhook_attempts.c.webhook_id == webhook_id)
        query = query.order_by(webhook_attempts.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(webhook_attempts.c.id < before)

        def job(connection: Connection) -> Sequence[StoredAttempt]:
            _row_of(connection, user_id, webhook_id)
            names = StoredAttempt.__dataclass_fields__
            return [
                StoredAttempt(**{name: row[name] for name in names}) for row in connection.execute(query).mappings()
            ]

        return await self._database.read(job)

    async def replay(
        self, user_id: int, webhook_id: int, *, from_event: str | None = None, from_ms: int | None = None
    ) -> Webhook:
        """Let a webhook go on from an event or a time: what came since is posted (again), what came before is not.

        Raises ``UnknownWebhook``, and ``InvalidInput`` (``unknown_event``) when the event is not stored.
        """
        event = None if from_event is None else checked_event(from_event)
        spread_ms = 0 if self._settled() is None else SPREAD_MS

        def job(connection: Connection) -> RowMapping:
            _row_of(connection, user_id, webhook_id, lock=True)
            found = (
                position_at(connection, (from_ms or 0) - spread_ms)
                if event is None
                else position_before(connection, event, spread_ms=spread_ms)
            )
            if found is None:
                raise InvalidInput("there is no such event", code="unknown_event")
            values = {"position": str(found), "tries": 0, "failing_since_ms": None, "tried_since_ms": None}
            mine = update(webhooks).where(webhooks.c.id == webhook_id)
            connection.execute(mine.values(**values, due_at_ms=None, version=webhooks.c.version + 1))
            return _row_of(connection, user_id, webhook_id)

        return self._webhook(await self._database.write(job))

    async def note(self, user_id: int, webhook_id: int, attempt: Attempt) -> None:
        """Store a call that was no event's, such as a test. Raises ``UnknownWebhook``: it may have been removed."""

        def job(connection: Connection) -> None:
            _row_of(connection, user_id, webhook_id, lock=True)
            add_attempts(connection, webhook_id, [attempt])

        await self._database.write(job)

    def _sealed(self, user_id: int, **values: str) -> dict[str, bytes]:
        return {
            f"{name}_sealed": self._vault.seal(value, column=f"webhooks.{name}", user_id=user_id)
            for name, value in values.items()
        }

    def _webhook(self, row: RowMapping) -> Webhook:
        plain = ("id", "user_id", "off_reason", "tries", "failing_since_ms", "arrived_at_ms", "due_at_ms", "version",
                 "created_at_ms", "changed_at_ms")  # fmt: skip
        return Webhook(
            **{name: row[name] for name in plain},
            address=self._shown_address(row),
            kinds=listed(row["kinds"]),
            accounts=listed(row["accounts"]),
            active=bool(row["active"]),
            position=Position.of(row["position"]),
        )

    def _shown_address(self, row: RowMapping) -> str:
        """Return the address of a row as it is shown; empty when it cannot be opened: the row can still be changed."""
        try:
            return shown_url(self._vault.open(row["address_sealed"], column="webhooks.address", user_id=row["user_id"]))
        except StoreError:  # its key is missing, or the value is damaged
            return ""


KEPT_ATTEMPTS: Final = 1_000
"""How many calls of a webhook are kept."""


def add_attempts(connection: Connection, webhook_id: int, attempts: Collection[Attempt]) -> None:
    """Store calls of a webhook, and delete the oldest beyond ``KEPT_ATTEMPTS``."""
    if not attempts:
        return
    names = Attempt.__dataclass_fields__
    rows = [{"webhook_id": webhook_id, **{name: getattr(one, name) for name in names}} for one in attempts]
    connection.execute(insert(webhook_attempts), rows[-KEPT_ATTEMPTS:])
    mine = webhook_attempts.c.webhook_id == webhook_id
    kept = select(webhook_attempts.c.id).where(mine).order_by(webhook_attempts.c.id.desc()).limit(1)
    oldest = connection.scalar(kept.offset(KEPT_ATTEMPTS))
    if oldest is not None:
        connection.execute(delete(webhook_attempts).where(mine, webhook_attempts.c.id <= oldest))


def listed(text: str) -> tuple[str, ...]:
    """Return a stored list."""
    return tuple(msgspec.json.decode(text, type=list[str])) if text else ()


def new_secret() -> str:
    """Return a new secret."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def checked_secret(text: str) -> str:
    """Return a secret of the specification's form. Raises ``InvalidInput`` (``webhook_secret``)."""
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(SECRET_PREFIX) or not LEAST_KEY <= len(key) <= MOST_KEY:
        raise InvalidInput("no secret", code="webhook_secret", least=LEAST_KEY, most=MOST_KEY)
    return text


def checked_url(url: str) -> str:
    """Return the address of a receiver. Raises ``InvalidInput`` (``webhook_url``)."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"https", "http"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    plain = url.isprintable() and " " not in url and "\\" not in url and len(url) <= MOST_URL
    if not usable or not plain or "@" in parts.netloc or parts.fragment:
        raise InvalidInput("no address of a receiver", code="webhook_url", limit=MOST_URL, field="url")
    return url


def shown_url(url: str) -> str:
    """Return an address as it is shown: paths and queries of receivers are often secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/***"


def checked_event(text: str) -> EventId:
    """Return the event of an id as a receiver got it. Raises ``InvalidInput`` (``unknown_event``)."""
    try:
        return EventId.of(text.partition("-")[0])
    except ValueError:
        raise InvalidInput("this is no id of an event", code="unknown_event") from None


def _lists(**lists: Collection[str]) -> dict[str, str]:
    for kind in lists.get("kinds", ()):
        if kind not in KINDS:
            raise InvalidInput("there are no such events", code="unknown_event_kind", kind=kind[:40])
    if len(lists.get("accounts", ())) > MOST_ACCOUNTS:
        raise InvalidInput("there are too many accounts", code="subscription_too_long", limit=MOST_ACCOUNTS)
    return {name: msgspec.json.encode(sorted(set(one))).decode() if one else "" for name, one in lists.items()}


def _row_of(connection: Connection, user_id: int, webhook_id: int, *, lock: bool = False) -> RowMapping:
    query = select(webhooks).where(webhooks.c.id == webhook_id, webhooks.c.user_id == user_id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise UnknownWebhook
    return row

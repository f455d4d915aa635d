"""Reads and changes the providers of every user. Address and key are sealed and not shown again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from shoal.accounts.model_settings import ModelMode
from shoal.assistant.providers import (
    MAX_PROVIDERS,
    Provider,
    ProviderKind,
    Target,
    UnknownProvider,
    changed_values,
)
from shoal.clock import now_ms
from shoal.errors import Conflict, StaleGeneration, StoreError
from shoal.storage.assistant_tables import ai_provider_states, ai_providers
from shoal.storage.database import Database
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import close_incidents, provider_subject
from shoal.storage.schema import accounts
from shoal.storage.sealed_values import SealedColumn
from shoal.storage.vault import Vault

SETTINGS_COLUMN: Final = SealedColumn(ai_providers, "settings_sealed").label
MOST_SHOPS_NAMED: Final = 10
Also = Callable[[Connection, int], None]
_PLAIN: Final = tuple(name for name in Provider.__dataclass_fields__ if name not in {"kind", "has_key"})


class ProviderStore:
    """The providers of users: each belongs to one, and no other sees it."""

    def __init__(self, database: Database, vault: Vault, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._vault = vault
        self._now_ms = now_ms

    async def list(self, owner_id: int) -> list[Provider]:
        """Return the providers of a user, in the order in which they were made."""
        query = select(ai_providers).where(ai_providers.c.owner_id == owner_id).order_by(ai_providers.c.id)
        rows = await self._database.read(lambda connection: connection.execute(query).mappings().all())
        return [self._provider(row) for row in rows]

    async def get(self, owner_id: int, provider_id: int) -> Provider:
        """Return a provider of the user. Raises ``UnknownProvider``."""
        return self._provider(await self._database.read(lambda connection: _row_of(connection, owner_id, provider_id)))

    async def target(self, owner_id: int, provider_id: int) -> Target:
        """Return a provider of the user that may be called, with its address and key.

        Raises ``UnknownProvider``, ``Conflict`` (``no_consent``), and ``StoreError`` when that cannot be opened.
        """
        row = await self._database.read(lambda connection: _row_of(connection, owner_id, provider_id))
        provider = self._provider(row)
        provider.require_consent()
        secrets = self._opened(row)
        return Target(provider, secrets["base_url"], secrets["key"])

    async def create(
        self,
        owner_id: int,
        values: Mapping[str, Any],
        *,
        also: Also | None = None,
        op_id: str = "",
        repeats: bool = False,
    ) -> Provider:
        """Add a provider, and do ``also`` with its id in the same transaction. An op that ``repeats`` adds none again.

        Raises ``InvalidInput``, and ``Conflict`` (``too_many_providers``).
        """
        now = self._now_ms()
        columns, secrets = changed_values(None, {}, values)
        row = {
            **columns,
            "owner_id": owner_id,
            "settings_sealed": self._sealed(owner_id, secrets),
            "consented_at_ms": now if columns["consented_host"] else None,
            "created_at_ms": now,
            "changed_at_ms": now,
            "op_id": op_id,
        }

        def job(connection: Connection) -> RowMapping:
            if repeats and (added := _added_by(connection, owner_id, op_id)) is not None:
                return added
            mine = select(func.count()).where(ai_providers.c.owner_id == owner_id)
            if (connection.scalar(mine) or 0) >= MAX_PROVIDERS:
                raise Conflict("the user has many providers", code="too_many_providers", limit=MAX_PROVIDERS)
            made = connection.execute(insert(ai_providers).values(**row))
            number = int(made.inserted_primary_key[0])  # type: ignore[index]  # an INSERT of one row has a key
            connection.execute(insert(ai_provider_states).values(provider_id=number))
            if also is not None:
                also(connection, number)
            return _row_of(connection, owner_id, number)

        return self._provider(await self._database.write(job))

    async def change(
        self,
        owner_id: int,
        provider_id: int,
        values: Mapping[str, Any],
        *,
        versions: frozenset[int] | None = None,
    ) -> Provider:
        """Change some settings; ``versions``: it must have one of them. What goes elsewhere now has a new state.

        Raises ``UnknownProvider``, ``InvalidInput``, ``StaleGeneration``, and ``StoreError`` when the stored address
        is needed and cannot be opened.
        """
        now = self._now_ms()

        def job(connection: Connection) -> RowMapping:
            before = _row_of(connection, owner_id, provider_id, lock=True)
            if versions is not None and before["version"] not in versions:
                raise StaleGeneration(f"provider {provider_id} is at {before['version']}", id=str(provider_id))
            is_whole = bool(values.get("base_url")) and values.get("key") is not None
            secrets = {} if is_whole else self._opened(before)
            columns, fresh = changed_values(dict(before), secrets, values)
            agreed = columns["consented_host"]
            if agreed != before["consented_host"]:
                columns["consented_at_ms"] = now if agreed else None
            if fresh != secrets:
                columns["settings_sealed"] = self._sealed(owner_id, fresh)
                _begin_anew(connection, provider_id, now)
            mine = update(ai_providers).where(ai_providers.c.id == provider_id)
            connection.execute(mine.values(**columns, version=before["version"] + 1, changed_at_ms=now))
            return _row_of(connection, owner_id, provider_id)

        return self._provider(await self._database.write(job))

    async def remove(self, owner_id: int, provider_id: int) -> Provider:
        """Remove a provider. What it cost stays.

        Raises ``UnknownProvider``, and ``Conflict`` (``provider_in_use``) while the model of a shop is on with it. A
        shop whose model is switched on in the meantime is among those, or is written afterwards: who switches it on
        then reads that it has no provider.
        """
        now = self._now_ms()

        def job(connection: Connection) -> RowMapping:
            before = _row_of(connection, owner_id, provider_id, lock=True)
            _hold_shops(connection, owner_id)
            if shops := _shops_with(connection, owner_id, provider_id):
                raise Conflict("the models of shops are on with it", code="provider_in_use", shops=shops)
            connection.execute(delete(ai_providers).where(ai_providers.c.id == provider_id))
            gone = [provider_subject(provider_id)]
            close_incidents(connection, gone, [IncidentKind.MODEL_RESTING], now, is_well=False)
            return before

        return self._provider(await self._database.write(job))

    def _provider(self, row: RowMapping) -> Provider:
        """Return the provider of a row. One whose secrets cannot be opened has none: they must be entered again."""
        try:
            has_key = bool(self._opened(row)["key"])
        except StoreError:
            has_key = False
        return replace(provider_of(row), has_key=has_key)

    def _sealed(self, owner_id: int, secrets: Mapping[str, str]) -> bytes:
        return self._vault.seal(json.dumps(secrets), column=SETTINGS_COLUMN, user_id=owner_id)

    def _opened(self, row: RowMapping) -> dict[str, str]:
        text = self._vault.open(row["settings_sealed"], column=SETTINGS_COLUMN, user_id=row["owner_id"])
        try:
            found = json.loads(text)
            return {"base_url": str(found["base_url"]), "key": str(found["key"])}
        except (ValueError, KeyError, TypeError):
            raise StoreError("the settings of a provider cannot be read", code="unreadable_provider") from None


def provider_of(row: RowMapping) -> Provider:
    """Return the provider of a row, as far as it is not sealed."""
    return Provider(**{name: row[name] for name in _PLAIN}, kind=ProviderKind(row["kind"]))


def _added_by(connection: Connection, owner_id: int, op_id: str) -> RowMapping | None:
    query = select(ai_providers).where(ai_providers.c.owner_id == owner_id, ai_providers.c.op_id == op_id)
    return connection.execute(query).mappings().one_or_none()


def _begin_anew(connection: Connection, provider_id: int, now: int) -> None:
    """End the rest of a provider whose address or key is another one now: its failures were those of the old one."""
    mine = update(ai_provider_states).where(ai_provider_states.c.provider_id == provider_id)
    fresh = {"failures": 0, "failing_since_ms": None, "resting_until_ms": 0, "rests": 0, "last_error": ""}
    connection.execute(mine.values(**fresh))
    subject = [provider_subject(provider_id)]
    close_incidents(connection, subject, [IncidentKind.MODEL_RESTING], now, is_well=False)


def _hold_shops(connection: Connection, owner_id: int) -> None:
    """Keep the owner's shops as they are until the transaction ends, also for other servers: it waits for changes."""
    mine = select(accounts.c.id).where(accounts.c.owner_id == owner_id, ~accounts.c.deleted)
    connection.execute(mine.order_by(accounts.c.id).with_for_update(read=True)).all()


def _shops_with(connection: Connection, owner_id: int, provider_id: int) -> list[str]:
    """Return some of the owner's shops whose model is on with a provider. One that is off only names it."""
    query = (
        select(accounts.c.id)
        .where(accounts.c.owner_id == owner_id, accounts.c.ai_provider_id == provider_id)
        .where(accounts.c.ai_mode != ModelMode.OFF.value, ~accounts.c.deleted)
        .order_by(accounts.c.id)
    )
    return list(connection.scalars(query.limit(MOST_SHOPS_NAMED)))


def _row_of(connection: Connection, owner_id: int, provider_id: int, *, lock: bool = False) -> RowMapping:
    query = select(ai_providers).where(ai_providers.c.id == provider_id, ai_providers.c.owner_id == owner_id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise UnknownProvider
    return row

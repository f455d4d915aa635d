"""``KeyRotation``: a new key for the secrets of a running server, and the encryption of every value with it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import structlog

from shoal.accounts.ownership import NOT_OWNER
from shoal.concurrency.single_flight import SingleFlight
from shoal.errors import ConfigError, Conflict, StoreError
from shoal.storage.database import Database
from shoal.storage.db_manager import renew_facts
from shoal.storage.sealed_values import SealedColumn, count_by_key, seal_anew, sealed_columns
from shoal.storage.vault import KEY_BYTES, Vault, key_id, read_key_file, write_key_file

log = structlog.get_logger("shoal.keys")

BATCH = 50
"""How many values are encrypted again in one transaction: changes of accounts are written in between."""
PAUSE_SECONDS = 0.01
AGAIN_SECONDS = (1.0, 60.0)
"""First and longest wait before a refused write is tried again."""


class KeyFigure(msgspec.Struct, frozen=True):
    """One key by its id, and how many values it encrypts."""

    key_id: str
    values: int
    loaded: bool = True


@dataclass(frozen=True, slots=True)
class KeyFigures:
    """The keys, the newest first, then missing keys that values name.

    ``from_setting``: they come from ``SHOAL_SECRET_KEY``, which a server cannot change. ``unreadable``: values under an
    old key that could not be decrypted; they stay as they are. ``waiting_for``: the servers that have not taken up the
    newest key, where several share the database. ``absent``: those that do not run and lacked it when they last ran.
    """

    keys: tuple[KeyFigure, ...]
    from_setting: bool
    rotating: bool
    unreadable: int
    waiting_for: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def renewed(self) -> int:
        """How many values have the newest key."""
        return self.keys[0].values

    @property
    def old(self) -> int:
        """How many values have another key."""
        return sum(key.values for key in self.keys[1:])


class KeyRotation:
    """Encrypts every value with the newest key while the server runs. Owns one task, until ``close``.

    The keys and the values are its only state: after a crash the next start finds values under an old key and
    continues.
    """

    def __init__(self, database: Database, vault: Vault, key_file: Path, *, from_setting: bool) -> None:
        self._database = database
        self._vault = vault
        self._key_file = key_file
        self._from_setting = from_setting
        self._unreadable = 0
        self._turn = asyncio.Lock()
        self._counting = SingleFlight(self._count, name="count sealed values")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Continue an interrupted run, or encrypt again for a key that the operator put first."""
        if len(self._vault.key_ids) > 1:
            self._begin()

    async def close(self) -> None:
        """Stop between two steps."""
        await self._counting.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def figures(self) -> KeyFigures:
        """Return how many values each key encrypts. Every value is counted: once for all callers that wait."""
        return await self._counting.result()

    async def _count(self) -> KeyFigures:
        running = self._is_running  # before the read: one that ends during it may have renewed more than was counted
        counted, loaded = await self._database.read(count_by_key), self._vault.key_ids
        here = (KeyFigure(one.hex(), counted[one]) for one in loaded)
        gone = (KeyFigure(one.hex(), count, loaded=False) for one, count in counted.items() if one not in loaded)
        return KeyFigures((*here, *gone), self._from_setting, running, self._unreadable)

    async def rotate(self) -> KeyFigures:
        """Create a key, store it durably, use it from now on, and start to encrypt existing values again.

        Raises ``Conflict``: ``keys_from_setting`` (the operator must put the new key there), ``rotation_under_way``
        (values under an older key are left); ``StoreError`` (``key_file_unwritable``) when the file cannot be written.
        """
        async with self._turn:
            if self._from_setting:
                raise Conflict("the keys stand in SHOAL_SECRET_KEY", code="keys_from_setting")
            figures = await self._count()
            if self._is_running or figures.old:
                raise Conflict("the last rotation has not ended", code="rotation_under_way", values=figures.old)
            fresh = os.urandom(KEY_BYTES)
            keys = [fresh, *await asyncio.to_thread(self._keys_of_file)]
            # On the disk before it is used: a crash from here on loses nothing.
            await asyncio.to_thread(write_key_file, self._key_file, keys)
            self._vault.take_up(keys)
            log.info("a new key seals from now on", key=key_id(fresh).hex())
            self._begin()
            return await self._count()

    async def forget(self) -> KeyFigures:
        """Delete every key but the newest from the key file and from memory.

        Raises ``Conflict``: ``keys_from_setting``, ``no_old_key``, ``old_key_needed`` (values are left under one).
        """
        async with self._turn:
            if self._from_setting:
                raise Conflict("the keys stand in SHOAL_SECRET_KEY", code="keys_from_setting")
            newest, *old = self._vault.key_ids
            if not old:
                raise Conflict("there is one key only", code="no_old_key")
            await renew_facts(self._database, self._vault)
            await self._database.settled()  # a write of before may still seal with an old key
            counted = await self._database.write(count_by_key)
            left = sum(count for one, count in counted.items() if one != newest)
            if left:
                raise Conflict("an old key is still needed", code="old_key_needed", values=left)
            keys = [key for key in await asyncio.to_thread(self._keys_of_file) if key_id(key) == newest]
            await asyncio.to_thread(write_key_file, self._key_file, keys)
            self._vault.take_up(keys)
            await self._database.empty_log()
            log.info("the old keys were forgotten", key=newest.hex())
            return await self._count()

    def _keys_of_file(self) -> list[bytes]:
        """Return the keys in the file; they must be those in use."""
        try:
            keys = read_key_file(self._key_file, required=True)
        except ConfigError as error:  # this process holds the last copy: the message must not suggest a restart
            code = "key_file_gone" if error.code == "key_file_missing" else "key_file_unusable"
            raise StoreError(str(error), code=code) from None
        if tuple(dict.fromkeys(map(key_id, keys))) != self._vault.key_ids:
            raise StoreError("the key file is not the one that was read at the start", code="key_file_changed")
        return list(dict.fromkeys(keys))

    @property
    def _is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    def _begin(self) -> None:
        if not self._is_running:
            self._task = asyncio.create_task(self._seal_all_anew(), name="key rotation")

    async def _seal_all_anew(self) -> None:
        wait, longest = AGAIN_SECONDS
        while True:
            try:
                await renew_facts(self._database, self._vault)
                renewed, self._unreadable = 0, 0
                for place in sealed_columns():
                    renewed += await self._renew(place)
            except StoreError as error:
                if error.code in {NOT_OWNER, "store_closed"}:  # another server goes on
                    raise
                log.warning("values could not be encrypted again; trying once more", why=error.code, seconds=wait)
                await asyncio.sleep(wait)
                wait = min(wait * 2, longest)
                continue
            if renewed or self._unreadable:
                log.info("encrypted again", values=renewed, unreadable=self._unreadable)
            if not renewed:
                return  # a whole round found nothing: no write that began under the old key is left either

    async def _renew(self, place: SealedColumn) -> int:
        total, after = 0, None
        while True:
            step = await self._database.write(
                partial(seal_anew, vault=self._vault, place=place, after=after, limit=BATCH)
            )
            total += step.renewed
            self._unreadable += step.unreadable
            if step.after is None:
                return total
            after = step.after
            await asyncio.sleep(PAUSE_SECONDS)

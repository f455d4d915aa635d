"""``SharedKeyRotation``: a new key for the secrets of several servers, each of which takes it up by itself.

The new key is given to all; when all that live can open with it, they seal with it; when all do, one of them (a duty)
encrypts every value again; then the old one can be forgotten by all. Each says in its row which keys it has.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
import structlog
from sqlalchemy import Connection

from shoal.cluster.cluster_ownership import ClusterOwnership
from shoal.cluster.node_keys import NodeKeys, absent_without, living_keys, store_key_ids, store_lack
from shoal.cluster.node_rows import decide_alone
from shoal.errors import Conflict, ShoalError
from shoal.storage.database import Database
from shoal.storage.db_manager import renew_facts
from shoal.storage.key_changes import COLUMN, LACKING, KeyChange, Step, change_in, put_change, take_up
from shoal.storage.key_rotation import KeyFigures, KeyRotation
from shoal.storage.sealed_values import count_by_key
from shoal.storage.vault import KEY_BYTES, Vault, key_id

log = structlog.get_logger("shoal.keys")

LOOK_SECONDS: Final = 2.0
"""How often each server looks how far a change of the key has come."""

AGAIN_SECONDS: Final = 600.0
"""How often, as long as old keys are there, it is looked again whether a value has one of them."""


class SharedKeyRotation(KeyRotation):
    """The rotation on one of several servers. Owns one task, from ``start`` to ``close``."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        key_file: Path,
        ownership: ClusterOwnership,
        *,
        from_setting: bool,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        super().__init__(database, vault, key_file, from_setting=from_setting)
        self._ownership = ownership
        self._look_seconds = look_seconds
        self._reported: tuple[object, str] | None = None
        self._trouble = ""

    def start(self) -> None:
        """Follow the changes of the key that any server begins."""
        self._task = asyncio.create_task(self._follow(), name="key changes")

    # ── each server ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _follow(self) -> None:
        while True:
            trouble = ""
            try:
                await self.look()
            except ShoalError as error:
                trouble = str(error)
                if trouble != self._trouble:
                    log.warning("the change of the key is not taken up here", why=error.code, detail=trouble)
                await self._give_up_without(error)
            except Exception:  # a defect must not end it for good
                log.exception("following the key met a defect")
            self._trouble = trouble
            await asyncio.sleep(self._look_seconds)

    async def look(self) -> None:
        """Take up the present step, and say so once everything that was sealed before is stored. Raises
        ``ShoalError``."""
        change = await self._database.read(change_in)
        if change is not None and not self._from_setting:
            await self._take_up(change)
        life, keys = self._ownership.life, NodeKeys.of(self._vault.key_ids, from_setting=self._from_setting)
        if life is None or self._reported == (life, str(keys)):
            return
        await self._database.settled()  # a write of before may still seal with an old key
        await self._database.write(lambda connection: store_key_ids(connection, life, keys))
        self._reported = (life, str(keys))

    async def _take_up(self, change: KeyChange) -> None:
        if await asyncio.to_thread(take_up, change, self._vault, self._key_file):
            log.info("keys taken up", newest=self._vault.key_ids[0].hex(), keys=len(self._vault.key_ids))

    async def _give_up_without(self, error: ShoalError) -> None:
        life = self._ownership.life
        if error.code != LACKING or life is None:
            return
        try:
            await self._database.write(lambda connection: store_lack(connection, life, error.code))
        except ShoalError as refused:
            log.warning("that this server lacks a key is not stored", why=refused.code)

    # ── the server whose duty it is ─────────────────────────────────────────────────────────────────────────────

    async def serve(self) -> None:
        """Bring a change from step to step, and encrypt every value again, until this is cancelled."""
        rested_since = 0.0
        while True:
            newest, *old = self._vault.key_ids
            change, nodes = await self._database.read(_stand)
            if change is not None and change.step is Step.GIVE:
                await self._database.write(_seal_if_all_have)
            elif not old or not _all_seal(change, nodes, newest.hex()):
                rested_since = 0.0
            elif not rested_since or time.monotonic() - rested_since > AGAIN_SECONDS:
                await self._seal_all_anew()
                rested_since = time.monotonic()
            await asyncio.sleep(self._look_seconds)

    # ── what an administrator asks ──────────────────────────────────────────────────────────────────────────────

    async def _count(self) -> KeyFigures:
        figures = await super()._count()
        change, nodes = await self._database.read(_stand)
        newest = figures.keys[0].key_id if change is None else change.id
        if not self._from_setting:  # else no key file is copied
            absent = await self._database.read(lambda connection: absent_without(connection, newest))
            figures = replace(figures, absent=absent)
        if change is not None and change.step is Step.GIVE:
            lacking = tuple(name for name, keys in nodes.items() if change.id not in keys.ids)
            return replace(figures, rotating=True, waiting_for=lacking)
        if change is not None and change.step is Step.FORGET:
            keeping = tuple(name for name, keys in nodes.items() if keys.ids != (change.id,))
            return replace(figures, rotating=bool(figures.old), waiting_for=keeping)
        waiting = _not_sealing(nodes, newest) if change is not None or figures.old else ()
        return replace(figures, rotating=bool(figures.old or waiting), waiting_for=waiting)

    async def rotate(self) -> KeyFigures:
        """Create a key and give it to all servers; each step follows by itself.

        Raises ``Conflict``: as ``KeyRotation``, and ``key_of_server_from_setting`` (each must have a key file).
        """
        async with self._turn:
            figures = await self._count()
            fresh = os.urandom(KEY_BYTES)
            sealed = self._vault.seal(fresh.hex(), column=COLUMN).hex()
            change = KeyChange(id=key_id(fresh).hex(), step=Step.GIVE, sealed=sealed)
            newest = self._vault.key_ids[0].hex()

            def begin(connection: Connection) -> None:
                decide_alone(connection)
                nodes, before = living_keys(connection), change_in(connection)
                by_setting = sorted(name for name, keys in nodes.items() if keys.from_setting)
                if self._from_setting or by_setting:
                    raise Conflict("the keys stand in SHOAL_SECRET_KEY", code="keys_from_setting", names=by_setting)
                if figures.old or not _all_seal(before, nodes, newest):
                    raise Conflict("the last rotation has not ended", code="rotation_under_way", values=figures.old)
                put_change(connection, change)

            await self._database.write(begin)
            log.info("a new key is given to all servers", key=change.id)
            await self.look()
            return await self._count()

    async def forget(self) -> KeyFigures:
        """Let every server delete every key but the newest. Raises ``Conflict`` as ``KeyRotation``, also while a server
        does not seal with the newest one yet."""
        async with self._turn:
            if self._from_setting:
                raise Conflict("the keys stand in SHOAL_SECRET_KEY", code="keys_from_setting")
            newest, *old = self._vault.key_ids
            if not old:
                raise Conflict("there is one key only", code="no_old_key")
            await renew_facts(self._database, self._vault)
            await self._database.settled()

            def end(connection: Connection) -> None:
                decide_alone(connection)
                change, nodes = change_in(connection), living_keys(connection)
                left = sum(count for one, count in count_by_key(connection).items() if one != newest)
                if left or not _all_seal(change, nodes, newest.hex()):
                    raise Conflict("an old key is still needed", code="old_key_needed", values=left)
                put_change(connection, KeyChange(id=newest.hex(), step=Step.FORGET))

            await self._database.write(end)
            await self.look()
            await self._database.empty_log()
            log.info("the old keys are forgotten", key=newest.hex())
            return await self._count()


def _not_sealing(nodes: dict[str, NodeKeys], key: str) -> tuple[str, ...]:
    """Return the living servers that have not reported that they seal with this key."""
    return tuple(name for name, keys in nodes.items() if keys.ids[:1] != (key,))


def _all_seal(change: KeyChange | None, nodes: dict[str, NodeKeys], newest: str) -> bool:
    """Return whether the last change, if there was one, has come so far that all servers seal with the newest key."""
    is_its = change is None or (change.step is not Step.GIVE and change.id == newest)
    return is_its and not _not_sealing(nodes, newest)


def _stand(connection: Connection) -> tuple[KeyChange | None, dict[str, NodeKeys]]:
    """Return the change, and which keys the living servers have."""
    return change_in(connection), living_keys(connection)


def _seal_if_all_have(connection: Connection) -> None:
    """Let all seal with the new key once all that live can open with it."""
    decide_alone(connection)
    change, nodes = _stand(connection)
    if change is None or change.step is not Step.GIVE or any(change.id not in keys.ids for keys in nodes.values()):
        return
    put_change(connection, msgspec.structs.replace(change, step=Step.SEAL))
    log.info("all servers have the new key: it seals from now on", key=change.id)

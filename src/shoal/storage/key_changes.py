"""A new key that several servers take up step by step, as a row of ``store_meta`` that each of them follows.

It is given to all, sealed under the old key; once all can open with it, it seals; once nothing needs the old one and
that is to be forgotten, each drops it. Without the old key the row reveals nothing about the new one.
"""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import Connection, delete

from shoal.errors import StoreError
from shoal.storage.database import Database
from shoal.storage.schema import store_meta
from shoal.storage.store_facts import fact_of
from shoal.storage.upserts import insert_or_renew
from shoal.storage.vault import Vault, key_id, read_key_file, write_key_file

FACT: Final = "key_change"
COLUMN: Final = "store_meta.key_change"
"""The vault's name of the sealed key."""
LACKING: Final = "key_lacking"
"""The code of a failure that only the operator can end."""


class Step(StrEnum):
    """How far a change of the key has come."""

    GIVE = "give"
    """Each server loads the new key to open values with it."""
    SEAL = "seal"
    """Each server seals with the new key."""
    FORGET = "forget"
    """Each server drops every other key."""


class KeyChange(msgspec.Struct, frozen=True, kw_only=True):
    """The id of the new key, and the key itself, sealed, until the old one is forgotten."""

    id: str
    step: Step
    sealed: str = ""


def change_in(connection: Connection) -> KeyChange | None:
    """Return the change that is under way, or was the last."""
    stored = connection.scalar(fact_of(FACT))
    return None if stored is None else msgspec.json.decode(str(stored), type=KeyChange)


def put_change(connection: Connection, change: KeyChange) -> None:
    """Store a change in place of the last one."""
    row = {"key": FACT, "value": msgspec.json.encode(change).decode()}
    connection.execute(insert_or_renew(connection, store_meta, ("value",)), [row])


def take_up(change: KeyChange, vault: Vault, key_file: Path) -> bool:
    """Write the keys of the change's step to the file, then use them. Return whether that changed anything.

    Another process of the same directory may have written them. Raises ``ConfigError`` and ``StoreError``
    (``key_lacking`` when only a copy of another server's file brings the key).
    """
    keys = {key_id(key): key for key in read_key_file(key_file, required=True)}
    found, fresh = tuple(keys), bytes.fromhex(change.id)
    if fresh not in keys:
        if not change.sealed:
            raise StoreError(
                f"this server lacks the key {change.id}: copy secret.key from another server, and start it again",
                code=LACKING,
            )
        keys[fresh] = bytes.fromhex(vault.open(bytes.fromhex(change.sealed), column=COLUMN))
    wanted = list(keys)
    if change.step is not Step.GIVE:
        wanted = [fresh] if change.step is Step.FORGET else [fresh, *(one for one in keys if one != fresh)]
    if tuple(wanted) != found:
        write_key_file(key_file, [keys[one] for one in wanted])
    if vault.key_ids == tuple(wanted):
        return False
    vault.take_up([keys[one] for one in wanted])
    return True


async def take_up_at_start(database: Database, vault: Vault, key_file: Path, *, several_nodes: bool) -> None:
    """Take up a change that several servers began. A single server goes on with it alone: the new key seals at once."""
    change = await database.read(change_in)
    if change is not None and several_nodes:
        with suppress(StoreError):  # a server that lacks a key is refused when it joins
            take_up(change, vault, key_file)
    elif change is not None:
        if change.sealed:
            take_up(msgspec.structs.replace(change, step=Step.SEAL), vault, key_file)
        await database.checked()
        await database.write(lambda connection: connection.execute(delete(store_meta).where(store_meta.c.key == FACT)))

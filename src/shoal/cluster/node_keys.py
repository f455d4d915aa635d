"""Which keys each server has: a server joins only when all can read what it seals, and it what they seal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from sqlalchemy import Connection, text

from shoal.cluster.last_life import Life
from shoal.cluster.node_rows import NOW, decide_alone
from shoal.errors import ConfigError
from shoal.storage.db_manager import SEALED_FACTS
from shoal.storage.key_changes import Step, change_in
from shoal.storage.sealed_values import foreign_key
from shoal.storage.store_facts import fact_of
from shoal.storage.vault import key_id_of

_LIVING: Final = text(f"SELECT name, key_ids FROM nodes WHERE NOT dead AND expires_at_ms >= {NOW} ORDER BY name")  # noqa: S608
_ALL: Final = text(f"SELECT name, key_ids, NOT dead AND expires_at_ms >= {NOW} AS is_live FROM nodes ORDER BY name")  # noqa: S608
_STORE_KEY_IDS: Final = text("UPDATE nodes SET key_ids = :keys WHERE name = :name AND inc = :inc AND key_ids <> :keys")
_LACKS: Final = text("""
    UPDATE nodes SET draining = true, last_error = :why WHERE name = :name AND inc = :inc AND NOT draining
""")


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """The ids of a server's keys, the one that seals first; and whether they come from its setting."""

    ids: tuple[str, ...]
    from_setting: bool = False

    @classmethod
    def of(cls, key_ids: Sequence[bytes], *, from_setting: bool) -> Self:
        """Return those of a vault."""
        return cls(tuple(one.hex() for one in key_ids), from_setting)

    @classmethod
    def read(cls, stored: str) -> Self:
        """Return those of a row; a server that has not reported them yet has none."""
        origin, _, ids = stored.partition(":")
        return cls(tuple(ids.split(",")) if ids else (), origin == "setting")

    def __str__(self) -> str:
        return f"{'setting' if self.from_setting else 'file'}:{','.join(self.ids)}"


def living_keys(connection: Connection) -> dict[str, NodeKeys]:
    """Return the keys of all servers that live."""
    return {row.name: NodeKeys.read(row.key_ids) for row in connection.execute(_LIVING)}


def absent_without(connection: Connection, key: str) -> tuple[str, ...]:
    """Return the servers that do not run and did not have this key when they last ran.

    A server of which a worker lives is not among them: all its workers have one key file.
    """
    rows = connection.execute(_ALL).all()
    living = {row.name.partition("/")[0] for row in rows if row.is_live}
    lacking = {row.name.partition("/")[0] for row in rows if key not in NodeKeys.read(row.key_ids).ids}
    return tuple(sorted(lacking - living))


def store_key_ids(connection: Connection, life: Life, keys: NodeKeys) -> None:
    """Say which keys this server has. Everything that it sealed before is committed."""
    connection.execute(_STORE_KEY_IDS, {"name": life.name, "inc": life.inc, "keys": str(keys)})


def store_lack(connection: Connection, life: Life, why: str) -> None:
    """Let a server that lacks a key give up its shops."""
    connection.execute(_LACKS, {"name": life.name, "inc": life.inc, "why": why})


def join_with_keys(connection: Connection, life: Life, mine: NodeKeys) -> None:
    """Say which keys this server has, unless one lacks what another needs. Raises ``ConfigError`` then."""
    decide_alone(connection)  # of two that join, the second sees the first
    change = change_in(connection)
    if change is not None and change.step is not Step.FORGET and change.id not in mine.ids:
        raise ConfigError("startup.key_lacking", key=change.id, code="key_lacking")
    for name, other in living_keys(connection).items():
        if name == life.name or not other.ids:
            continue
        if other.ids[0] not in mine.ids:
            raise ConfigError("startup.key_of_server_lacking", name=name, key=other.ids[0], code="key_lacking")
        if mine.ids[0] not in other.ids:
            raise ConfigError("startup.key_lacking_there", name=name, key=mine.ids[0], code="key_lacking_there")
    store_key_ids(connection, life, mine)


def check_opens_all(connection: Connection, mine: NodeKeys) -> None:
    """Raise ``ConfigError`` when a value is sealed with a key that this server lacks."""
    ids = [bytes.fromhex(one) for one in mine.ids]
    stored = (connection.scalar(fact_of(name)) for name in SEALED_FACTS)
    of_facts = (key_id_of(bytes.fromhex(value)) for value in stored if value is not None)
    lacking = next((one for one in of_facts if one not in ids), None) or foreign_key(connection, ids)
    if lacking is not None:
        raise ConfigError("startup.key_lacking", key=lacking.hex(), code="key_lacking")

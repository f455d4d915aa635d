"""Every encrypted value of the database: its column, its owner and its key, and how to encrypt it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, LargeBinary, RowMapping, Table, and_, exists, func, or_, select, update

from shoal.errors import StoreError
from shoal.storage.schema import metadata
from shoal.storage.vault import KEY_ID_AT, KEY_ID_BYTES, Vault


class SealedColumn(msgspec.Struct, frozen=True):
    """A column of encrypted values, by one convention: it is binary, and named ``sealed`` or ``…_sealed``.

    ``label`` is the vault's name of the ``column``: ``accounts.cookie`` for ``accounts.cookie_sealed``.
    """

    table: Table
    name: str

    @property
    def label(self) -> str:
        """The vault's name of the column."""
        return f"{self.table.name}.{self.name.removesuffix('_sealed')}"

    def whose(self, row: RowMapping) -> dict[str, Any]:
        """Return whose value it is, as the vault's arguments: an account's, a user's, or the server's."""
        for kind, owners in (("account_id", "accounts"), ("user_id", "users")):
            if self.table.name == owners:
                return {kind: row["id"]}
            if kind in self.table.c:
                return {kind: row[kind]}
        return {"user_id": row["owner_id"]} if "owner_id" in self.table.c else {}


class Batch(msgspec.Struct, frozen=True):
    """The result of one step: how many values were encrypted again, which could not be decrypted, and where the next
    step begins."""

    renewed: int
    unreadable: int
    after: tuple[Any, ...] | None


@cache
def sealed_columns() -> tuple[SealedColumn, ...]:
    """Return every column with encrypted values."""
    return tuple(
        SealedColumn(table, column.name)
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, LargeBinary) and (column.name == "sealed" or column.name.endswith("_sealed"))
    )


def count_by_key(connection: Connection) -> Counter[bytes]:
    """Return how many values each key encrypts, by key id."""
    counted: Counter[bytes] = Counter()
    for place in sealed_columns():
        key = _key_of(place)
        query = select(key, func.count()).where(place.table.c[place.name].is_not(None)).group_by(key)
        for key_id, count in connection.execute(query):
            counted[bytes(key_id)] += count
    return counted


def foreign_key(connection: Connection, key_ids: Collection[bytes]) -> bytes | None:
    """Return the id of a key that encrypts a value and is none of these."""
    for place in sealed_columns():
        key = _key_of(place)
        query = select(key).where(place.table.c[place.name].is_not(None), key.not_in(key_ids)).limit(1)
        if (found := connection.scalar(query)) is not None:
            return bytes(found)
    return None


def seal_anew(
    connection: Connection, vault: Vault, place: SealedColumn, *, after: tuple[Any, ...] | None, limit: int
) -> Batch:
    """Encrypt the next values of a column that do not have the newest key. A value that cannot be decrypted stays."""
    column, keys = place.table.c[place.name], list(place.table.primary_key.columns)
    old = (
        select(place.table).where(column.is_not(None), _key_of(place) != vault.key_ids[0]).order_by(*keys).limit(limit)
    )
    if after is not None:
        old = old.where(_beyond(keys, after))
    renewed = unreadable = 0
    last: tuple[Any, ...] | None = None
    for row in connection.execute(old).mappings().all():
        last, whose = tuple(row[key.name] for key in keys), place.whose(row)
        try:
            text = vault.open(row[place.name], column=place.label, **whose)
        except StoreError:
            unreadable += 1
            continue
        same = and_(*(key == value for key, value in zip(keys, last, strict=True)), column == row[place.name])
        fresh = {place.name: vault.seal(text, column=place.label, **whose)}
        renewed += connection.execute(update(place.table).where(same).values(fresh)).rowcount
    return Batch(renewed, unreadable, last)


def _key_of(place: SealedColumn) -> Any:
    return func.substr(place.table.c[place.name], KEY_ID_AT + 1, KEY_ID_BYTES, type_=LargeBinary)


def _beyond(keys: list[Any], after: tuple[Any, ...]) -> Any:
    """Return rows whose key comes after the given one, in the order of the keys."""
    return or_(
        *(
            and_(*(key == value for key, value in zip(keys[:place], after, strict=False)), keys[place] > after[place])
            for place in range(len(keys))
        )
    )


def has_sealed_values(connection: Connection) -> bool:
    """Return whether any column holds a secret that only the present keys can decrypt."""
    columns = [column for table in metadata.sorted_tables for column in table.columns]
    sealed = [exists().where(column.is_not(None)) for column in columns if isinstance(column.type, LargeBinary)]
    return bool(connection.scalar(select(or_(*sealed))))

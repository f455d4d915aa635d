"""What is told of the store, on both databases, and while one does not answer."""

from __future__ import annotations

import pytest

from shoal.errors import StoreError
from shoal.storage.database_stats import database_stats
from support.databases.store_steps import Place


async def test_a_store_tells_its_kind_version_schema_and_size(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    database = await place.open_again()
    figures = await database_stats(database, place.data_dir)
    assert figures.kind == ("postgresql" if place.url else "sqlite")
    assert figures.version
    assert figures.version[0].isdigit()
    assert figures.schema
    assert (figures.size or 0) > 10_000
    assert (figures.free or 0) > 0
    assert (figures.waiting, figures.degraded) == (0, False)

    async def broken(_: object) -> None:
        raise StoreError("no answer")

    monkeypatch.setattr(database, "read", broken)
    unread = await database_stats(database, place.data_dir)
    assert (unread.kind, unread.version, unread.schema, unread.size) == (figures.kind, None, None, None)
    assert unread.free

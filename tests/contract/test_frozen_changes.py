"""What a server took before it stood still beyond its lease is never applied: the others have said that it was not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from shoal.cluster.lease_watchdog import boot_clock
from support.databases.postgres_server import Postgres
from support.servers.door_pairs import DoorPair, open_door_pair
from support.site.standins import until

PATH = "/cookies/shop/settings"
_OVER = text("UPDATE nodes SET expires_at_ms = 1 WHERE name = 'b'")


@pytest.fixture
async def pair(postgres: Postgres, tmp_path: Path) -> AsyncIterator[DoorPair]:
    with postgres.database(migrated=True) as url:
        async with open_door_pair(tmp_path, url) as opened, opened.answering():
            yield opened


@contextmanager
def frozen_writer(
    pair: DoorPair, monkeypatch: pytest.MonkeyPatch, at_once: Callable[[], bool] = lambda: True
) -> Iterator[threading.Event]:
    """Hold the owner's next transaction where it has begun; yield what is set once it stands there.

    ``at_once``: whether it is the next already."""
    stands, goes_on = threading.Event(), threading.Event()

    def point(at: str) -> None:
        if at == "statement" and at_once():
            stands.set()
            goes_on.wait()

    writer = pair.owner.server.database.group_writer
    monkeypatch.setattr(writer, "_point", point)
    try:
        yield stands
    finally:
        monkeypatch.setattr(writer, "_point", lambda _: None)
        goes_on.set()


async def outlive_the_lease(pair: DoorPair) -> Any:
    """Let the owner's lease run out, here and in the database, without a renewal. Return the owner."""
    node = pair.owner.server.nodes._ownership
    assert node is not None
    for task in node._keeping:
        task.cancel()
    node._watchdog.close()  # it would end this process, which stands for two
    node._deadline = boot_clock()
    await pair.other.server.database.write(lambda connection: connection.execute(_OVER).rowcount)
    return node


@pytest.mark.parametrize("key", ["k1", ""])
async def test_a_change_that_was_told_as_not_applied_is_refused_when_its_server_wakes(
    pair: DoorPair, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    headers = {"Idempotency-Key": key} if key else {}
    with frozen_writer(pair, monkeypatch) as stands:  # with a key, the first that it writes is the row of the key
        change = asyncio.create_task(pair.owner.call("PATCH", PATH, 503, json={"remark": "late"}, headers=headers))
        await until(stands.is_set)
        await outlive_the_lease(pair)
        assert (await pair.other.call("GET", f"/ops/{key or 'unknown'}"))["state"] == "not_applied"
    refused = await change
    assert refused["code"] == "not_applied"
    assert (await pair.other.call("GET", f"/ops/{refused['op_id']}"))["state"] == "not_applied"
    assert (await pair.other.call("GET", "/cookies/shop"))["remark"] == ""


async def test_a_request_with_a_key_changes_nothing_in_a_later_life_of_its_server(pair: DoorPair) -> None:
    """It waited for its turn while its server stood still, so it is submitted only after that joined again."""
    manager, headers = pair.owner.server.manager, {"Idempotency-Key": "k1"}
    hold = await manager.locks.acquire("shop", "update_keywords")
    change = asyncio.create_task(pair.owner.call("PATCH", PATH, 503, json={"remark": "late"}, headers=headers))
    await until(lambda: manager.locks.figures().waiting == 1)
    node = await outlive_the_lease(pair)
    assert (await pair.other.call("GET", "/ops/k1"))["state"] == "not_applied"
    assert await asyncio.to_thread(node._rejoin)
    hold.release()
    assert (await change)["code"] == "not_applied"
    assert (await pair.other.call("GET", "/cookies/shop"))["remark"] == ""
    again = await pair.owner.call("PATCH", PATH, json={"remark": "late"}, headers=headers)
    assert again["generation"] == 2, "the same request in the new life"
    assert (await pair.other.call("GET", "/ops/k1"))["state"] == "applied"


async def test_goods_that_a_frozen_server_took_are_not_made_once_another_server_may_make_them(
    pair: DoorPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goods have no entry in the history, so no answer says that they were not made; but they are made once."""
    asked: Any = {"json": {"name": "教程", "kind": "fixed", "text": "谢谢"}, "headers": {"Idempotency-Key": "k1"}}
    database, is_asked = pair.owner.server.database, threading.Event()
    write = database.write

    async def seen(job: Callable[[Connection], Any], *more: Any) -> Any:
        if getattr(job, "__module__", "").startswith("shoal.goods"):
            is_asked.set()
        return await write(job, *more)

    monkeypatch.setattr(database, "write", seen)
    with frozen_writer(pair, monkeypatch, is_asked.is_set) as stands:  # not at the row of the key
        late = asyncio.create_task(pair.owner.call("POST", "/goods", 503, **asked))
        await until(stands.is_set)
        await outlive_the_lease(pair)
        assert (await pair.other.call("GET", "/ops/k1"))["state"] == "unknown"
        made = await pair.other.call("POST", "/goods", **asked)
    assert (await late)["code"] == "not_applied"
    assert [one["id"] for one in (await pair.other.call("GET", "/goods"))["items"]] == [made["id"]]
    assert (await pair.other.call("GET", "/ops/k1"))["state"] == "applied"

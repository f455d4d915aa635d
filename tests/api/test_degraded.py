"""What callers get while the outcome of a commit is unknown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from support.servers.doors import Door, open_door
from support.site.standins import cookie_of, until


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    """A server whose callers wait five minutes for the lock of an account."""
    async with open_door(tmp_path / "data", lock_wait_seconds=300) as opened:
        await opened.add()
        yield opened


def _fill_the_disk(door: Door) -> None:
    """Every COMMIT fails, and so does every question what became of one."""
    writer = door.server.database.group_writer

    def fail(point: str) -> None:
        if point in {"commit", "barrier"}:
            raise OSError(28, "no room")

    writer._point, writer._settle_seconds, writer._reopen_seconds = fail, 0.3, (0.05, 0.1)


def _codes(answers: list[httpx.Response]) -> set[tuple[int, str]]:
    return {(answer.status_code, answer.json()["code"]) for answer in answers}


async def test_f7_who_waits_for_an_account_whose_outcome_is_unknown_hears_at_once_that_the_store_is_degraded(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.add("two", 2)
    writes: list[object] = []

    async def observed(*facts: object) -> None:  # a write of its own, that must not be the one that degrades the store
        writes.append(facts)

    monkeypatch.setattr(door.server.store, "observe", observed)
    await until(lambda: door.server.database.group_writer.waiting == 0)
    await door.server.database.write(lambda _: None)
    _fill_the_disk(door)

    async def change(name: str, remark: str) -> httpx.Response:
        return await door.client.put(f"/cookies/{name}/remark", json={"remark": remark})

    first = asyncio.create_task(change("shop", "unknown"))
    await until(lambda: bool(door.server.manager.pending))
    waiting = [asyncio.create_task(change("shop", f"waits{number}")) for number in range(3)]
    locks = door.server.manager.locks
    await until(lambda: locks.figures().waiting == 3)
    async with asyncio.timeout(60):  # who waits for the lock itself waits five minutes
        answer = await first
        assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown")
        late = [await change(name, "late") for name in ("shop", "two")]
        late.append(await door.client.delete("/cookies/shop"))
        late.append(await door.client.post("/cookies", json={"id": "shop", "value": cookie_of(1, secret="s2")}))
        batch = {"updates": {"shop": False, "two": False}}
        late.append(await door.client.put("/cookies/status?mode=atomic", json=batch))
        assert _codes([*await asyncio.gather(*waiting), *late]) == {(503, "store_degraded")}
    assert locks.figures().waiting == 0
    assert (await door.call("GET", "/cookies/shop"))["desired"]["remark"] == ""
    door.server.database.group_writer._point = lambda _: None
    await until(lambda: not door.server.database.degraded and locks.figures().held == 0)
    assert (await change("shop", "mended")).status_code == 200
    assert len(locks) == 0

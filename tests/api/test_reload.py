"""What another program wrote, and who may have it read again."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from shoal.accounts.store import Contents
from shoal.auth.users import Role
from shoal.concurrency.single_flight import SingleFlight
from shoal.storage.data_directory import DATABASE_FILE
from support.servers.doors import Door, another_person, client_of, open_door
from support.site.standins import cookie_of, until

RELOAD = ("POST", "/system/reload-cache")


async def test_a_reload_under_way_ends_with_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def lasting(**_: object) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with open_door(tmp_path) as door:
        monkeypatch.setattr(door.server.manager, "compare_with_db", lasting)
        asking = asyncio.create_task(door.server.reload.look())
        await asyncio.wait_for(began.wait(), 60)
    assert ended.is_set()
    await asyncio.wait({asking})
    assert asking.cancelled()


async def _by_another_program(door: Door, *statements: str) -> None:
    """Write into the file beside the server."""
    path = door.server.settings.data_dir / DATABASE_FILE

    def write() -> None:
        with closing(sqlite3.connect(path, timeout=20)) as other, other:
            for statement in statements:
                other.execute(statement)

    await asyncio.to_thread(write)


async def test_f7_a_reload_tells_what_another_program_wrote_and_the_history_names_it(door: Door) -> None:
    await door.call("POST", "/keywords/shop", json={"keywords": {"在吗": "在的"}})
    await _by_another_program(
        door, "UPDATE accounts SET remark = 'by hand', auto_confirm = 1 WHERE id = 'shop'", "DELETE FROM rules"
    )
    before = await door.call("GET", "/cookies/shop")
    seen = await door.call(*RELOAD, params={"dry_run": True})
    (row,) = seen["differences"]
    assert (seen["success"], seen["differed"], row["id"], row["outside"], row["taken_over"]) == (
        True, 1, "shop", True, False,
    )  # fmt: skip
    assert row["fields"] == ["auto_confirm", "keywords", "remark"]
    assert row["changes"]["remark"] == ["", "by hand"]
    assert await door.call("GET", "/cookies/shop") == before
    done = await door.call(*RELOAD)
    assert (done["message"], done["success"], done["differed"]) == ("系统缓存已刷新", True, 1)
    assert done["differences"] == [{**row, "taken_over": True}]
    after = await door.call("GET", "/cookies/shop")
    assert (after["desired"]["remark"], after["desired"]["auto_confirm"]) == ("by hand", True)
    assert after["generation"] == before["generation"] + 1
    assert await door.call("GET", "/keywords/shop") == []
    entry = (await door.call("GET", "/cookies/shop/history"))["items"][0]
    assert (entry["actor"], entry["generation"]) == ("outside", after["generation"])
    assert (await door.call(*RELOAD))["differed"] == 0


async def test_f7_another_programs_switch_is_acted_on(door: Door) -> None:
    await _by_another_program(door, "UPDATE accounts SET enabled = 0 WHERE id = 'shop'")
    assert door.site.live["shop"] == 1
    await door.call(*RELOAD)
    await until(lambda: door.site.live["shop"] == 0)


async def test_f7_an_administrator_sees_which_shop_of_others_differs_and_not_what_is_in_it(door: Door) -> None:
    async with another_person(door) as bob:
        await bob.add("bobs", 2)
        rule = """('bobs', '', '', '', '[{"text":"card 1234"}]')"""
        columns = "account_id, item_id, title_contains, spec, parts"
        await _by_another_program(door, f"INSERT INTO delivery_rules ({columns}) VALUES {rule}")  # noqa: S608
        answer = await door.client.post("/system/reload-cache?dry_run=1")
        (row,) = answer.json()["differences"]
        assert (row["id"], row["fields"], row["changes"]) == ("bobs", ["paid_message"], None)
        assert "1234" not in answer.text
        await door.call(*RELOAD)
        entry = (await bob.call("GET", "/cookies/bobs/history"))["items"][0]
        assert (entry["actor"], entry["changes"]) == ("outside", {"paid_message": ["", "card 1234"]})


async def test_f7_what_cannot_be_taken_over_is_told_beside_what_was(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.add("two", 2)
    await _by_another_program(door, "UPDATE accounts SET remark = 'by hand'")
    monkeypatch.setattr(door.server.manager.locks, "_wait_seconds", 0.05)
    hold = await door.server.manager.locks.acquire("two", "test")
    found = await door.call(*RELOAD, 207)
    hold.release()
    rows = {row["id"]: (row["taken_over"], row["code"]) for row in found["differences"]}
    assert (found["success"], rows) == (False, {"shop": (True, ""), "two": (False, "lock_timeout")})
    assert (await door.call(*RELOAD))["differed"] == 1


async def test_f10_a_reload_is_for_administrators_who_are_signed_in(door: Door) -> None:
    async with client_of(door.app) as anybody:
        assert (await anybody.post("/system/reload-cache")).status_code == 401
    for name, role in (("bob", Role.OWNER), ("sue", Role.STAFF)):
        async with another_person(door, name, role) as other:
            for dry in ("", "?dry_run=1"):
                assert (await other.call("POST", f"/system/reload-cache{dry}", 403))["code"] == "forbidden"
    made = await door.call("POST", "/tokens", json={"name": "script", "scope": "manage"})
    async with client_of(door.app, made["token"]) as script:
        answer = await script.post("/system/reload-cache")
        assert (answer.status_code, answer.json()["code"]) == (403, "token_not_allowed")


class _Readings:
    """The readings of the whole store, each of which waits until it may go on, and who asked for one."""

    def __init__(self, door: Door, monkeypatch: pytest.MonkeyPatch, goes_on: Callable[[], bool]) -> None:
        self.at_once: list[int] = []
        """For each reading how many there were then."""
        self.asked = self.read = 0
        load, next_result, under_way = door.server.store.load, SingleFlight.next_result, 0
        flights = door.server.reload._look, door.server.reload._take_over

        async def counted() -> Contents:
            nonlocal under_way
            under_way += 1
            self.at_once.append(under_way)
            try:
                contents = await load()
                self.read += 1
                await until(goes_on)
                return contents
            finally:
                under_way -= 1

        async def asked(flight: SingleFlight[Any]) -> Any:
            self.asked += flight in flights
            return await next_result(flight)

        monkeypatch.setattr(door.server.store, "load", counted)
        monkeypatch.setattr(SingleFlight, "next_result", asked)


async def test_f10_many_reloads_at_once_are_one_and_then_one_for_all_who_came_meanwhile(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = 40
    readings = _Readings(door, monkeypatch, lambda: readings.asked == everybody)
    answers = await asyncio.gather(*(door.client.post("/system/reload-cache") for _ in range(40)))
    assert {answer.status_code for answer in answers} == {200}
    assert readings.at_once == [1] * 2
    everybody += 20
    looks = (door.client.post("/system/reload-cache?dry_run=1") for _ in range(10))
    await asyncio.gather(*looks, *(door.client.post("/system/reload-cache") for _ in range(10)))
    assert readings.at_once == [1] * (2 + 4)


async def test_f10_who_asks_during_a_reload_hears_of_what_they_wrote_before_they_asked(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = _Readings(door, monkeypatch, lambda: readings.asked == 2)
    first = asyncio.create_task(door.client.post("/system/reload-cache"))
    await until(lambda: readings.read == 1)
    await _by_another_program(door, "UPDATE accounts SET remark = 'late' WHERE id = 'shop'")
    assert (await door.call(*RELOAD))["differed"] == 1
    assert (await first).json()["differed"] == 0
    assert door.account().remark == "late"


async def test_f10_a_reload_whose_caller_left_goes_on_for_the_others(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_left = asyncio.Event()
    readings = _Readings(door, monkeypatch, has_left.is_set)
    await _by_another_program(door, "UPDATE accounts SET remark = 'by hand' WHERE id = 'shop'")
    first = asyncio.create_task(door.client.post("/system/reload-cache"))
    await until(lambda: readings.read == 1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    has_left.set()
    await until(lambda: door.account().remark == "by hand")
    assert (await door.call("POST", "/cookies", json={"id": "two", "value": cookie_of(2)}))["generation"] == 1

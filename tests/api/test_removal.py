"""Removing an account: what "removed" promises, and what is said while the deletion has not ended."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from shoal.errors import NotApplied
from support.servers.doors import Door, another_person, client_of, open_door
from support.site.standins import cookie_of, until


def _slow_purge(door: Door, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let every purge come later, as one does that waits for a busy writer."""
    store, purge = door.server.store, door.server.store.purge

    async def later(account_id: str) -> None:
        await asyncio.sleep(seconds)
        await purge(account_id)

    monkeypatch.setattr(store, "purge", later)


async def _again(door: Door, account_id: str, number: int) -> dict[str, Any]:
    answer: dict[str, Any] = await door.call(
        "POST", "/cookies", params={"wait": 0}, json={"id": account_id, "value": cookie_of(number)}
    )
    return answer


async def test_f5_an_id_whose_removal_was_answered_can_be_taken_at_once(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    _slow_purge(door, monkeypatch, 0.1)
    for round_ in range(4):
        gone = await door.call("DELETE", "/cookies/shop")
        assert (gone["msg"], gone["purged"], gone["state"]) == ("removed", True, "stopped")
        assert (await _again(door, "shop", 1))["generation"] == 2 * round_ + 3


async def test_f5_many_removals_at_once_by_a_browser_leave_every_id_free(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page removes with the console's sign-in and a key for each request."""
    _slow_purge(door, monkeypatch, 0.1)
    for number in range(2, 10):
        await _again(door, f"shop{number}", number)
    token = await door.server.sessions.open(1, 3600, kind="console")
    async with client_of(door.app) as browser:
        browser.cookies.set("shoal_session", token)
        browser.headers.update({"Origin": "http://shoal.test", "Sec-Fetch-Site": "same-origin"})

        async def renew(number: int) -> None:
            key = {"Idempotency-Key": f"remove-{number}"}
            gone = await browser.delete(f"/cookies/shop{number}", headers=key)
            assert (gone.status_code, gone.json()["msg"]) == (200, "removed"), gone.text
            made = await browser.post(
                "/cookies?wait=0",
                json={"id": f"shop{number}", "value": cookie_of(number)},
                headers={"Idempotency-Key": f"add-{number}"},
            )
            assert made.status_code == 200, made.text

        await asyncio.gather(*(renew(number) for number in range(2, 10)))


async def test_f5_the_shops_of_a_removed_person_can_be_added_at_once(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    _slow_purge(door, monkeypatch, 0.1)
    async with another_person(door) as bob:
        for number in (2, 3, 4):
            await bob.add(f"bobs{number}", number)
    gone = await door.call("DELETE", "/users/2")
    assert gone["removed"]
    for number, name in zip((2, 3, 4), gone["shops"], strict=True):
        assert (await _again(door, name, number))["generation"] == 3


async def test_f5_a_removal_that_has_not_ended_within_its_wait_says_so(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data", stop_wait_seconds=0.2) as door:
        await door.add()
        released = door.site.hold_farewells()
        gone = await door.call("DELETE", "/cookies/shop")
        assert (gone["msg"], gone["purged"], gone["state"]) == ("removing", False, "stopping")
        assert (await door.call("GET", "/cookies")) == []
        released.set()
        await until(lambda: "shop" not in door.server.manager.tasks)
        assert (await _again(door, "shop", 1))["generation"] == 3


async def test_f5_a_purge_that_the_database_refuses_is_told_and_a_repeat_waits_for_it(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection has ended, the account is gone, and its rows cannot be removed yet."""
    purge = door.server.store.purge

    async def full(_: str) -> None:
        raise NotApplied("the disk is full")

    monkeypatch.setattr(door.server.store, "purge", full)
    key = {"Idempotency-Key": "k1"}
    gone = await door.call("DELETE", "/cookies/shop", params={"wait": 0.2}, headers=key)
    assert (gone["msg"], gone["purged"], gone["state"]) == ("removing", False, "stopped")
    monkeypatch.setattr(door.server.store, "purge", purge)
    await until(lambda: "shop" not in door.server.manager.tasks)
    assert (await _again(door, "shop", 1))["generation"] == 3


async def test_f5_a_removal_that_is_asked_again_waits_for_the_purge_of_the_first(door: Door) -> None:
    released = door.site.hold_farewells()
    key = {"Idempotency-Key": "k1"}
    first = await door.call("DELETE", "/cookies/shop", params={"wait": 0}, headers=key)
    assert (first["msg"], first["purged"]) == ("removing", False)
    early = await door.client.post("/cookies", json={"id": "shop", "value": cookie_of(1)})
    assert (early.status_code, early.json()["code"]) == (409, "account_vanishing")
    released.set()
    await until(lambda: "shop" not in door.server.manager.tasks)
    again = await door.call("DELETE", "/cookies/shop", params={"wait": 0}, headers=key)
    assert (again["msg"], again["purged"], again["generation"]) == ("removed", True, first["generation"])
    assert (await _again(door, "shop", 1))["generation"] == 3


async def test_f5_a_repeated_removal_waits_within_its_stop_wait(tmp_path: Path) -> None:
    """The caller went away during the first one; the second finds its op, and waits for what it began."""
    async with open_door(tmp_path / "data") as door:
        await door.add()
        door.site.farewell_seconds = 0.3
        key = {"Idempotency-Key": "k1"}
        first = asyncio.create_task(door.client.delete("/cookies/shop", headers=key))
        await until(lambda: "shop" not in door.server.manager.accounts)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        gone = await door.call("DELETE", "/cookies/shop", headers=key)
        assert (gone["msg"], gone["purged"], gone["generation"]) == ("removed", True, 2)
        assert (await _again(door, "shop", 1))["generation"] == 3

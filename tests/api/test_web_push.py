"""A browser as a channel: its key, its end by the push service, and what open pages do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shoal.notices.push_sender import PushKey
from shoal.storage.db_manager import PUSH_SECRET
from support.notices.push_service import BrowserKeys, PushService, push_service
from support.servers.doors import Door, another_person
from support.site.standins import until_told


@pytest.fixture
async def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PushService]:
    async with push_service(tmp_path, monkeypatch) as running:
        yield running


async def test_the_key_is_made_once_and_kept_sealed(door: Door) -> None:
    database, vault = door.server.database, door.server.notices.push_key._vault
    stored = await database.fact(PUSH_SECRET)
    assert stored is not None, "made at the start: a read stores nothing"
    key = (await door.call("GET", "/push/key"))["key"]
    assert await database.fact(PUSH_SECRET) == stored
    assert (await door.call("GET", "/push/key"))["key"] == key
    assert await PushKey(database, vault).public() == key
    await door.call("POST", "/system/keys/rotate")

    async def is_renewed() -> bool:
        rotating = (await door.call("GET", "/system/keys"))["rotating"]
        return not rotating and await database.fact(PUSH_SECRET) != stored

    await until_told(is_renewed, True)
    await door.call("POST", "/system/keys/forget")
    assert await PushKey(database, vault).public() == key


async def test_a_browser_that_ended_its_subscription_ends_the_channel_and_its_user_learns_it(
    door: Door, service: PushService
) -> None:
    browser = BrowserKeys()
    body = {"name": "Chrome · Windows", "service": "webpush", "fields": browser.fields(service.url)}
    channel = (await door.call("POST", "/channels", json=body))["id"]
    path = f"/channels/{channel}"
    assert await door.call("POST", f"{path}/test") == {"sent": True, "answer": "HTTP 201"}
    assert browser.read(service.pushed[0][1])["title"] == "测试通知"
    service.answers.append((410, {}))
    assert (await door.call("POST", f"{path}/test"))["sent"] is False
    found = await door.call("GET", path)
    assert (found["active"], found["off_reason"], found["address"]) == (False, "gone", "webpush://***")
    (incident,) = (await door.call("GET", "/incidents?open=1"))["items"]
    assert (incident["kind"], incident["closed_at_ms"]) == ("channel_ended", None)
    assert "Chrome · Windows" in incident["detail"]
    again = {"fields": BrowserKeys().fields(service.url), "active": True}
    found = await door.call("PATCH", path, json=again)
    assert (found["active"], found["off_reason"]) == (True, "")
    assert (await door.call("GET", "/incidents?open=1"))["items"] == []
    service.answers.append((404, {}))
    await door.call("POST", f"{path}/test")
    assert len((await door.call("GET", "/incidents?open=1"))["items"]) == 1
    await door.call("DELETE", path)
    assert (await door.call("GET", "/incidents?open=1"))["items"] == []


async def test_a_renewed_subscription_is_not_ended_by_an_answer_about_the_old_one(
    door: Door, service: PushService
) -> None:
    body = {"name": "b", "service": "webpush", "fields": BrowserKeys().fields(service.url)}
    made = await door.call("POST", "/channels", json=body)
    before = await door.server.notices.channels.get(1, made["id"])
    await door.call("PATCH", f"/channels/{made['id']}", json={"fields": BrowserKeys().fields(service.url)})
    await door.server.notices.channels.end(before)
    assert (await door.call("GET", f"/channels/{made['id']}"))["active"] is True


async def test_each_user_chooses_what_open_pages_do(door: Door) -> None:
    plain = {"title": True, "sound": False, "notify": False, "accounts": []}
    assert await door.call("GET", "/me/alerts") == plain
    chosen = {"title": False, "sound": True, "notify": True, "accounts": ["shop"]}
    assert await door.call("PUT", "/me/alerts", json=chosen) == chosen
    assert await door.call("GET", "/me/alerts") == chosen
    await door.call("DELETE", "/cookies/shop")
    louder = {**chosen, "title": True}
    assert await door.call("PUT", "/me/alerts", json=louder) == louder, "a shop that is gone holds nothing up"
    assert await door.call("PUT", "/me/alerts", json=plain) == plain
    async with another_person(door) as bob:
        assert await bob.call("GET", "/me/alerts") == plain
        refused = await bob.call("PUT", "/me/alerts", 404, json=chosen)
        assert refused["code"] == "unknown_account"

"""One keyed request of every kind of change, and what a test needs to repeat it."""

from __future__ import annotations

from typing import Any

import httpx

from support.servers.doors import Door
from support.site.standins import cookie_of

KEY = {"Idempotency-Key": "k1"}

Request = tuple[str, str, dict[str, Any] | None]

CHANGES: dict[str, Request] = {
    "remark": ("PUT", "/cookies/shop/remark", {"remark": "new"}),
    "switch": ("PUT", "/cookies/shop/status", {"enabled": False}),
    "resume": ("POST", "/cookies/shop/resume", None),
    "settings": ("PATCH", "/cookies/shop/settings", {"default_reply": "稍等"}),
    "keywords": ("POST", "/keywords/shop", {"keywords": {"a": "1", "c": "3"}}),
    "one keyword": ("DELETE", "/keywords/shop/0", None),
    "item": ("PUT", "/cookies/shop/items/7001", {"reply": "有货"}),
    "nothing": ("DELETE", "/cookies/shop/items/7009", None),
    "renew": ("PUT", "/cookies/shop", {"id": "shop", "value": cookie_of(1, secret="s2")}),
    "add": ("POST", "/cookies", {"id": "two", "value": cookie_of(2)}),
    "remove": ("DELETE", "/cookies/shop", None),
    "batch": ("PUT", "/cookies/status", {"updates": {"shop": False, "nobody": True}}),
    "atomic batch": ("PUT", "/cookies/status?mode=atomic", {"updates": {"shop": False}}),
}


async def send_keyed(door: Door, request: Request, **headers: str) -> httpx.Response:
    method, path, body = request
    return await door.client.request(method, path, json=body, headers={**KEY, **headers})


async def prepare(door: Door) -> None:
    await door.call("POST", "/keywords/shop", json={"keywords": {"a": "1", "b": "2"}})


async def journal_of(door: Door) -> list[tuple[str, int]]:
    return [(entry.account_id, entry.generation) for entry in await door.server.store.journal()]


def assert_same(again: httpx.Response, first: httpx.Response) -> None:
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    for name in ("etag", "content-type", "content-length"):
        assert again.headers.get(name) == first.headers.get(name)

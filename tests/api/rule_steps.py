"""Steps of the tests of rules: add one, list them."""

from __future__ import annotations

from typing import Any

from support.servers.doors import Door

FULL: dict[str, Any] = {
    "words": [" 包邮 ", "邮费"], "word_mode": "all", "match_mode": "whole_word", "item_ids": ["7001", "7002"],
    "priority": 5, "schedule": [{"weekdays": [7, 6], "start": "22:00", "end": "06:00"}],
    "parts": [{"text": "包邮的"}, {"image_url": "https://img.alicdn.com/a.png"}], "delay_seconds": [0.5, 2],
    "cooldown_seconds": 60, "active": False,
}  # fmt: skip


async def add(door: Door, **body: Any) -> Any:
    return (await door.call("POST", "/cookies/shop/rules", json=body))["rule"]


async def listed(door: Door, **query: Any) -> list[Any]:
    items: list[Any] = (await door.call("GET", "/cookies/shop/rules", params=query))["items"]
    return items

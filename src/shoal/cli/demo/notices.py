"""The demo's notices: a channel to a receiver of the sandbox, and goods that are sold out: an open incident."""

from __future__ import annotations

from typing import Any, Final

from shoal.cli.api_client import ApiClient

CHANNEL: Final = "演示群"
SOLD_OUT: Final = "体验卡"


async def add_notices(client: ApiClient, sandbox: str) -> None:
    """Add the channel first, so that it is notified of the incident."""
    channel: dict[str, Any] = {"name": CHANNEL, "service": "webhook", "fields": {"url": f"{sandbox}/hook/demo"}}
    await client.call("POST", "channels", body=channel)
    goods = await client.call("POST", "goods", body={"name": SOLD_OUT, "kind": "stock"})
    path = ("goods", str(goods["id"]), "units")
    await client.call("POST", *path, body={"lines": ["TIYAN-0001"]})
    (unit,) = (await client.call("GET", *path))["items"]
    await client.call("POST", *path, str(unit["id"]), "void", body={"reason": "已过期"})

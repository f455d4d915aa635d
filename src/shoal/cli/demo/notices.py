"""The demo's notices: a channel to a receiver of the sandbox, and goods that are sold out: an open incident."""

from __future__ import annotations

from typing import Any, Final

from shoal.cli.api_client import ApiClient

CHANNEL: Final = "演示群"
SOLD_OUT: Final = "体验卡"


async def add_notices(client: ApiClient, sandbox: str) -> None:
    """Add the channel first, so that it is notified of the incident."""
    channel: dict[str, Any] = {"name": CHANNEL, "service": "webhook", "fields": {"url": f"{sandbox}/hook/demo"}}
    await client.ask("POST /channels", body=channel)
    goods = str((await client.ask("POST /goods", body={"name": SOLD_OUT, "kind": "stock"}))["id"])
    await client.ask("POST /goods/{goods_id}/units", goods_id=goods, body={"lines": ["TIYAN-0001"]})
    (unit,) = (await client.ask("GET /goods/{goods_id}/units", goods_id=goods))["items"]
    path = {"goods_id": goods, "unit_id": str(unit["id"])}
    await client.ask("POST /goods/{goods_id}/units/{unit_id}/void", body={"reason": "已过期"}, query=None, **path)

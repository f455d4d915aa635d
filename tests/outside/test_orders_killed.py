"""The server process is killed at each step of an order that the site can hold: nothing is done twice or forgotten."""

from __future__ import annotations

import json
from signal import SIGKILL
from typing import Any

import pytest

from benchmarks.processes import SandboxProcess, ServerProcess, clean_environment, soon
from support.runs.warm_start import ran

pytestmark = pytest.mark.outside

WORD = "网盘链接"


class Shop:
    """One paid shop on a server that may be killed."""

    def __init__(self, server: ServerProcess, sandbox: SandboxProcess, unb: str) -> None:
        self.server, self.sandbox, self.unb = server, sandbox, unb

    @classmethod
    async def open(cls, server: ServerProcess, sandbox: SandboxProcess) -> Shop:
        seller = (await sandbox.get("sellers"))["items"][0]
        await server.add("shop", seller["cookie"])
        settings = {"paid_message": f"{WORD} {{order_id}}", "free_shipping": True}
        await server.ok("PATCH", "/cookies/shop/settings", settings)
        await server.ok("PUT", "/cookies/shop/auto-confirm", {"auto_confirm": True})
        return cls(server, sandbox, str(seller["unb"]))

    async def pay_and_kill(self, which: str, card: str) -> str:
        """A buyer pays; the server is killed while the site holds an answer back; it starts again."""
        await self.sandbox.do("fault", account=self.unb, kind="hold", which=which)
        paid = await self.sandbox.do("pay", account=self.unb, buyer="小鱼", card=card)

        async def is_held() -> bool:
            return any(fault.get("held") for fault in (await self.sandbox.get("state"))["faults"])

        await soon(is_held)
        await self.server.end(SIGKILL)
        await self.sandbox.do("fault/release")
        await self.server.start()
        return str(paid["order_id"])

    async def order(self, order_id: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.server.ok("GET", f"/cookies/shop/orders/{order_id}")
        return found

    async def becomes(self, order_id: str, *, status: str = "", problem: str = "") -> dict[str, Any]:
        """Wait until an order stands so; returns it."""

        async def stands() -> bool:
            for order in (await self.server.ok("GET", f"/orders?q={order_id}"))["items"]:
                code = (order["problem"] or {"code": ""})["code"]
                return bool((not status or order["status"] == status) and code == problem)
            return False

        await soon(stands)
        return await self.order(order_id)

    async def calls(self, api: str) -> int:
        items = (await self.sandbox.get("calls", account=self.unb))["items"]
        return sum(api in call["api"] for call in items)

    async def words(self) -> int:
        return sum(line.startswith(WORD) for line in await self.sandbox.seen(self.unb, "小鱼"))


async def shell(server: ServerProcess, token: str, *arguments: str) -> str:
    """What ``shoal orders …`` prints."""
    done = await ran(("-m", "shoal", "orders", *arguments), clean_environment(SHOAL_URL=server.url, SHOAL_TOKEN=token))
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_c8_a_kill_while_the_message_is_answered(server: ServerProcess, sandbox: SandboxProcess) -> None:
    shop = await Shop.open(server, sandbox)
    order_id = await shop.pay_and_kill("send", "both")

    async def is_settled_or_told() -> bool:
        order = await shop.order(order_id)
        return order["status"] == "shipped" or (order["problem"] or {}).get("code") == "message_uncertain"

    await soon(is_settled_or_told)
    confirmed = await shop.calls("consign.dummy")
    if ((await shop.order(order_id))["problem"] or {}).get("code") == "message_uncertain":  # no echo came until now
        assert confirmed == 0
        told = {"action": "paid_message", "outcome": "done"}
        answer = await server.http.post(f"/cookies/shop/orders/{order_id}/settle", json=told)
        if answer.status_code != 200:  # the echo came first and settled it
            assert answer.json()["code"] in {"act_done", "act_settled", "act_under_way", "order_settled"}
    order = await shop.becomes(order_id, status="shipped")
    assert {row["action"]: row["state"] for row in order["actions"]} == {"paid_message": "done", "confirm": "done"}
    assert (await shop.words(), await shop.calls("consign.dummy")) == (1, 1)


async def test_c8_a_kill_while_the_confirmation_is_answered(server: ServerProcess, sandbox: SandboxProcess) -> None:
    shop = await Shop.open(server, sandbox)
    order_id = await shop.pay_and_kill("consign", "both")
    order = await shop.becomes(order_id, status="shipped")
    assert {row["action"]: row["state"] for row in order["actions"]} == {"paid_message": "done", "confirm": "done"}
    assert (await shop.words(), await shop.calls("consign.dummy")) == (1, 1)


async def test_a_kill_while_the_completion_of_a_group_price_is_answered(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    shop = await Shop.open(server, sandbox)
    order_id = await shop.pay_and_kill("freeshipping", "group")
    await shop.becomes(order_id, status="shipped")  # its page tells that it was completed
    assert (await shop.words(), await shop.calls("freeshipping"), await shop.calls("consign.dummy")) == (1, 1, 1)


async def test_an_owner_has_an_order_served_that_the_site_refused(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    shop = await Shop.open(server, sandbox)
    await sandbox.do("fault", account=shop.unb, kind="send_refused", reason="CSI_FORBID", times=1)
    order_id = str((await sandbox.do("pay", account=shop.unb, buyer="小鱼"))["order_id"])
    order = await shop.becomes(order_id, problem="message_refused")
    assert "CSI_FORBID" in [act["detail"] for act in order["actions"]]
    assert await shop.calls("consign.dummy") == 0
    token = server.http.headers["Authorization"].removeprefix("Bearer ")
    listed = await shell(server, token, "list", "shop", "--problem", "--json")
    assert [row["order_id"] for row in json.loads(listed)] == [order_id]
    assert "shipped" in await shell(server, token, "serve", "shop", order_id)
    assert "Confirm the shipment" in await shell(server, token, "show", "shop", order_id)
    assert (await shop.words(), await shop.calls("consign.dummy")) == (1, 1)

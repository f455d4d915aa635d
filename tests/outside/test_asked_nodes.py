"""Two servers on one PostgreSQL: each is asked for what only the other one can do."""

from __future__ import annotations

import itertools
import signal
from pathlib import Path
from typing import Any

import pytest

from benchmarks.processes import ServerProcess, soon
from outside.node_pair import SELDOM, Pair, a_pair
from support.databases.postgres_server import Postgres

pytestmark = [pytest.mark.outside, pytest.mark.timeout(600)]


async def chat_of(server: ServerProcess, shop: str) -> dict[str, Any]:
    """The one chat of a shop."""
    (chat,) = (await server.ok("GET", f"/chats?cid={shop}"))["items"]
    return dict(chat)


async def send(server: ServerProcess, shop: str, text: str, key: str, chat: str = "") -> tuple[int, dict[str, Any]]:
    """Send a message by hand at a server, in the shop's one chat."""
    body = {"chat_id": chat or (await chat_of(server, shop))["chat_id"], "text": text}
    answer = await server.http.post(f"/cookies/{shop}/send", json=body, headers={"Idempotency-Key": key})
    return answer.status_code, answer.json()


async def ready(pair: Pair) -> None:
    """Both run some of the shops, and each shop has a chat."""
    await pair.one.start()
    for name, seller in pair.sellers.items():
        await pair.one.add(name, seller["cookie"])
        await pair.one.ok("PUT", f"/cookies/{name}/auto-confirm", {"auto_confirm": True})
        await pair.one.ok("POST", f"/keywords/{name}", {"keywords": {"在吗": "在的"}})
    await pair.all_at(pair.one)
    await pair.two.start()
    await pair.shared_out()
    await pair.ask("在吗", ["在的"])


def titles_in(seller: dict[str, Any]) -> dict[str, str]:
    """What the site's list says of a seller's items."""
    return {str(item["id"]): str(item["title"]) for item in seller["items"]}


async def items_are_known_at_both(pair: Pair) -> None:
    """Each server tells the items of all shops, of one and of all together; the site is asked by the shop's own."""
    for server in (pair.one, pair.two):
        for name, seller in pair.sellers.items():
            listed = (await server.ok("GET", f"/items/{name}"))["items"]
            assert titles_in(seller).items() <= {str(one["item_id"]): one["item_title"] for one in listed}.items()
            asked = await server.ok("POST", "/items/get-all-from-account", {"cookie_id": name})
            assert (asked["success"], asked["total_count"]) == (True, len(seller["items"])), asked
    for server in (pair.one, pair.two):
        known = (await server.ok("GET", "/items"))["items"]
        for name, seller in pair.sellers.items():
            told = {str(one["item_id"]): one["item_title"] for one in known if one["cookie_id"] == name}
            assert titles_in(seller).items() <= told.items()


async def sent_by_hand_at_both(pair: Pair) -> None:
    """Each server sends to a chat of each shop, and the same request once more sends nothing."""
    for server in (pair.one, pair.two):
        for shop in pair.sellers:
            status, answer = await send(server, shop, f"来自 {server.data_dir.name}", f"{server.data_dir.name}-{shop}")
            assert (status, answer["outcome"]) == (200, "sent"), answer
    # the same request once more, at the other server: the same answer, and nothing is sent
    for shop in pair.sellers:
        status, again = await send(pair.two, shop, "来自 one", f"one-{shop}")
        assert (status, again["outcome"]) == (200, "sent")
    assert await pair.answers() == [["在的", "来自 one", "来自 two"]] * len(pair.sellers)


async def test_any_server_sends_by_hand_and_has_an_order_served_and_a_dead_one_is_named(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with a_pair(tmp_path, postgres, lease_seconds="300", shops=2) as pair:
        await ready(pair)
        await sent_by_hand_at_both(pair)
        await items_are_known_at_both(pair)
        there = min(await pair.run_at(pair.two))
        unb = pair.sellers[there]["unb"]
        changed = await pair.one.ok("PATCH", f"/cookies/{there}/settings", {"paid_message": "谢谢"})

        async def knows() -> bool:
            return bool((await pair.two.ok("GET", f"/cookies/{there}"))["generation"] >= changed["generation"])

        await soon(knows, every_seconds=SELDOM)
        await pair.site.do("fault", account=unb, kind="send_refused", reason="CSI_FORBID", times=1)
        order_id = str((await pair.site.do("pay", account=unb, buyer="小鱼"))["order_id"])

        async def is_refused() -> bool:
            found = (await pair.one.ok("GET", f"/orders?q={order_id}"))["items"]
            return [(order["problem"] or {"code": ""})["code"] for order in found] == ["message_refused"]

        await soon(is_refused, every_seconds=SELDOM)
        served = await pair.one.ok("POST", f"/cookies/{there}/orders/{order_id}/serve", {})
        assert (served["status"], served["problem"]) == ("shipped", None), "the answer waits for the other server"
        assert (await pair.site.seen(unb, "小鱼")).count("谢谢") == 1

        login = await pair.two.ok("POST", "/qr-logins", {"account": there})
        assert (await pair.one.ok("GET", f"/qr-logins/{login['id']}"))["content"] == login["content"]

        # who runs it is gone: nothing is sent, and the answer says so
        await pair.two.end(signal.SIGKILL)
        looked = await pair.one.http.get(f"/qr-logins/{login['id']}")
        assert (looked.status_code, looked.json()["code"]) == (503, "node_unreachable"), "its lease is still valid"
        assert (await pair.one.ok("GET", f"/items/{there}"))["count"] >= 0, "without titles, but at once"
        asked = await pair.one.ok("POST", "/items/get-all-from-account", {"cookie_id": there})
        assert (asked["success"], "two" in asked["message"]) == (False, True)
        assert (await pair.one.ok("GET", "/items"))["items"], "those of its own shops"
        before = await pair.answers()
        status, refused = await send(pair.one, there, "没人听", "nobody")
        assert (status, refused["code"], refused["params"]) == (503, "owner_unreachable", {"node": "two"})
        assert await pair.answers() == before
        await pair.two.start()
        left = await pair.one.ok("GET", f"/qr-logins/{login['id']}")
        assert (left["state"], left["code"]) == ("failed", "qr_login_left"), "of a life that has ended"

        keys, chat = itertools.count(), (await chat_of(pair.one, there))["chat_id"]

        async def sends() -> bool:  # a key keeps its first certain answer, such as that the shop is still starting
            return (await send(pair.one, there, "有人听", f"somebody-{next(keys)}", chat))[0] == 200

        await soon(sends, every_seconds=SELDOM)
        assert (await pair.answers())[list(pair.sellers).index(there)][-1] == "有人听"

"""Forgetting a buyer over the API and in the shell: whose shops, what is told, and what the log says."""

from __future__ import annotations

from shoal.messages.message_log import IncomingMessage
from shoal.storage.order_tables import orders
from support.servers.doors import Door, another_person, in_shell, served

BUYER, NAME = "2209990000001", "canary鲸"
DONE = {"msg": "forgotten", "detail": "", "accounts": 1, "chats": 1, "messages": 1, "sendings": 0, "orders": 0}
NOTHING = {
    "msg": "nothing", "detail": "您的店铺里没有这个买家的任何内容。请核对买家编号",
    "accounts": 0, "chats": 0, "messages": 0, "sendings": 0, "orders": 0,
}  # fmt: skip


async def hear(door: Door, account_id: str = "shop", number: int = 1) -> None:
    message = IncomingMessage(
        message_id=f"m{number}", chat_id=f"c{account_id}", sender_id=BUYER, sender_name=NAME, text=f"{NAME} wrote",
        created_at_ms=number,
    )  # fmt: skip
    await door.server.message_log.store_incoming(account_id, [message])


async def test_an_owner_forgets_in_own_shops_and_the_log_does_not_say_whom(door: Door) -> None:
    async with another_person(door, "bob") as bob:
        await bob.add("bobs", 2)
        await door.call("PUT", "/cookies/shop/staff/bob", json={"permission": "operate"})
        await hear(door)
        await hear(door, "bobs")
        assert await bob.call("DELETE", f"/buyers/{BUYER}") == DONE
        assert len((await bob.call("GET", "/messages?q=wrote"))["items"]) == 1, "the shop of somebody else keeps it"
        assert await door.call("DELETE", f"/buyers/{BUYER}") == DONE
        assert await door.call("DELETE", f"/buyers/{BUYER}") == NOTHING
        assert (await door.call("GET", "/messages?q=wrote"))["items"] == []
        (chat,) = (await door.call("GET", "/chats"))["items"]
        assert (chat["buyer_id"], chat["buyer_name"], chat["last_text"]) == ("", "", "")
        (noted,) = (await door.call("GET", "/security-log?kind=buyer_forgotten&user=admin"))["items"]
        assert (noted["account"], noted["facts"]["messages"], noted["outcome"]) == ("shop", 1, "ok")
        log = (await door.client.get("/security-log")).text
        assert [word for word in (BUYER, NAME) if word in log] == []


async def test_only_an_administrator_forgets_everywhere_and_not_by_a_token(door: Door) -> None:
    async with another_person(door, "bob") as bob:
        await bob.add("bobs", 2)
        await hear(door)
        await hear(door, "bobs")
        refused = await bob.call("DELETE", f"/buyers/{BUYER}?everywhere=true", 403)
        assert refused["code"] == "forbidden"
        token = (await door.call("POST", "/tokens", json={"name": "t", "scope": "manage"}))["token"]
        headers = {"authorization": f"Bearer {token}"}
        refused = await door.call("DELETE", f"/buyers/{BUYER}?everywhere=true", 403, headers=headers)
        assert refused["code"] == "token_not_allowed"
        done = await door.call("DELETE", f"/buyers/{BUYER}?everywhere=true")
        assert (done["accounts"], done["messages"]) == (2, 2)


async def test_g16_a_buyer_of_nobody_is_said_to_be_so(door: Door) -> None:
    await hear(door)
    assert await door.call("DELETE", "/buyers/2209990000002") == NOTHING
    everywhere = await door.call("DELETE", "/buyers/2209990000002?everywhere=1", headers={"Accept-Language": "en"})
    assert (everywhere["msg"], everywhere["detail"]) == (
        "nothing", "There is nothing of this buyer in your shops. Check the buyer's number.",
    )  # fmt: skip


async def test_an_open_order_keeps_its_buyer_unless_one_insists(door: Door) -> None:
    await hear(door)
    row = {"account_id": "shop", "order_id": "o1", "buyer_id": BUYER, "chat_id": "cshop", "status": "pending_ship"}
    await door.server.database.write(lambda connection: connection.execute(orders.insert(), [row]).rowcount)
    refused = await door.call("DELETE", f"/buyers/{BUYER}", 409)
    assert (refused["code"], refused["params"]) == ("buyer_has_open_orders", {"id": "shop", "orders": ["o1"]})
    assert len((await door.call("GET", "/messages?q=wrote"))["items"]) == 1
    assert (await door.call("DELETE", f"/buyers/{BUYER}?even_open=true"))["orders"] == 1


async def test_in_the_shell_a_buyer_is_forgotten_after_a_question(door: Door) -> None:
    token = await door.server.sessions.open(1, 3600)
    await hear(door)
    async with served(door) as url:
        assert (await in_shell(url, token, "buyers", "forget", BUYER))[0] == 2
        code, said = await in_shell(url, token, "buyers", "forget", " ", "--yes")
        assert (code, "must not be empty" in said) == (2, True), said
        code, said = await in_shell(url, token, "buyers", "forget", BUYER, "--yes")
        assert (code, said.strip()) == (
            0, "Erased in 1 shop: 1 message of 1 chat, 0 sent messages, the name in 0 orders.",
        )  # fmt: skip
        code, said = await in_shell(url, token, "buyers", "forget", BUYER, "--yes")
        assert (code, said.strip()) == (0, "Nothing of this buyer is here.")
        assert (await in_shell(url, token, "buyers", "forget", BUYER, "--yes", "--json"))[0] == 0

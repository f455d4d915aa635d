"""The work on chats over the API: done, snoozed, assigned, seen, noted; quick replies and items in short."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, Table, select

from shoal.accounts.events import MessageEvent
from shoal.auth.permission import Permission
from shoal.auth.users import Role
from shoal.clock import now_ms
from shoal.items.item_page_rows import store_page
from shoal.messages.decisions import Decision
from shoal.messages.message_log import Direction, IncomingMessage
from shoal.storage.chat_tables import chat_notes, chat_seen, chat_work
from shoal.xianyu.item_page import ItemPage
from support.servers.doors import Door, another_person

WORK = "/cookies/shop/chats/c1/work"
NOTES = "/cookies/shop/chats/c1/notes"


async def said(door: Door, *message_ids: str, chat_id: str = "c1", direction: Direction = Direction.IN) -> None:
    """Let the buyer (or the shop) say something that no rule answers."""
    messages = [
        IncomingMessage(
            message_id=name, chat_id=chat_id, item_id="7001", sender_id="22", sender_name="小鱼", text="在吗",
            created_at_ms=now_ms(), direction=direction,
        ) for name in message_ids
    ]  # fmt: skip
    await door.server.message_log.store_incoming("shop", messages)
    await door.server.message_log.decide("shop", list(message_ids), Decision.NO_RULE)


async def row_of(door: Door, chat_id: str = "c1") -> dict[str, Any]:
    (row,) = (await door.call("GET", "/chats", params={"chat": chat_id}))["items"]
    return dict(row)


async def listed(door: Door, **asked: object) -> list[str]:
    return [row["chat_id"] for row in (await door.call("GET", "/chats", params=asked))["items"]]


def rows_of(connection: Connection, *, table: Table) -> list[Any]:
    return list(connection.execute(select(table)))


def soon(**later: float) -> str:
    return (datetime.now(UTC) + timedelta(**later)).isoformat()


async def test_a_done_chat_waits_for_nobody_until_the_buyer_writes_again(door: Door) -> None:
    await said(door, "m1", "m2")
    row = await row_of(door)
    assert (row["received"], row["status"], row["waits"], row["assignee"]) == (2, "open", True, None)
    done = await door.call("PUT", WORK, json={"status": "done", "received": 2})
    assert done == {
        "account": "shop", "chat_id": "c1", "received": 2, "status": "done", "snoozed_until": None, "assignee": None,
    }  # fmt: skip
    assert ((await row_of(door))["status"], (await row_of(door))["waits"]) == ("done", False)
    assert (await listed(door, waiting=True), await listed(door, status="done")) == ([], ["c1"])
    await said(door, "o1", direction=Direction.OUT)
    assert (await row_of(door))["status"] == "done", "our own word does not open it"
    await said(door, "m3")
    assert ((await row_of(door))["status"], (await row_of(door))["waits"]) == ("open", True)
    events = (await door.call("GET", WORK))["events"]
    assert [(one["actor"], one["what"], one["before"], one["after"]) for one in events] == [
        ("user:admin", "status", "open", "done")
    ]


async def test_who_has_not_seen_the_buyers_last_message_cannot_close_the_chat(door: Door) -> None:
    await said(door, "m1")
    seen = (await row_of(door))["received"]
    await said(door, "m2")
    for body in ({"status": "done"}, {"status": "snoozed", "until": soon(hours=1)}):
        refused = await door.call("PUT", WORK, 409, json={**body, "received": seen})
        assert (refused["code"], refused["params"]) == ("buyer_wrote_since", {"received": 2})
    assert (await door.call("GET", WORK))["status"] == "open"
    assert (await door.call("PUT", WORK, json={"status": "done", "received": 2}))["status"] == "done"
    await said(door, "m3")
    assert (await door.call("PUT", WORK, json={"status": "done"}))["status"] == "done", "a script asks as of now"


async def test_work_on_a_shop_that_changed_since_it_was_seen_is_refused(door: Door) -> None:
    await said(door, "m1")
    seen = {"If-Match": f'"g{door.account().generation}"'}
    await door.call("PUT", "/cookies/shop/remark", json={"remark": "changed meanwhile"})
    refused = await door.call("PUT", WORK, 412, json={"status": "done"}, headers=seen)
    assert (refused["code"], (await door.call("GET", WORK))["status"]) == ("stale_generation", "open")
    seen = {"If-Match": f'"g{door.account().generation}"'}
    assert (await door.call("PUT", WORK, json={"status": "done"}, headers=seen))["status"] == "done"


async def test_who_claims_to_have_seen_more_than_there_is_does_not_keep_the_chat_closed(door: Door) -> None:
    await said(door, "m1")
    for body in ({"status": "done"}, {"status": "snoozed", "until": soon(hours=1)}):
        await door.call("PUT", WORK, json={**body, "received": 2**53})
        assert (await row_of(door))["status"] == body["status"]
        await said(door, f"after {body['status']}")
        assert ((await row_of(door))["status"], (await row_of(door))["waits"]) == ("open", True)


async def test_a_snoozed_chat_opens_by_its_time(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    await said(door, "m1")
    until = soon(hours=2)
    snoozed = await door.call("PUT", WORK, json={"status": "snoozed", "until": until, "received": 1})
    assert (snoozed["status"], snoozed["snoozed_until"][:19]) == ("snoozed", until[:19])
    row = await row_of(door)
    assert (row["status"], row["waits"], await listed(door, status="snoozed")) == ("snoozed", False, ["c1"])
    later = now_ms() + 2 * 3_600_000
    monkeypatch.setattr("shoal.api.routes.chats.now_ms", lambda: later)
    monkeypatch.setattr("shoal.api.routes.chat_work.now_ms", lambda: later)
    row = await row_of(door)
    assert (row["status"], row["snoozed_until"], row["waits"]) == ("open", None, True)
    assert await listed(door, status="snoozed") == []


async def test_work_that_cannot_be_is_refused(door: Door) -> None:
    await said(door, "m1")
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"status": "snoozed", "until": "2020-01-02T03:04:05Z"}, "bad_until"),
        ({"status": "snoozed", "until": "2999-01-02T03:04:05Z"}, "bad_until"),
        ({"status": "snoozed", "until": "2027-01-02T03:04:05"}, "bad_until"),
        ({"status": "snoozed", "until": "tomorrow"}, "bad_until"),
        ({"status": "snoozed"}, "invalid_body"),
        ({"status": "done", "until": "2027-01-02T03:04:05Z"}, "invalid_body"),
        ({"status": "gone"}, "invalid_body"),
        ({"assignee": "nobody-of-that-name"}, "bad_assignee"),
    )
    for body, code in refused:
        assert (await door.call("PUT", WORK, 422, json=body))["code"] == code, body
    for path, method, sent in (
        (WORK, "PUT", {"status": "done"}), (NOTES, "POST", {"text": "x"}),
        ("/cookies/shop/chats/c1/seen", "PUT", {"received": 1}),
    ):  # fmt: skip
        unknown = await door.call(method, path.replace("c1", "never"), 404, json=sent)
        assert unknown["code"] == "unknown_chat"


async def test_a_chat_is_somebodys_who_may_answer_and_nobodys_when_the_user_is_gone(door: Door) -> None:
    await said(door, "m1", "m2", chat_id="c1")
    await said(door, "n1", chat_id="c2")
    async with another_person(door, "lin", Role.STAFF) as lin:
        await door.call("PUT", WORK, 422, json={"assignee": "lin"})
        user = await door.server.users.by_name("lin")
        assert user is not None
        for permission, status in ((Permission.READ, 422), (Permission.REPLY, 200)):
            await door.server.authorization.give(door.account(), user.id, permission, given_by="test")
            await door.call("PUT", WORK, status, json={"assignee": "lin"})
        assert (await row_of(door))["assignee"] == "lin"
        assert (await listed(lin, assignee="me"), await listed(door, assignee="me")) == (["c1"], [])
        assert (await listed(door, assignee="Lin"), await listed(door, assignee="none")) == (["c1"], ["c2"])
        assert await listed(door, assignee="who") == []
        assert await listed(lin, status="open") == ["c2", "c1"]
        await lin.call("PUT", WORK, json={"status": "done", "received": 2})
        assert await listed(lin, assignee="me", status="open") == [], "what is done is no work"
        await lin.call("POST", NOTES, json={"text": "老客户"})
        await lin.call("PUT", "/cookies/shop/chats/c1/seen", json={"received": 2})
    await door.call("DELETE", f"/users/{user.id}")
    work = await door.call("GET", WORK)
    assert (work["assignee"], work["status"]) == (None, "done"), "the work stays, without the user"
    (note,) = (await door.call("GET", NOTES))["items"]
    assert (note["author"], note["mine"]) == ("lin", False)
    assert await door.server.database.read(lambda connection: connection.execute(select(chat_seen)).all()) == []
    assert (await door.call("PUT", WORK, json={"assignee": "admin"}))["assignee"] == "admin"
    assert (await door.call("PUT", WORK, json={"assignee": None}))["assignee"] is None


async def test_each_user_has_unread_messages_of_ones_own(door: Door) -> None:
    await said(door, "m1", "m2", "m3")
    async with another_person(door, "lin", Role.STAFF) as lin:
        user = await door.server.users.by_name("lin")
        assert user is not None
        await door.server.authorization.give(door.account(), user.id, Permission.READ, given_by="test")
        assert (await row_of(lin))["unread"] == 0, "said before the user was added"
        seen = await door.call("PUT", "/cookies/shop/chats/c1/seen", json={"received": 2})
        assert seen == {"account": "shop", "chat_id": "c1", "received": 3, "unread": 1}
        assert (await listed(door, unread=True), await listed(door, unread=False)) == (["c1"], [])
        again = await door.call("PUT", "/cookies/shop/chats/c1/seen", json={"received": 1})
        assert again["unread"] == 1, "it never goes back"
        assert (await door.call("PUT", "/cookies/shop/chats/c1/seen", json={"received": 99}))["unread"] == 0
        await said(door, "m4")
        assert [(await row_of(one))["unread"] for one in (door, lin)] == [1, 4], "more than there were is not seen"
        await lin.call("PUT", "/cookies/shop/chats/c1/seen", json={"received": 4})
        assert [(await row_of(one))["unread"] for one in (door, lin)] == [1, 0]
        assert await listed(door, unread=True) == ["c1"]
        await lin.call("PUT", WORK, 403, json={"status": "done"})


async def test_notes_are_added_once_read_and_deleted_by_their_author_or_the_owner(door: Door) -> None:
    await said(door, "m1")
    key = {"Idempotency-Key": "n1"}
    first = await door.client.post(NOTES, json={"text": "改过地址"}, headers=key)
    again = await door.client.post(NOTES, json={"text": "改过地址"}, headers=key)
    assert (first.status_code, again.content) == (200, first.content)
    (note,) = (await door.call("GET", NOTES))["items"]
    assert (note["text"], note["author"], note["mine"]) == ("改过地址", "admin", True)
    for bad in ("", " \n", "长" * 2001):
        await door.call("POST", NOTES, 422, json={"text": bad})
    async with another_person(door, "lin", Role.STAFF) as lin:
        user = await door.server.users.by_name("lin")
        assert user is not None
        await door.server.authorization.give(door.account(), user.id, Permission.REPLY, given_by="test")
        refused = await lin.call("DELETE", f"{NOTES}/{note['id']}", 403)
        assert refused["code"] == "not_your_note"
        theirs = await lin.call("POST", NOTES, json={"text": "已电话联系"})
        assert [one["mine"] for one in (await lin.call("GET", NOTES))["items"]] == [False, True]
        elsewhere = await door.call("DELETE", f"/cookies/shop/chats/c2/notes/{theirs['id']}", 404)
        assert elsewhere["code"] == "unknown_note"
        await door.call("DELETE", f"{NOTES}/{theirs['id']}")
        await lin.call("DELETE", f"{NOTES}/{theirs['id']}", 404)
    events = (await door.call("GET", WORK))["events"]
    assert [one["what"] for one in events] == ["note_deleted", "note", "note"]


async def test_a_chat_has_so_many_notes_and_no_more(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.messages.chat_notes.MOST_NOTES", 2)
    await said(door, "m1")
    for _ in range(2):
        await door.call("POST", NOTES, json={"text": "x"})
    assert (await door.call("POST", NOTES, 409, json={"text": "x"}))["code"] == "too_many_notes"
    assert len((await door.call("GET", NOTES))["items"]) == 2
    assert len((await door.call("GET", WORK))["events"]) == 2


async def test_what_is_done_on_chats_is_told(door: Door) -> None:
    await said(door, "m1")
    with door.server.events.subscribe() as mine:
        await door.call("PUT", WORK, json={"status": "done", "assignee": "admin", "received": 1})
        await door.call("PUT", WORK, json={"status": "done", "received": 1})
        await door.call("POST", NOTES, json={"text": "x"})
        await door.call("PUT", "/cookies/shop/chats/c1/seen", json={"received": 1})
        await door.call("PUT", "/cookies/shop/chats/c1/seen", json={"received": 1})
        told = [event for event in await mine.take() if isinstance(event, MessageEvent)]
    assert [(event.kind, event.facts["what"]) for event in told] == [
        ("chat", "work"), ("chat", "note"), ("chat", "seen"),
    ], "and nothing for what changed nothing"  # fmt: skip
    assert dict(told[0].facts) == {
        "chat": "c1", "what": "work", "actor": "user:admin", "status": "done", "snoozed_until_ms": None,
        "assignee": "admin",
    }  # fmt: skip
    assert {event.owner_id for event in told} == {1}


async def test_the_work_on_a_chat_is_gone_with_its_account(door: Door) -> None:
    await said(door, "m1")
    await door.call("PUT", WORK, json={"status": "done"})
    await door.call("POST", NOTES, json={"text": "x"})
    await door.call("POST", "/quick-replies", json={"text": "x", "account": "shop"})
    await door.call("DELETE", "/cookies/shop")
    await door.server.manager.wait_until_purged("shop")
    for table in (chat_work, chat_notes):
        assert await door.server.database.read(partial(rows_of, table=table)) == []
    assert (await door.call("GET", "/quick-replies"))["items"] == []
    await door.call("GET", WORK, 404)


async def test_quick_replies_of_a_shop_and_of_all_shops(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    everywhere = await door.call("POST", "/quick-replies", json={"shortcut": "hi", "text": "{buyer}您好"})
    ours = await door.call("POST", "/quick-replies", json={"text": "今天发货", "account": "shop"})
    assert (everywhere["position"], ours["position"], everywhere["owner"]) == (1, 2, "admin")
    async with another_person(door) as bob:
        assert (await bob.call("GET", "/quick-replies"))["items"] == []
        await bob.call("PUT", f"/quick-replies/{ours['id']}", 404, json={"text": "x"})
        await bob.call("POST", "/quick-replies", 404, json={"text": "x", "account": "shop"})
        user = await door.server.users.by_name("bob")
        assert user is not None
        await door.server.authorization.give(door.account(), user.id, Permission.OPERATE, given_by="test")
        found = (await bob.call("GET", "/quick-replies"))["items"]
        assert [(one["text"], one["may_change"]) for one in found] == [("{buyer}您好", False), ("今天发货", True)]
        await bob.call("DELETE", f"/quick-replies/{everywhere['id']}", 404)
        await bob.call("PUT", f"/quick-replies/{ours['id']}", 404, json={"text": "mine now"})
        changed = await bob.call("PUT", f"/quick-replies/{ours['id']}", json={"text": "明天发货", "account": "shop"})
        assert (changed["text"], changed["position"], changed["owner"]) == ("明天发货", 2, "admin")
        await bob.call("POST", "/quick-replies", json={"text": "bob's"})
    moved = await door.call(
        "PUT", f"/quick-replies/{everywhere['id']}", json={"shortcut": "hi", "text": "您好", "position": 9}
    )
    assert moved["position"] == 9
    found = (await door.call("GET", "/quick-replies", params={"cid": "shop"}))["items"]
    assert [one["text"] for one in found] == ["明天发货", "您好"]
    monkeypatch.setattr("shoal.messages.quick_replies.MOST_QUICK_REPLIES", 2)
    assert (await door.call("POST", "/quick-replies", 409, json={"text": "x"}))["code"] == "too_many_quick_replies"
    gone = await door.call("DELETE", f"/quick-replies/{ours['id']}")
    assert gone == {"msg": "deleted", "id": ours["id"]}
    assert [one["id"] for one in (await door.call("GET", "/quick-replies"))["items"]] == [everywhere["id"]]


async def test_an_item_in_short_is_what_is_known_of_it(door: Door) -> None:
    card = await door.call("GET", "/cookies/shop/items/7001/card")
    assert card == {
        "item_id": "7001", "title": "", "price_fen": None, "picture": "", "url": "https://www.goofish.com/item?id=7001",
    }  # fmt: skip
    page = ItemPage(title="视频会员", price_fen=2500)
    await door.server.database.write(
        lambda connection: store_page(connection, door.account(), "7001", page, "", now_ms=now_ms())
    )
    card = await door.call("GET", "/cookies/shop/items/7001/card")
    assert (card["title"], card["price_fen"]) == ("视频会员", 2500)

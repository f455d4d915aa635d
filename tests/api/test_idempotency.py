"""A request with an Idempotency-Key is carried out once, and answered alike, whatever happens in between."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from api.keyed_requests import CHANGES, KEY, Request, assert_same, journal_of, prepare, send_keyed
from shoal.errors import InvalidInput, NotApplied
from shoal.storage.history_tables import ops
from shoal.storage.idempotency_keys import KEPT_MS, IdempotencyKeys, KeyedRequest
from support.servers.doors import Door, another_person, client_of, open_door
from support.site.standins import cookie_of, until


@pytest.mark.parametrize("name", CHANGES)
async def test_the_same_request_gets_the_same_answer_and_changes_nothing(door: Door, name: str) -> None:
    await prepare(door)
    first = await send_keyed(door, CHANGES[name])
    assert first.status_code in {200, 207}
    assert "idempotent-replayed" not in first.headers
    assert first.json().get("op_id", "k1") == "k1"
    journal = await journal_of(door)
    assert_same(await send_keyed(door, CHANGES[name], **{"Accept-Language": "en", "If-Match": '"g99"'}), first)
    assert await journal_of(door) == journal


async def test_of_twenty_at_once_one_is_carried_out_and_all_are_answered_alike(door: Door) -> None:
    for number, name in enumerate(("resume", "remark", "add"), start=2):
        before = len(await journal_of(door))
        idempotency_keys = await asyncio.gather(*(send_keyed(door, CHANGES[name]) for _ in range(20)))
        assert {answer.content for answer in idempotency_keys} == {idempotency_keys[0].content}
        assert sorted("idempotent-replayed" in answer.headers for answer in idempotency_keys) == [False] + [True] * 19
        assert len(await journal_of(door)) == before + 1 == number
    assert not door.server.idempotency_keys._turns


async def test_an_answer_outlives_the_server(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        await door.add()
        first = await send_keyed(door, CHANGES["resume"])
        journal = await journal_of(door)
    async with open_door(tmp_path) as door:
        assert_same(await send_keyed(door, CHANGES["resume"]), first)
        assert await journal_of(door) == journal


async def test_the_same_key_with_other_contents_is_refused(door: Door) -> None:
    await send_keyed(door, CHANGES["remark"])
    for request in (
        ("PUT", "/cookies/shop/remark", {"remark": "other"}),
        ("PUT", "/cookies/shop/remark?wait=0", {"remark": "new"}),
    ):
        answer = await send_keyed(door, request)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
    assert door.account().remark == "new"
    assert (await send_keyed(door, CHANGES["remark"])).headers["idempotent-replayed"] == "true"


async def test_a_key_belongs_to_one_person_method_and_path(door: Door) -> None:
    await send_keyed(door, CHANGES["item"])
    removal = await send_keyed(door, ("DELETE", "/cookies/shop/items/7001", None))
    assert removal.json()["changed"] is True
    assert "idempotent-replayed" not in (await send_keyed(door, CHANGES["remark"])).headers
    async with another_person(door) as bob:
        await bob.add("bobs", 2)
        assert (await send_keyed(bob, CHANGES["remark"])).status_code == 403
        body = (await send_keyed(bob, ("PUT", "/cookies/bobs/remark", {"remark": "new"}))).json()
        assert (body["changed"], body["op_id"]) == (True, "k1")
        assert (await bob.call("GET", "/ops/k1"))["rev"] == body["rev"]


async def test_after_a_day_a_key_may_be_used_again(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 1_800_000_000_000
    monkeypatch.setattr(door.server.idempotency_keys, "_now_ms", lambda: moment)
    first = await send_keyed(door, CHANGES["resume"])
    moment += KEPT_MS - 1
    assert_same(await send_keyed(door, CHANGES["resume"]), first)
    moment += 1
    later = await send_keyed(door, CHANGES["resume"])
    assert "idempotent-replayed" not in later.headers
    assert later.json()["generation"] == 3
    assert_same(await send_keyed(door, CHANGES["resume"]), later)
    assert (await door.call("GET", "/ops/k1"))["generation"] == 3
    stored = {entry.op_id for entry in await door.server.store.journal()}
    assert len(stored) == 3, "an op id is never used again"


@pytest.mark.parametrize("failure", [NotApplied("the disk is full"), TimeoutError()])
async def test_an_answer_that_was_not_stored_is_given_and_found_again_by_its_change(
    door: Door, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    async def fail(*_: object) -> None:
        raise failure

    with monkeypatch.context() as patched:
        patched.setattr(IdempotencyKeys, "keep", fail)
        first = await send_keyed(door, CHANGES["remark"])
    assert first.status_code == 200
    assert (await send_keyed(door, CHANGES["remark"])).json()["rev"] == first.json()["rev"]


async def test_a_refusal_is_an_answer_too(door: Door) -> None:
    missing: Request = ("DELETE", "/keywords/shop/0", None)
    first = await send_keyed(door, missing)
    assert first.status_code == 400
    await prepare(door)
    assert_same(await send_keyed(door, missing), first)


async def test_a_condition_that_did_not_hold_is_asked_anew(door: Door) -> None:
    """Nothing was done: the very same request goes on with the ETag that the refusal carries."""
    await prepare(door)
    for _ in range(2):
        stale = await send_keyed(door, CHANGES["remark"], **{"If-Match": '"g1"'})
        assert stale.status_code == 412
    done = await send_keyed(door, CHANGES["remark"], **{"If-Match": stale.headers["etag"]})
    assert (done.status_code, done.json()["generation"]) == (200, 3)
    assert_same(await send_keyed(door, CHANGES["remark"], **{"If-Match": '"g1"'}), done)


async def test_an_account_that_was_still_vanishing_may_be_added_with_the_same_key_later(door: Door) -> None:
    released = door.site.hold_farewells()
    await door.call("DELETE", "/cookies/shop", params={"wait": 0})
    request: Request = ("POST", "/cookies", {"id": "shop", "value": cookie_of(1)})
    early = await send_keyed(door, request)
    assert (early.status_code, early.json()["code"]) == (409, "account_vanishing")
    released.set()
    await until(lambda: "shop" not in door.server.manager.tasks)
    done = await send_keyed(door, request)
    assert (done.status_code, done.json()["generation"]) == (200, 3)
    assert_same(await send_keyed(door, request), done)


async def test_a_caller_who_leaves_before_the_whole_body_came_is_no_defect(door: Door) -> None:
    messages = iter([{"type": "http.request", "body": b'{"rem', "more_body": True}, {"type": "http.disconnect"}])
    token = door.client.headers["authorization"].encode()
    headers = [
        (b"authorization", token), (b"idempotency-key", b"k1"), (b"content-type", b"application/json"),
        (b"content-length", b"16"),
    ]  # fmt: skip
    scope = {
        "type": "http", "http_version": "1.1", "method": "PUT", "scheme": "http", "path": "/cookies/shop/remark",
        "raw_path": b"/cookies/shop/remark", "query_string": b"", "headers": headers, "client": None, "server": None,
        "root_path": "",
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    await door.app(scope, receive, send)  # raises nothing
    assert sent[0]["status"] == 400
    assert (await send_keyed(door, CHANGES["remark"])).status_code == 200


async def test_a_twin_waits_no_longer_than_for_a_lock(tmp_path: Path) -> None:
    async with open_door(tmp_path, lock_wait_seconds=0.2) as door:
        await door.add()
        released = door.site.hold_farewells()
        first = asyncio.create_task(send_keyed(door, CHANGES["switch"]))
        await until(lambda: bool(door.server.idempotency_keys._turns))
        answer = await send_keyed(door, CHANGES["switch"])
        assert (answer.status_code, answer.json()["code"]) == (503, "lock_timeout")
        assert "PUT /cookies/shop/status" in answer.json()["detail"]
        released.set()
        answered = await first
        assert_same(await send_keyed(door, CHANGES["switch"]), answered)


async def test_what_could_not_be_read_gives_the_key_back(door: Door) -> None:
    for body in ({"remark": 5}, {}):
        answer = await send_keyed(door, ("PUT", "/cookies/shop/remark", body))
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body")
    answer = await door.client.put(
        "/cookies/shop/remark", content=b'{"remark": "\xff"}', headers={**KEY, "Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    answer = await send_keyed(door, CHANGES["remark"])
    assert answer.status_code == 200
    assert "idempotent-replayed" not in answer.headers


async def _rows(door: Door) -> list[Any]:
    query = select(ops).where(ops.c.idem_key.is_not(None))
    return await door.server.database.read(lambda connection: list(connection.execute(query)))


async def test_who_is_not_signed_in_leaves_nothing_and_no_token_is_stored(door: Door) -> None:
    async with client_of(door.app) as anybody:
        answer = await anybody.put("/cookies/shop/remark", json={"remark": "x"}, headers=KEY)
        assert answer.status_code == 401
        await door.server.users.create("cat", "a password of theirs")
        sent = {"username": "cat", "password": "a password of theirs"}
        tokens = [(await anybody.post("/login", json=sent, headers=KEY)).json()["token"] for _ in range(2)]
        assert None not in tokens
        assert tokens[0] != tokens[1]
    assert await _rows(door) == []


async def test_no_cookie_is_stored_with_an_answer(door: Door) -> None:
    await send_keyed(door, CHANGES["renew"])
    (row,) = await _rows(door)
    assert "s21" not in str(row)


async def test_a_key_is_checked_before_anything_is_done(door: Door) -> None:
    for key in ("", "a b", "a:b", "a#b", "x" * 129):
        answer = await door.client.post("/cookies/shop/resume", headers={"Idempotency-Key": key})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_idempotency_key")
    assert door.account().generation == 1


@pytest.mark.parametrize("account_id", ["x" * 5_000, "a%00b", "a%0Ab"])
async def test_a_strange_path_is_no_trouble_for_the_store(door: Door, account_id: str) -> None:
    request: Request = ("PUT", f"/cookies/{account_id}/remark", {"remark": "x"})
    first = await send_keyed(door, request)
    assert first.status_code == 403
    assert_same(await send_keyed(door, request), first)
    (row,) = await _rows(door)
    assert len(row.path) == 64


async def test_two_nodes_share_one_reservation(door: Door) -> None:
    """Another node's row is found, and its request compared."""
    other = IdempotencyKeys(door.server.database, wait_seconds=1)
    keyed = KeyedRequest(user_id=1, actor="user:admin", key="k", method="PUT", path="/x", request_hash="a")
    first, second = await asyncio.gather(*_reserving(other, door.server.idempotency_keys, keyed))
    assert {first.is_new, second.is_new} == {True, False}
    assert first.op_id == second.op_id
    changed = KeyedRequest(user_id=1, actor="user:admin", key="k", method="PUT", path="/x", request_hash="b")
    with pytest.raises(InvalidInput, match="another request"):
        await other.reserve(changed, "u1:k#3")


def _reserving(one: IdempotencyKeys, other: IdempotencyKeys, keyed: KeyedRequest) -> list[Awaitable[Any]]:
    return [one.reserve(keyed, "u1:k#1"), other.reserve(keyed, "u1:k#2")]


async def test_nobody_can_try_out_passwords_on_what_the_database_keeps_of_a_request(door: Door) -> None:
    body = b'{"proxy":"http://ann:guess@proxy.example.com:1"}'
    await door.call(
        "PATCH", "/cookies/shop/settings", content=body, headers={"Content-Type": "application/json", **KEY}
    )
    kept = await door.server.database.read(lambda connection: connection.scalars(select(ops.c.request_hash)).all())
    assert door.server.idempotency_keys.hash_of(b"\n" + body) in kept
    assert hashlib.sha256(b"\n" + body).hexdigest() not in kept

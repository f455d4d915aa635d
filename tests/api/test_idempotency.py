"""A request with an Idempotency-Key is carried out once, and answered alike, whatever happens in between."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from sqlalchemy import select

from doors import Door, another_person, client_of, open_door
from shoal.accounts.change_path import Caller
from shoal.accounts.store import Change, Refused, Settle, Unsettled
from shoal.api.http.idempotency import CHANGING_METHODS, ChangingRoute
from shoal.errors import CommitUnknown, InvalidInput, NotApplied, StoreError
from shoal.storage.history_tables import ops
from shoal.storage.idempotency_keys import KEPT_MS, IdempotencyKeys, KeyedRequest
from standins import cookie_of, until

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


async def _send(door: Door, request: Request, **headers: str) -> httpx.Response:
    method, path, body = request
    return await door.client.request(method, path, json=body, headers={**KEY, **headers})


async def _prepare(door: Door) -> None:
    await door.call("POST", "/keywords/shop", json={"keywords": {"a": "1", "b": "2"}})


async def _journal(door: Door) -> list[tuple[str, int]]:
    return [(entry.account_id, entry.generation) for entry in await door.server.store.journal()]


def _same(again: httpx.Response, first: httpx.Response) -> None:
    assert again.headers["idempotent-replayed"] == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    for name in ("etag", "content-type", "content-length"):
        assert again.headers.get(name) == first.headers.get(name)


def _no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies, again and again, between the change and its answer."""

    async def die(*_: object) -> None:
        raise NotApplied("gone")

    monkeypatch.setattr(IdempotencyKeys, "keep", die)


@pytest.mark.parametrize("name", CHANGES)
async def test_the_same_request_gets_the_same_answer_and_changes_nothing(door: Door, name: str) -> None:
    await _prepare(door)
    first = await _send(door, CHANGES[name])
    assert first.status_code in {200, 207}
    assert "idempotent-replayed" not in first.headers
    assert first.json().get("op_id", "k1") == "k1"
    journal = await _journal(door)
    _same(await _send(door, CHANGES[name], **{"Accept-Language": "en", "If-Match": '"g99"'}), first)
    assert await _journal(door) == journal


async def test_of_twenty_at_once_one_is_carried_out_and_all_are_answered_alike(door: Door) -> None:
    for number, name in enumerate(("resume", "remark", "add"), start=2):
        before = len(await _journal(door))
        idempotency_keys = await asyncio.gather(*(_send(door, CHANGES[name]) for _ in range(20)))
        assert {answer.content for answer in idempotency_keys} == {idempotency_keys[0].content}
        assert sorted("idempotent-replayed" in answer.headers for answer in idempotency_keys) == [False] + [True] * 19
        assert len(await _journal(door)) == before + 1 == number
    assert not door.server.idempotency_keys._turns


async def test_an_answer_outlives_the_server(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        await door.add()
        first = await _send(door, CHANGES["resume"])
        journal = await _journal(door)
    async with open_door(tmp_path) as door:
        _same(await _send(door, CHANGES["resume"]), first)
        assert await _journal(door) == journal


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_whose_answer_was_lost_in_a_crash_is_not_made_again(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_door(tmp_path) as door:
        await door.add()
        await _prepare(door)
        with monkeypatch.context() as patched:
            _no_answers(patched)
            first = await _send(door, CHANGES[name])
        assert first.status_code in {200, 207}
        journal = await _journal(door)
    async with open_door(tmp_path) as door:
        again = await _send(door, CHANGES[name])
        assert again.status_code == first.status_code
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers.get("etag") == first.headers.get("etag")
        assert _settled(again) == _settled(first)
        assert await _journal(door) == journal
        _same(await _send(door, CHANGES[name]), again)


def _settled(answer: httpx.Response) -> Any:
    """An answer but for what the task is doing at the moment."""
    body = answer.json()
    for row in [body, *body.get("results", ())]:
        row.pop("state", None)
    return body


async def test_a_change_that_was_committed_before_the_crash_is_found_by_its_op(door: Door) -> None:
    keyed = KeyedRequest(
        user_id=1, actor="user:admin", key="k1", method="POST", path="/cookies/shop/resume",
        request_hash=door.server.idempotency_keys.hash_of(b"\n"),
    )  # fmt: skip
    await door.server.idempotency_keys.reserve(keyed, "u1:k1#00")
    caller = Caller(actor="user:admin", op_id="u1:k1#00")
    await door.server.manager.resume("shop", caller=caller)
    await door.call("PUT", "/cookies/shop/remark", json={"remark": "later"})
    answer = await _send(door, CHANGES["resume"])
    body = answer.json()
    assert (body["generation"], body["rev"], body["changed"], body["op_id"]) == (2, 2, True, "k1")
    assert (answer.headers["etag"], answer.headers["idempotent-replayed"]) == ('"g2"', "true")
    assert door.account().generation == 3


@pytest.mark.parametrize("name", ["remark", "keywords", "atomic batch"])
async def test_a_change_whose_account_was_removed_since_is_told_as_made(
    door: Door, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _prepare(door)
    with monkeypatch.context() as patched:
        _no_answers(patched)
        await _send(door, CHANGES[name])
    await door.call("DELETE", "/cookies/shop")
    again = await _send(door, CHANGES[name])
    assert (again.status_code, again.json()["code"], again.json()["op_id"]) == (409, "removed_since", "k1")
    assert again.headers["idempotent-replayed"] == "true"
    _same(await _send(door, CHANGES[name]), again)
    assert (await _send(door, CHANGES["item"], **{"Idempotency-Key": "k2"})).json()["code"] == "unknown_account"


async def test_a_renewal_whose_account_was_removed_since_is_told_as_made_and_not_as_stale(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewal: Request = ("POST", "/cookies", {"id": "shop", "value": cookie_of(1, secret="s2")})
    with monkeypatch.context() as patched:
        _no_answers(patched)
        assert (await _send(door, renewal, **{"If-Match": '"g1"'})).status_code == 200
    await door.call("DELETE", "/cookies/shop")
    again = await _send(door, renewal, **{"If-Match": '"g1"'})
    assert (again.status_code, again.json()["code"]) == (409, "removed_since")


async def test_a_refusal_that_cannot_be_stored_is_no_answer(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    request: Request = ("PUT", "/cookies/two/remark", {"remark": "new"})
    with monkeypatch.context() as patched:
        _no_answers(patched)
        refused = await _send(door, request)
    assert (refused.status_code, refused.json()["code"], refused.json()["op_id"]) == (503, "not_applied", "k1")
    await door.add("two", 2)
    assert (await _send(door, request)).json()["generation"] == 2


async def test_a_batch_tells_as_made_what_it_did_to_an_account_that_was_removed_since(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        _no_answers(patched)
        await _send(door, CHANGES["batch"])
    await door.call("DELETE", "/cookies/shop")
    rows = (await _send(door, CHANGES["batch"])).json()["results"]
    assert [(row["id"], row["outcome"], row["generation"], row["code"]) for row in rows] == [
        ("shop", "changed", 2, ""), ("nobody", "failed", None, "unknown_account"),
    ]  # fmt: skip


async def test_a_removed_account_that_was_added_again_is_not_removed_again(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        _no_answers(patched)
        first = await _send(door, CHANGES["remove"])
    await until(lambda: "shop" not in door.server.manager.tasks)
    await door.add()
    again = await _send(door, CHANGES["remove"])
    assert (again.json()["generation"], again.json()["rev"]) == (first.json()["generation"], first.json()["rev"])
    assert door.account().generation == 3


def _refusing_some(door: Door, refused: str) -> Callable[[Sequence[Change], Settle], None]:
    whole = door.server.store.submit

    def submit(changes: Sequence[Change], settle: Settle) -> None:
        if any(change.account_id == refused for change in changes):
            asyncio.get_running_loop().call_soon(settle, Refused(NotApplied("busy")))
        else:
            whole(changes, settle)

    return submit


async def test_a_batch_that_could_not_be_finished_goes_on_with_what_is_missing(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.add("two", 2)
    request: Request = ("PUT", "/cookies/status", {"updates": {"shop": False, "two": False}})
    with monkeypatch.context() as patched:
        patched.setattr(door.server.store, "submit", _refusing_some(door, "two"))
        first = await _send(door, request)
        assert first.status_code == 207
        assert [row["code"] for row in first.json()["results"]] == ["", "not_applied"]
        assert (await door.call("GET", "/ops/k1"))["state"] == "unknown"
    again = await _send(door, request)
    assert again.status_code == 200
    assert [(row["outcome"], row["generation"]) for row in again.json()["results"]] == [("changed", 2), ("changed", 2)]
    assert (door.account("shop").generation, door.account("two").generation) == (2, 2)
    _same(await _send(door, request), again)
    assert (await door.call("GET", "/ops/k1"))["state"] == "applied"
    assert (await door.call("GET", "/ops/k1:two"))["generation"] == 2


async def test_the_same_key_with_other_contents_is_refused(door: Door) -> None:
    await _send(door, CHANGES["remark"])
    for request in (
        ("PUT", "/cookies/shop/remark", {"remark": "other"}),
        ("PUT", "/cookies/shop/remark?wait=0", {"remark": "new"}),
    ):
        answer = await _send(door, request)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
    assert door.account().remark == "new"
    assert (await _send(door, CHANGES["remark"])).headers["idempotent-replayed"] == "true"


async def test_a_key_belongs_to_one_person_method_and_path(door: Door) -> None:
    await _send(door, CHANGES["item"])
    removal = await _send(door, ("DELETE", "/cookies/shop/items/7001", None))
    assert removal.json()["changed"] is True
    assert "idempotent-replayed" not in (await _send(door, CHANGES["remark"])).headers
    async with another_person(door) as bob:
        await bob.add("bobs", 2)
        assert (await _send(bob, CHANGES["remark"])).status_code == 403
        body = (await _send(bob, ("PUT", "/cookies/bobs/remark", {"remark": "new"}))).json()
        assert (body["changed"], body["op_id"]) == (True, "k1")
        assert (await bob.call("GET", "/ops/k1"))["rev"] == body["rev"]


async def test_after_a_day_a_key_may_be_used_again(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 1_800_000_000_000
    monkeypatch.setattr(door.server.idempotency_keys, "_now_ms", lambda: moment)
    first = await _send(door, CHANGES["resume"])
    moment += KEPT_MS - 1
    _same(await _send(door, CHANGES["resume"]), first)
    moment += 1
    later = await _send(door, CHANGES["resume"])
    assert "idempotent-replayed" not in later.headers
    assert later.json()["generation"] == 3
    _same(await _send(door, CHANGES["resume"]), later)
    assert (await door.call("GET", "/ops/k1"))["generation"] == 3
    stored = {entry.op_id for entry in await door.server.store.journal()}
    assert len(stored) == 3, "an op id is never used again"


async def test_a_refusal_is_an_answer_too(door: Door) -> None:
    missing: Request = ("DELETE", "/keywords/shop/0", None)
    first = await _send(door, missing)
    assert first.status_code == 400
    await _prepare(door)
    _same(await _send(door, missing), first)


async def test_a_condition_that_did_not_hold_is_asked_anew(door: Door) -> None:
    """Nothing was done: the very same request goes on with the ETag that the refusal carries."""
    await _prepare(door)
    for _ in range(2):
        stale = await _send(door, CHANGES["remark"], **{"If-Match": '"g1"'})
        assert stale.status_code == 412
    done = await _send(door, CHANGES["remark"], **{"If-Match": stale.headers["etag"]})
    assert (done.status_code, done.json()["generation"]) == (200, 3)
    _same(await _send(door, CHANGES["remark"], **{"If-Match": '"g1"'}), done)


async def test_an_account_that_was_still_vanishing_may_be_added_with_the_same_key_later(door: Door) -> None:
    released = door.site.hold_farewells()
    await door.call("DELETE", "/cookies/shop", params={"wait": 0})
    request: Request = ("POST", "/cookies", {"id": "shop", "value": cookie_of(1)})
    early = await _send(door, request)
    assert (early.status_code, early.json()["code"]) == (409, "account_vanishing")
    released.set()
    await until(lambda: "shop" not in door.server.manager.tasks)
    done = await _send(door, request)
    assert (done.status_code, done.json()["generation"]) == (200, 3)
    _same(await _send(door, request), done)


async def test_a_store_that_refuses_is_no_answer(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(door.server.store, "submit", _refusing_some(door, "shop"))
        answer = await _send(door, CHANGES["resume"])
        assert (answer.status_code, answer.json()["op_id"]) == (503, "k1")
    again = await _send(door, CHANGES["resume"])
    assert (again.status_code, again.json()["generation"]) == (200, 2)
    assert "idempotent-replayed" not in again.headers


@pytest.mark.parametrize("applied", [True, False])
async def test_a_repeat_during_an_unknown_outcome_is_refused_at_once_and_a_later_one_does_nothing_twice(
    door: Door, monkeypatch: pytest.MonkeyPatch, applied: bool
) -> None:
    whole = door.server.store.submit
    late: list[Callable[[], None]] = []

    def submit(changes: Sequence[Change], settle: Settle) -> None:
        asyncio.get_running_loop().call_soon(settle, Unsettled(CommitUnknown(op_id=changes[0].op.op_id)))
        late.append(lambda: whole(changes, settle) if applied else settle(Refused(NotApplied())))

    with monkeypatch.context() as patched:
        patched.setattr(door.server.store, "submit", submit)
        answer = await _send(door, CHANGES["resume"])
    assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown")
    repeat = await _send(door, CHANGES["resume"])
    assert (repeat.status_code, repeat.json()["code"]) == (503, "store_degraded")
    late[0]()
    answer = await _send(door, CHANGES["resume"])
    assert (answer.status_code, answer.json()["generation"]) == (200, 2)
    assert door.account().generation == 2


async def test_a_repeat_that_cannot_read_what_the_first_asking_did_is_told_that_nobody_knows(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(*_: object) -> None:
        raise StoreError("the link was lost")

    await _prepare(door)
    _no_answers(monkeypatch)
    assert (await _send(door, CHANGES["remark"])).status_code == 200
    with monkeypatch.context() as during:
        during.setattr(IdempotencyKeys, "begun", unreadable)
        again = await _send(door, CHANGES["remark"])
    assert (again.status_code, again.json()["code"], again.json()["op_id"]) == (503, "outcome_unknown", "k1")
    assert (await door.call("GET", "/ops/k1"))["state"] == "applied"


async def test_what_leaves_no_entry_is_not_called_undone_when_its_answer_was_lost(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        _no_answers(patched)
        pause = ("PUT", "/cookies/shop/chats/59000001/pause", {"minutes": 5})
        assert (await _send(door, pause)).status_code == 200
    assert (await door.call("GET", "/ops/k1"))["state"] == "unknown"
    assert (await _send(door, pause)).status_code == 200
    assert (await door.call("GET", "/ops/k1"))["state"] == "applied"


async def test_removed_replies_are_counted_alike_when_the_answer_was_lost(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    for item in ("7001", "7002", "7003"):
        await door.call("PUT", f"/cookies/shop/items/{item}", json={"reply": "x"})
    await door.call("PUT", "/cookies/shop/items/7002", json={"paid_message": "stays"})
    rows = [{"cookie_id": "shop", "item_id": item} for item in ("7001", "7002", "7009")]
    batch = ("DELETE", "/item-reply/batch", {"items": rows})
    with monkeypatch.context() as patched:
        _no_answers(patched)
        first = await _send(door, batch)
    assert first.json() == {"success_count": 2, "failed_count": 1}
    assert (await _send(door, batch)).json() == first.json()


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
    assert (await _send(door, CHANGES["remark"])).status_code == 200


async def test_a_twin_waits_no_longer_than_for_a_lock(tmp_path: Path) -> None:
    async with open_door(tmp_path, lock_wait_seconds=0.2) as door:
        await door.add()
        released = door.site.hold_farewells()
        first = asyncio.create_task(_send(door, CHANGES["switch"]))
        await until(lambda: bool(door.server.idempotency_keys._turns))
        answer = await _send(door, CHANGES["switch"])
        assert (answer.status_code, answer.json()["code"]) == (503, "lock_timeout")
        assert "PUT /cookies/shop/status" in answer.json()["detail"]
        released.set()
        answered = await first
        _same(await _send(door, CHANGES["switch"]), answered)


async def test_what_could_not_be_read_gives_the_key_back(door: Door) -> None:
    for body in ({"remark": 5}, {}):
        answer = await _send(door, ("PUT", "/cookies/shop/remark", body))
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_body")
    answer = await door.client.put(
        "/cookies/shop/remark", content=b'{"remark": "\xff"}', headers={**KEY, "Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    answer = await _send(door, CHANGES["remark"])
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
    await _send(door, CHANGES["renew"])
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
    first = await _send(door, request)
    assert first.status_code == 403
    _same(await _send(door, request), first)
    (row,) = await _rows(door)
    assert len(row.path) == 64


OF_PEOPLE = {
    *("change_my_password", "end_session", "end_other_sessions"),
    *("create_user", "update_user", "create_password_link", "create_invitation", "revoke_invitation"),
    *("look_at_link", "join", "remove_totp", "delete_user"),
    *("begin_totp", "confirm_totp", "end_totp", "renew_recovery_codes"),
}
"""Those with secrets, of which nothing may be kept; the others do no harm when they are repeated."""
OF_SIGN_INS = {
    *("login", "logout", "register", "change_admin_password", "open_console_session", "close_console_session"),
    *("create_token", "revoke_token", "begin_qr_login", "generate_qr_code", "cancel_qr_login"),
}
"""Their answers hold tokens or codes, or are the same again."""
ONLY_ASK = {"try_message", "get_reply_words", "read_rules", "check_pasted_cookie", "check_proxy"}
SAME_AGAIN = {"put_staff", "delete_staff", "reload_cache", "rotate_keys", "forget_keys"}
"""What they led to holds, or is refused, when they are repeated."""


def test_every_route_that_changes_something_heeds_keys(door: Door) -> None:
    left_out = {*OF_PEOPLE, *OF_SIGN_INS, *ONLY_ASK, *SAME_AGAIN}
    routes = [route for route in door.app.routes if isinstance(route, APIRoute)]
    changing = [route for route in routes if CHANGING_METHODS & (route.methods or set())]
    assert len(changing) > len(left_out)
    assert {route.name for route in changing if not isinstance(route, ChangingRoute)} == left_out
    for methods in door.app.openapi()["paths"].values():
        for operation in methods.values():
            shown = any(row["name"] == "idempotency-key" for row in operation.get("parameters", ()))
            assert not shown or operation["operationId"] not in left_out


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

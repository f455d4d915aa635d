"""A keyed change whose answer was lost, or whose outcome was unknown, is told as it is and made once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.keyed_requests import CHANGES, Request, assert_same, journal_of, prepare, send_keyed
from shoal.accounts.change_path import Caller
from shoal.accounts.store import Change, Refused, Settle, Unsettled
from shoal.errors import CommitUnknown, NotApplied, StoreError
from shoal.storage.idempotency_keys import IdempotencyKeys, KeyedRequest
from support.servers.doors import Door, open_door
from support.site.standins import cookie_of, until


def _no_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies, again and again, between the change and its answer."""

    async def die(*_: object) -> None:
        raise NotApplied("gone")

    monkeypatch.setattr(IdempotencyKeys, "keep", die)


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_whose_answer_was_lost_in_a_crash_is_not_made_again(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_door(tmp_path) as door:
        await door.add()
        await prepare(door)
        with monkeypatch.context() as patched:
            _no_answers(patched)
            first = await send_keyed(door, CHANGES[name])
        assert first.status_code in {200, 207}
        journal = await journal_of(door)
    async with open_door(tmp_path) as door:
        again = await send_keyed(door, CHANGES[name])
        assert again.status_code == first.status_code
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers.get("etag") == first.headers.get("etag")
        assert _settled(again) == _settled(first)
        assert await journal_of(door) == journal
        assert_same(await send_keyed(door, CHANGES[name]), again)


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
    answer = await send_keyed(door, CHANGES["resume"])
    body = answer.json()
    assert (body["generation"], body["rev"], body["changed"], body["op_id"]) == (2, 2, True, "k1")
    assert (answer.headers["etag"], answer.headers["idempotent-replayed"]) == ('"g2"', "true")
    assert door.account().generation == 3


@pytest.mark.parametrize("name", ["remark", "keywords", "atomic batch"])
async def test_a_change_whose_account_was_removed_since_is_told_as_made(
    door: Door, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await prepare(door)
    with monkeypatch.context() as patched:
        _no_answers(patched)
        await send_keyed(door, CHANGES[name])
    await door.call("DELETE", "/cookies/shop")
    again = await send_keyed(door, CHANGES[name])
    assert (again.status_code, again.json()["code"], again.json()["op_id"]) == (409, "removed_since", "k1")
    assert again.headers["idempotent-replayed"] == "true"
    assert_same(await send_keyed(door, CHANGES[name]), again)
    assert (await send_keyed(door, CHANGES["item"], **{"Idempotency-Key": "k2"})).json()["code"] == "unknown_account"


async def test_a_renewal_whose_account_was_removed_since_is_told_as_made_and_not_as_stale(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewal: Request = ("POST", "/cookies", {"id": "shop", "value": cookie_of(1, secret="s2")})
    with monkeypatch.context() as patched:
        _no_answers(patched)
        assert (await send_keyed(door, renewal, **{"If-Match": '"g1"'})).status_code == 200
    await door.call("DELETE", "/cookies/shop")
    again = await send_keyed(door, renewal, **{"If-Match": '"g1"'})
    assert (again.status_code, again.json()["code"]) == (409, "removed_since")


async def test_a_refusal_that_cannot_be_stored_is_no_answer(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    request: Request = ("PUT", "/cookies/two/remark", {"remark": "new"})
    with monkeypatch.context() as patched:
        _no_answers(patched)
        refused = await send_keyed(door, request)
    assert (refused.status_code, refused.json()["code"], refused.json()["op_id"]) == (503, "not_applied", "k1")
    await door.add("two", 2)
    assert (await send_keyed(door, request)).json()["generation"] == 2


async def test_a_batch_tells_as_made_what_it_did_to_an_account_that_was_removed_since(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        _no_answers(patched)
        await send_keyed(door, CHANGES["batch"])
    await door.call("DELETE", "/cookies/shop")
    rows = (await send_keyed(door, CHANGES["batch"])).json()["results"]
    assert [(row["id"], row["outcome"], row["generation"], row["code"]) for row in rows] == [
        ("shop", "changed", 2, ""), ("nobody", "failed", None, "unknown_account"),
    ]  # fmt: skip


async def test_a_removed_account_that_was_added_again_is_not_removed_again(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        _no_answers(patched)
        first = await send_keyed(door, CHANGES["remove"])
    await until(lambda: "shop" not in door.server.manager.tasks)
    await door.add()
    again = await send_keyed(door, CHANGES["remove"])
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
        first = await send_keyed(door, request)
        assert first.status_code == 207
        assert [row["code"] for row in first.json()["results"]] == ["", "not_applied"]
        assert (await door.call("GET", "/ops/k1"))["state"] == "unknown"
    again = await send_keyed(door, request)
    assert again.status_code == 200
    assert [(row["outcome"], row["generation"]) for row in again.json()["results"]] == [("changed", 2), ("changed", 2)]
    assert (door.account("shop").generation, door.account("two").generation) == (2, 2)
    assert_same(await send_keyed(door, request), again)
    assert (await door.call("GET", "/ops/k1"))["state"] == "applied"
    assert (await door.call("GET", "/ops/k1:two"))["generation"] == 2


async def test_a_store_that_refuses_is_no_answer(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(door.server.store, "submit", _refusing_some(door, "shop"))
        answer = await send_keyed(door, CHANGES["resume"])
        assert (answer.status_code, answer.json()["op_id"]) == (503, "k1")
    again = await send_keyed(door, CHANGES["resume"])
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
        answer = await send_keyed(door, CHANGES["resume"])
    assert (answer.status_code, answer.json()["code"]) == (503, "outcome_unknown")
    repeat = await send_keyed(door, CHANGES["resume"])
    assert (repeat.status_code, repeat.json()["code"]) == (503, "store_degraded")
    late[0]()
    answer = await send_keyed(door, CHANGES["resume"])
    assert (answer.status_code, answer.json()["generation"]) == (200, 2)
    assert door.account().generation == 2


async def test_a_repeat_that_cannot_read_what_the_first_asking_did_is_told_that_nobody_knows(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(*_: object) -> None:
        raise StoreError("the link was lost")

    await prepare(door)
    _no_answers(monkeypatch)
    assert (await send_keyed(door, CHANGES["remark"])).status_code == 200
    with monkeypatch.context() as during:
        during.setattr(IdempotencyKeys, "begun", unreadable)
        again = await send_keyed(door, CHANGES["remark"])
    assert (again.status_code, again.json()["code"], again.json()["op_id"]) == (503, "outcome_unknown", "k1")
    assert (await door.call("GET", "/ops/k1"))["state"] == "applied"


@pytest.mark.parametrize(
    "asked",
    [
        ("PUT", "/cookies/shop/chats/59000001/pause", {"minutes": 5}),
        ("POST", "/goods", {"name": "教程", "kind": "fixed", "text": "谢谢"}),
    ],
)
async def test_what_leaves_no_entry_is_not_called_undone_when_its_answer_was_lost(
    door: Door, monkeypatch: pytest.MonkeyPatch, asked: Any
) -> None:
    with monkeypatch.context() as patched:
        _no_answers(patched)
        assert (await send_keyed(door, asked)).status_code == 200
    assert (await door.call("GET", "/ops/k1"))["state"] == "unknown"
    assert (await send_keyed(door, asked)).status_code == 200
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
        first = await send_keyed(door, batch)
    assert first.json() == {"success_count": 2, "failed_count": 1}
    assert (await send_keyed(door, batch)).json() == first.json()

"""Idempotency keys on every database: reserved once, answered once, free again after a day."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from shoal.errors import InvalidInput, LockTimeout
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.idempotency_keys import KEPT_MS, IdempotencyKeys, KeyedRequest, Reservation, StoredAnswer
from support.databases.asked_statements import asked, plans
from support.databases.store_steps import Place, an_account, an_op, committed, created, creation, edit

REQUEST = KeyedRequest(user_id=1, actor="user:ann", key="k", method="PUT", path="/x", request_hash="h")
ANSWER = StoredAnswer(status=200, headers=(("etag", '"g2"'),), body='{"msg": "好"}')


class Clock:
    """A clock that a test sets."""

    now = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def answers(database: Database, clock: Callable[[], int]) -> IdempotencyKeys:
    return IdempotencyKeys(database, wait_seconds=0.05, now_ms=clock)


async def test_a_key_is_reserved_once_and_answered_once(answers: IdempotencyKeys) -> None:
    assert await answers.reserve(REQUEST, "u1:k#1") == Reservation(op_id="u1:k#1", is_new=True)
    assert await answers.reserve(REQUEST, "u1:k#2") == Reservation(op_id="u1:k#1", is_new=False)
    await answers.keep("u1:k#1", ANSWER)
    await answers.keep("u1:k#1", replace(ANSWER, status=409))
    again = await answers.reserve(REQUEST, "u1:k#3")
    assert again == Reservation(op_id="u1:k#1", is_new=False, answer=ANSWER)
    assert await answers.newest(1, "user:ann", "k") == replace(again, path="/x")
    assert await answers.newest(2, "user:ann", "k") is None


async def test_another_request_with_the_key_is_refused(answers: IdempotencyKeys) -> None:
    await answers.reserve(REQUEST, "u1:k#1")
    with pytest.raises(InvalidInput) as caught:
        await answers.reserve(replace(REQUEST, request_hash="other"), "u1:k#2")
    assert caught.value.code == "idempotency_mismatch"
    for other in ({"user_id": 2}, {"actor": "user:bob"}, {"method": "POST"}, {"path": "/y"}, {"key": "l"}):
        assert (await answers.reserve(replace(REQUEST, **other), f"u:{other}")).is_new


async def test_a_key_is_free_again_after_a_day_and_its_op_stays(
    answers: IdempotencyKeys, manager: DBManager, clock: Clock
) -> None:
    (account,) = await created(manager, an_account())
    await answers.reserve(REQUEST, "u1:k#1")
    await committed(manager, edit(account, an_op("u1:k#1"), remark="x"))
    await answers.keep("u1:k#1", ANSWER)
    clock.now += KEPT_MS
    assert await answers.reserve(REQUEST, "u1:k#2") == Reservation(op_id="u1:k#2", is_new=True)
    record = await manager.op("u1:k#1")
    assert record is not None
    assert record.generation == 2


async def test_expired_answers_are_forgotten_step_by_step_and_found_by_their_index(
    database: Database, answers: IdempotencyKeys, manager: DBManager, clock: Clock
) -> None:
    for number in range(5):
        await answers.reserve(replace(REQUEST, key=f"k{number}"), f"op{number}")
        await answers.keep(f"op{number}", ANSWER)
    clock.now += KEPT_MS
    await answers.reserve(replace(REQUEST, key="young"), "young")
    await committed(manager, creation(an_account(), an_op("plain")))
    commits = database.group_writer.groups_committed
    with asked() as statements:
        assert await answers.forget_expired(rows=2) == 5
    assert database.group_writer.groups_committed == commits + 3
    if database.is_sqlite:
        steps = [one for one in statements if one[0].startswith("UPDATE ops")]
        assert len(steps) == 3
        assert all("ix_ops_expires_at_ms" in plan for plan in await plans(database, steps))
    assert await answers.forget_expired(rows=2) == 0
    assert await answers.newest(1, "user:ann", "k0") is None
    assert not (await answers.reserve(replace(REQUEST, key="young"), "again")).is_new


async def test_a_key_that_was_given_back_is_new_and_an_applied_one_is_not_given_back(
    answers: IdempotencyKeys, manager: DBManager
) -> None:
    await answers.reserve(REQUEST, "u1:k#1")
    await answers.release("u1:k#1")
    assert (await answers.reserve(REQUEST, "u1:k#2")).is_new
    (account,) = await created(manager, an_account())
    await committed(manager, edit(account, an_op("u1:k#2"), remark="x"))
    await answers.release("u1:k#2")
    assert not (await answers.reserve(REQUEST, "u1:k#3")).is_new


async def test_an_op_has_begun_when_it_or_a_part_of_it_was_applied(
    answers: IdempotencyKeys, manager: DBManager
) -> None:
    one, two = await created(manager, an_account("one"), an_account("two_%"))
    for op_id in ("u1:k#1", "u1:k#12", "u1:l#1"):
        await answers.reserve(replace(REQUEST, path=op_id), op_id)
    await committed(manager, edit(one, an_op("u1:k#12:one"), remark="x"))
    assert await answers.begun("u1:k#12")
    assert not await answers.begun("u1:k#1")
    await committed(manager, edit(two, an_op("u1:l#1"), remark="x"))
    assert await answers.begun("u1:l#1")


async def test_racing_nodes_reserve_one_op(place: Place, answers: IdempotencyKeys) -> None:
    if not place.url:
        pytest.skip("SQLite has one node")
    databases = [await place.open_again(data_dir=place.data_dir.with_name(name)) for name in "abc"]
    nodes = [IdempotencyKeys(database, wait_seconds=1, now_ms=Clock()) for database in databases]
    found = await asyncio.gather(*(node.reserve(REQUEST, f"u1:k#{number}") for number, node in enumerate(nodes)))
    assert len({reserved.op_id for reserved in found}) == 1
    assert sum(reserved.is_new for reserved in found) == 1


async def test_a_turn_is_for_one_and_waited_for_only_so_long(answers: IdempotencyKeys) -> None:
    async with answers.turn(REQUEST), answers.turn(replace(REQUEST, path="/y")):
        with pytest.raises(LockTimeout) as caught:
            async with answers.turn(REQUEST):
                pass
    assert caught.value.params["operation"] == "PUT /x"
    async with answers.turn(REQUEST):
        pass

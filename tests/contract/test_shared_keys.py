"""Idempotency keys of several nodes: one at a time is at a request, and another goes on once its life has ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from sqlalchemy import Connection, TextClause, create_engine, text

from shoal.cluster.node_rows import NodeRows, end_life, join
from shoal.errors import LockTimeout
from shoal.storage import shared_keys
from shoal.storage.database import Database
from shoal.storage.idempotency_keys import KeyedRequest, Reservation, StoredAnswer
from shoal.storage.shared_keys import SharedIdempotencyKeys
from support.site.standins import until, until_told

REQUEST = KeyedRequest(user_id=1, actor="user:ann", key="k", method="PUT", path="/x", request_hash="h")
ANSWER = StoredAnswer(status=200, headers=(), body="done")


class Node:
    """A node that lives, with its requests."""

    def __init__(self, database: Database, rows: NodeRows, wait_seconds: float) -> None:
        life = rows.life
        self.database, self.life = database, life
        self.keys = SharedIdempotencyKeys(database, wait_seconds=wait_seconds, me=lambda: (life.name, life.inc))
        self.ran = 0

    async def die(self) -> None:
        """End its life, as the others see it."""
        await self.database.write(lambda connection: end_life(connection, self.life))

    async def answer(self, during: asyncio.Event | None = None, *, answers: bool = True) -> Reservation:
        """Answer the request as a route does; wait ``during`` it."""
        async with self.keys.turn(REQUEST):
            reserved = await self.keys.reserve(REQUEST, f"op-{self.life.name}")
            if reserved.answer is None:
                self.ran += 1
                if during is not None:
                    await during.wait()
                if answers:
                    await self.keys.keep(reserved.op_id, ANSWER)
            return reserved


async def opened(stack: AsyncExitStack, url: str, name: str, *, wait_seconds: float = 60.0) -> Node:
    engine = create_engine(url)
    with engine.begin() as connection:
        rows = join(connection, name, 3_600_000, {"host": "", "address": "", "version": "", "schema": ""})
    engine.dispose()
    assert rows is not None
    node = Node(await stack.enter_async_context(Database(url=url)), rows, wait_seconds)
    stack.push_async_callback(node.keys.close)
    return node


@asynccontextmanager
async def renamed_away(database: Database) -> AsyncIterator[None]:
    """The table of ops is not there: the database refuses every statement about it."""
    for there, away in (("ops", "ops_away"), ("ops_away", "ops")):
        rename = text(f"ALTER TABLE {there} RENAME TO {away}")

        def job(connection: Connection, rename: TextClause = rename) -> int:
            return connection.execute(rename).rowcount

        await database.write(job)
        if there == "ops":
            yield


@pytest.fixture
async def nodes(url: str) -> AsyncIterator[list[Node]]:
    async with AsyncExitStack() as stack:
        yield [await opened(stack, url, name) for name in "abc"]


async def held(node: Node) -> bool:
    """What ``GET /ops`` asks: whether a node may be at the request."""
    found = await node.keys.newest(1, "user:ann", "k")
    return found is not None and found.is_held


async def test_a_twin_at_another_node_waits_for_the_answer_and_gets_it(nodes: list[Node]) -> None:
    here, there, _ = nodes
    ends = asyncio.Event()
    first = asyncio.create_task(here.answer(ends))
    await until(lambda: here.ran == 1)
    second = asyncio.create_task(there.answer())
    await asyncio.sleep(0.15)
    assert await held(there)
    assert not second.done()
    ends.set()
    assert (await first).is_new
    assert await second == Reservation(op_id="op-a", is_new=False, answer=ANSWER)
    assert there.ran == 0
    assert not await held(there)


async def test_twins_that_race_at_three_nodes_run_once(nodes: list[Node]) -> None:
    found = await asyncio.gather(*(node.answer() for node in nodes for _ in range(3)))
    assert sum(node.ran for node in nodes) == 1
    assert len({one.op_id for one in found}) == 1


async def test_once_a_node_has_died_in_the_middle_exactly_one_other_goes_on_under_the_same_op(
    nodes: list[Node],
) -> None:
    dead, one, two = nodes
    never, ends = asyncio.Event(), asyncio.Event()
    stuck = asyncio.create_task(dead.answer(never))
    await until(lambda: dead.ran == 1)
    heirs = [asyncio.create_task(node.answer(ends)) for node in (one, two)]
    await asyncio.sleep(0.15)
    assert one.ran + two.ran == 0
    await dead.die()
    await until(lambda: one.ran + two.ran == 1)
    ends.set()
    assert {found.op_id for found in await asyncio.gather(*heirs)} == {"op-a"}
    assert one.ran + two.ran == 1
    stuck.cancel()
    await asyncio.gather(stuck, return_exceptions=True)


async def test_a_request_that_was_not_answered_to_the_end_is_free_for_another_node(nodes: list[Node]) -> None:
    here, there, _ = nodes
    await here.answer(answers=False)
    assert await there.answer() == Reservation(op_id="op-a", is_new=False)
    assert there.ran == 1
    assert await here.answer() == Reservation(op_id="op-a", is_new=False, answer=ANSWER)


async def test_a_request_is_given_back_when_the_database_answers_again(
    nodes: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there, _ = nodes
    refused: list[str] = []
    monkeypatch.setattr(shared_keys, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(shared_keys.log, "warning", lambda event, **_: refused.append(event))
    ends = asyncio.Event()
    asking = asyncio.create_task(here.answer(ends, answers=False))
    await until(lambda: here.ran == 1)
    async with renamed_away(there.database):
        ends.set()
        await asking
        await until(lambda: len(refused) > 2)
    await until_told(lambda: held(there), wanted=False)


async def test_a_twin_is_told_to_come_back_while_another_node_takes_long(url: str, nodes: list[Node]) -> None:
    never = asyncio.Event()
    stuck = asyncio.create_task(nodes[0].answer(never))
    await until(lambda: nodes[0].ran == 1)
    async with AsyncExitStack() as stack:
        hasty = await opened(stack, url, "hasty", wait_seconds=0.2)
        with pytest.raises(LockTimeout):
            await hasty.answer()
    stuck.cancel()
    await asyncio.gather(stuck, return_exceptions=True)


async def test_a_new_life_of_the_same_node_goes_on_with_what_its_last_one_left(url: str, nodes: list[Node]) -> None:
    never = asyncio.Event()
    stuck = asyncio.create_task(nodes[0].answer(never))
    await until(lambda: nodes[0].ran == 1)
    await nodes[0].die()
    async with AsyncExitStack() as stack:
        again = await opened(stack, url, "a")
        assert again.life.inc == nodes[0].life.inc + 1
        assert await again.answer() == Reservation(op_id="op-a", is_new=False)

        def columns(connection: Connection) -> tuple[str, int]:
            return tuple(connection.execute(text("SELECT reserved_by, reserved_inc FROM ops")).one())

        assert await again.database.read(columns) == ("a", again.life.inc)
    stuck.cancel()
    await asyncio.gather(stuck, return_exceptions=True)

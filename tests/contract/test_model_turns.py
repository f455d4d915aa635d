"""A model's runs as they are stored, on both databases: each ends once, with the decision, whoever races or dies."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import insert, select

from contract.message_steps import a_message, a_row, intended, the_message
from shoal.messages.decisions import Decision
from shoal.messages.message_log import MessageLog
from shoal.messages.model_runs import interrupt_runs, supersede_drafts
from shoal.messages.model_source import ModelTurn, RunState
from shoal.messages.model_turns import Ending
from shoal.messages.outbox import Outbox
from shoal.messages.send_guards import guard_of
from shoal.messages.takeovers import Takeovers
from shoal.storage.assistant_tables import ai_runs
from shoal.storage.database import Database
from support.databases.store_steps import Clock


async def a_run(database: Database, *, state: str = "asked", chat_id: str = "c") -> int:
    row = {"account_id": "shop", "chat_id": chat_id, "state": state, "created_at_ms": 1}
    statement = insert(ai_runs).values(**row).returning(ai_runs.c.id)
    return int(await database.write(lambda connection: connection.scalar(statement)) or 0)


async def runs(database: Database) -> list[tuple[Any, ...]]:
    query = select(ai_runs.c.state, ai_runs.c.why, ai_runs.c.outbox_id).order_by(ai_runs.c.id)
    return [tuple(row) for row in await database.read(lambda connection: connection.execute(query).all())]


def ending(run_id: int, end: RunState = RunState.ANSWERED) -> Ending:
    return Ending(ModelTurn(message_ids=("m1",), run_id=run_id, end=end, text="在", mode="auto"))


async def test_an_answer_its_decision_and_the_end_of_its_run_are_one(
    database: Database, log: MessageLog, sendings: Outbox, clock: Clock
) -> None:
    await log.store_incoming("shop", [a_message(1, "在吗")])
    end = ending(await a_run(database))
    guard = end.guard(guard_of(intended(clock, rule_id="model")))
    queued = await sendings.queue([a_row(1, rule_id="model")], answers=["m1"], guard=guard, stored=end.stored)
    assert await runs(database) == [("answered", "", queued.ids[0])]
    assert (await the_message(log, "m1")).message.decision is Decision.ANSWERED


async def test_what_fails_after_the_end_of_the_run_leaves_all_as_it_was(
    database: Database, log: MessageLog, sendings: Outbox, clock: Clock
) -> None:
    await log.store_incoming("shop", [a_message(1, "在吗")])
    end = ending(await a_run(database))

    def fails(*_: object) -> None:
        raise RuntimeError("cut off")

    guard = end.guard(guard_of(intended(clock, rule_id="model")))
    with pytest.raises(RuntimeError):
        await sendings.queue([a_row(1, rule_id="model")], answers=["m1"], guard=guard, stored=fails)
    assert await runs(database) == [("asked", "", None)]
    assert (await the_message(log, "m1")).message.decision is Decision.PENDING
    assert await sendings.list_sendings(["shop"]) == []


async def test_of_racing_ends_of_one_run_one_is_stored_and_one_answer_leaves(
    database: Database, log: MessageLog, sendings: Outbox, clock: Clock
) -> None:
    await log.store_incoming("shop", [a_message(number, "在吗") for number in range(1, 9)])
    run_id = await a_run(database)

    async def answers(number: int) -> bool:
        end = ending(run_id)
        guard = end.guard(guard_of(intended(clock, rule_id="model")))
        row = a_row(number, rule_id="model")
        queued = await sendings.queue([row], answers=[f"m{number}"], guard=guard, stored=end.stored)
        return bool(queued.ids)

    assert sorted(await asyncio.gather(*map(answers, range(1, 9)))) == [False] * 7 + [True]
    assert [row[0] for row in await runs(database)] == ["answered"]


async def test_the_end_of_a_connection_and_an_answer_exclude_each_other(
    database: Database, log: MessageLog, sendings: Outbox, clock: Clock
) -> None:
    await log.store_incoming("shop", [a_message(1, "在吗")])
    end = ending(await a_run(database))
    assert len(await database.write(lambda connection: interrupt_runs(connection, "shop", 5))) == 1
    guard = end.guard(guard_of(intended(clock, rule_id="model")))
    queued = await sendings.queue([a_row(1, rule_id="model")], answers=["m1"], guard=guard, stored=end.stored)
    assert (queued.ids, await runs(database)) == ([], [("failed", "interrupted", None)])
    assert (await the_message(log, "m1")).message.decision is Decision.PENDING


async def test_a_takeover_ends_the_open_drafts_of_its_chat_only(database: Database, log: MessageLog) -> None:
    for state, chat_id in (("drafted", "c"), ("drafted", "d"), ("answered", "c"), ("asked", "c")):
        await a_run(database, state=state, chat_id=chat_id)
    await Takeovers(database).take_over("shop", "c", minutes=5, actor="user:ann")
    assert [row[0] for row in await runs(database)] == ["superseded", "drafted", "answered", "asked"]
    ended = await database.write(lambda connection: supersede_drafts(connection, "shop", "d", "buyer_wrote", 7))
    assert len(ended) == 1

"""A call to a server that stands still ends when that life of it has ended, and tells what became of what it asked."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from benchmarks.processes import free_port
from shoal.accounts.change_path import Caller
from shoal.api.routes.manual_sending import send_for
from shoal.api.routes.order_delivery import send_once_more
from shoal.cluster.node_calls import AnswerLost, OwnerMoved
from shoal.messages.manual_sending import NotConnected
from shoal.messages.outbox_rows import OutboxRow, SendOutcome
from shoal.messages.sender import OutgoingMessage, Sent
from shoal.orders.order_store import Order
from support.servers.doors import Door, open_door
from support.site.standins import until

MESSAGE = OutgoingMessage(chat_id="c", buyer_id="22", text="您好", actor="user:admin", op_id="new")
ORDER = Order(account_id="shop", order_id="1", item_id="1")


@asynccontextmanager
async def silent_at(port: int) -> AsyncIterator[list[bytes]]:
    """A server that hears what it is asked, and never answers."""
    heard = list[bytes]()
    open_ones = list[asyncio.StreamWriter]()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.append(writer)
        heard.append(await reader.readline())

    server = await asyncio.start_server(hear, "127.0.0.1", port)
    try:
        yield heard
    finally:
        for writer in open_ones:
            writer.close()
        server.close()


@pytest.fixture
async def doors(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Door, Door, int]]:
    """The server that is asked at, the one that runs the shop, and the port of the address that its row names."""
    monkeypatch.setattr("shoal.cluster.handover.GIVEN_UP_AT_ONCE", 0)
    monkeypatch.setattr("shoal.cluster.asked_lives.SILENT_SECONDS", 0.1)
    monkeypatch.setattr("shoal.cluster.asked_lives.LOOKED_SECONDS", 0.1)
    port = free_port()
    shared: dict[str, Any] = {"database_url": url, "secret_key": "5a" * 32, "node_lease_seconds": 300.0}
    async with AsyncExitStack() as stack:
        address = f"http://127.0.0.1:{port}"
        there = await stack.enter_async_context(open_door(tmp_path / "b", node="b", node_address=address, **shared))
        await there.add()
        here = await stack.enter_async_context(open_door(tmp_path / "a", node="a", **shared))
        await until(lambda: "shop" in here.server.manager.accounts)
        yield here, there, port


async def test_what_a_silent_server_was_asked_is_asked_of_the_new_owner_or_found(
    doors: tuple[Door, Door, int],
) -> None:
    """The new owner has no connection to the site, and says so: then certainly nothing was sent."""
    here, _, port = doors
    server, shop = here.server, here.account()
    calls = server.node_calls
    assert calls is not None
    sent = OutboxRow(account_id="shop", chat_id="c", uuid="u", buyer_id="22", text="您好", op_id="stored")
    (row,) = (await server.message_log.outbox.queue([sent])).ids
    seconds = 3600.0
    async with silent_at(port) as heard, asyncio.timeout(100):
        asked: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(one)
            for one in (
                send_for(server, shop, MESSAGE, repeats=False),
                send_for(server, shop, dataclasses.replace(MESSAGE, op_id="stored"), repeats=False),
                send_for(server, shop, dataclasses.replace(MESSAGE, op_id=None), repeats=False),
                send_once_more(server, shop, ORDER, Caller(actor="x", op_id="o"), replace_unit=None, reason=""),
                calls.ask("shop", "look", {"rev": 0, "order_id": "1", "seconds": 0.0}, seconds=seconds),
                calls.ask_node("b", "figures", {}, seconds=seconds),
            )
        ]
        await until(lambda: len(heard) == len(asked))
        await asyncio.sleep(0.3)  # the rows are looked at meanwhile, and say nothing new
        assert not any(one.done() for one in asked)

        def job(connection: Any) -> None:
            connection.execute(text("UPDATE outbox SET outcome = 'uncertain' WHERE id = :id"), {"id": row})
            connection.execute(text("UPDATE nodes SET dead = true WHERE name = 'b'"))
            values = {"inc": calls.me[1]}
            connection.execute(text("UPDATE shards SET owner = 'a', owner_inc = :inc, epoch = epoch + 1"), values)

        await server.database.write(job)
        new, stored, unnamed, again, look, named = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(new, NotConnected), new
    assert isinstance(stored, Sent), stored
    assert (stored.id, stored.outcome) == (row, SendOutcome.UNCERTAIN)
    assert isinstance(unnamed, OwnerMoved), "without a number it cannot be found again"
    assert isinstance(again, NotConnected), again
    assert isinstance(look, OwnerMoved), look
    assert isinstance(named, AnswerLost), named
    assert named.code == "node_silent"
    assert len(heard) == len(asked), "it is asked once each"


async def test_a_life_that_ends_without_a_new_owner_leaves_the_outcome_open(
    doors: tuple[Door, Door, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _, port = doors
    monkeypatch.setattr("shoal.cluster.asked_lives.CLAIMED_SECONDS", 0.0)
    async with silent_at(port) as heard, asyncio.timeout(100):
        asked = asyncio.ensure_future(send_for(here.server, here.account(), MESSAGE, repeats=False))
        await until(lambda: len(heard) == 1)

        def job(connection: Any) -> None:
            connection.execute(text("UPDATE shards SET owner = NULL"))
            connection.execute(text("UPDATE nodes SET dead = true, draining = true"))

        await here.server.database.write(job)
        with pytest.raises(AnswerLost) as lost:
            await asked
    assert lost.value.code == "owner_silent"

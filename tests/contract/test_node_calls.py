"""What one server asks of another: the call arrives, or certainly nothing was done, and no stranger is heard."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from benchmarks.processes import free_port
from shoal.api.routes.node_calls import NODE_OPERATIONS
from shoal.api.server import Server
from shoal.cluster.node_calls import CALL_HEADER, PATH, AnswerLost, NodeCalls, OwnerAway, RefusedThere
from shoal.errors import NotApplied
from support.network.certificates import untrusted_server
from support.servers.doors import Door, open_door, served
from support.site.standins import until

KEY = "5a" * 32


class Pair:
    """Two servers; the shop runs at ``there``, whose address leads to it while it is served."""

    def __init__(self, here: Door, there: Door, port: int) -> None:
        self.here, self.there, self.port = here, there, port

    @property
    def calls(self) -> NodeCalls:
        """Those of the server that does not run the shop."""
        calls = self.here.server.node_calls
        assert calls is not None
        return calls

    async def look(self) -> dict[str, Any]:
        """Let the other server look for due actions, of which there are none."""
        asked = {"rev": self.here.account().rev, "order_id": "1", "seconds": 0.0}
        return await self.calls.ask("shop", "look", asked)


@asynccontextmanager
async def served_at(pair: Pair) -> AsyncIterator[None]:
    """The owner, at the address that its row names."""
    with socket.create_server(("127.0.0.1", pair.port)) as listener:
        async with served(pair.there, listener):
            yield


@pytest.fixture
async def pair(url: str, tmp_path: Path) -> AsyncIterator[Pair]:
    """The server that joins second runs nothing: the first is not asked to give up anything."""
    port = free_port()
    shared: dict[str, Any] = {"database_url": url, "secret_key": KEY, "node_lease_seconds": 300.0}
    async with AsyncExitStack() as stack:
        address = f"http://127.0.0.1:{port}"
        there = await stack.enter_async_context(open_door(tmp_path / "b", node="b", node_address=address, **shared))
        await there.add()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("shoal.cluster.handover.GIVEN_UP_AT_ONCE", 0)
            here = await stack.enter_async_context(open_door(tmp_path / "a", node="a", **shared))
            await until(lambda: "shop" in here.server.manager.accounts)
            yield Pair(here, there, port)


async def test_the_owner_is_asked_and_what_it_refuses_is_told(pair: Pair, url: str) -> None:
    async with served_at(pair):
        assert await pair.look() == {}
        body = {"chat_id": "c1", "to_user_id": "22", "text": "您好"}
        refused = await pair.here.call("POST", "/cookies/shop/send", 409, json=body)
        assert refused["code"] == "not_connected", "the other server's stand-in of a site has no connection"
        with pytest.raises(OwnerAway):  # a version that does not know it has certainly not done it
            await pair.calls.ask("shop", "unheard-of", {"rev": 0})
        asked = {"rev": 0, "order_id": "9", "replace_unit": None, "reason": ""}
        with pytest.raises(RefusedThere) as caught:
            await pair.calls.ask("shop", "send_again", asked | {"actor": "x", "op_id": "o", "repeats": False})
        assert caught.value.code == "unknown_order"


async def test_an_owner_that_is_not_there_or_moves_is_said_plainly(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"chat_id": "c1", "to_user_id": "22", "text": "您好"}
    refused = await pair.here.call("POST", "/cookies/shop/send", 503, json=body)
    assert (refused["code"], refused["params"]["node"]) == ("owner_unreachable", "b")
    async with served_at(pair):
        calls = pair.there.server.node_calls
        assert calls is not None
        with monkeypatch.context() as patch:
            patch.setattr(calls, "is_mine", lambda _: False)
            with pytest.raises(OwnerAway):
                await pair.look()
        await pair.here.server.database.write(
            lambda connection: connection.execute(text("UPDATE shards SET owner = NULL")).rowcount
        )
        with pytest.raises(OwnerAway) as caught:
            await pair.look()
        assert caught.value.code == "owner_changing"


async def test_a_server_whose_certificate_is_not_trusted_is_told_nothing_and_that_is_said(
    pair: Pair, tmp_path: Path
) -> None:
    async with untrusted_server(tmp_path) as address:
        move = text("UPDATE nodes SET address = :address WHERE name = 'b'")
        await pair.here.server.database.write(
            lambda connection: connection.execute(move, {"address": address}).rowcount
        )
        with capture_logs() as logs:
            for ask in (pair.look(), pair.calls.ask_node("b", "tell", {})):
                with pytest.raises(OwnerAway) as caught:
                    await ask
                assert caught.value.params == {"node": "b"}
            assert caught.value.code == "node_untrusted"
    told = [entry["node"] for entry in logs if entry["log_level"] == "warning"]
    assert told == ["b"], "the log says it once"


async def test_a_server_is_asked_by_its_name_and_one_that_is_gone_or_silent_is_said_plainly(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[dict[str, Any]] = []
    never = asyncio.Event()

    async def answer(_: Server, asked: dict[str, Any]) -> dict[str, Any]:
        heard.append(asked)
        if asked["what"] == "wait":
            await never.wait()
        if asked["what"] == "much":
            return {"said": "多" * 500_000}
        if asked["what"] == "refuse":
            raise NotApplied("no", code="not_sent", reason="so")
        return {"said": asked["what"]}

    monkeypatch.setitem(NODE_OPERATIONS, "tell", answer)
    with pytest.raises(OwnerAway) as caught:
        await pair.calls.ask_node("b", "tell", {"what": "x"})
    assert (caught.value.code, caught.value.params) == ("node_unreachable", {"node": "b"})
    with pytest.raises(OwnerAway) as caught:
        await pair.calls.ask_node("c", "tell", {"what": "x"})
    assert (caught.value.code, caught.value.params) == ("node_gone", {"node": "c"})
    assert heard == []
    async with served_at(pair):
        assert await pair.calls.ask_node("b", "tell", {"what": "x"}) == {"said": "x"}
        assert await pair.calls.ask_node("b", "tell", {"what": "much"}) == {"said": "多" * 500_000}
        monkeypatch.setattr("shoal.cluster.node_calls.LONGEST_ANSWER", 1_000_000)
        with pytest.raises(AnswerLost):
            await pair.calls.ask_node("b", "tell", {"what": "much"})
        with pytest.raises(RefusedThere) as refused:
            await pair.calls.ask_node("b", "tell", {"what": "refuse"})
        assert (refused.value.code, refused.value.params) == ("not_sent", {"reason": "so"})
        with pytest.raises(OwnerAway):  # a version that does not know it has certainly not done it
            await pair.calls.ask_node("b", "unheard-of", {})
        with pytest.raises(AnswerLost) as lost:
            await pair.calls.ask_node("b", "tell", {"what": "wait"}, seconds=1.0)
        assert (lost.value.code, lost.value.params) == ("node_silent", {"node": "b"})
        assert [asked["what"] for asked in heard] == ["x", "much", "much", "refuse", "wait"], "nothing is asked twice"
        never.set()


async def test_no_stranger_is_heard_and_no_stranger_answers(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.dumps({"account": "shop", "rev": 0, "order_id": "1", "seconds": 0.0}).encode()
    name, inc = pair.there.server.node_calls.me if pair.there.server.node_calls is not None else ("", 0)
    header, _ = pair.calls.signer.signed("look", content, to=name, to_inc=inc, by="a")
    for headers, status in (
        ({}, 403),
        ({CALL_HEADER: "nonsense"}, 403),
        ({CALL_HEADER: header}, 200),
        ({CALL_HEADER: header}, 403),
    ):
        answer = await pair.there.client.post(f"{PATH}/look", content=content, headers=headers)
        assert answer.status_code == status, answer.text
    async with served_at(pair):
        monkeypatch.setattr(pair.calls.signer, "is_answer", lambda *_: False)
        with pytest.raises(AnswerLost):
            await pair.look()


async def test_a_single_server_hears_no_calls(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data") as door:
        assert door.server.node_calls is None
        assert (await door.call("POST", f"{PATH}/look", 403, json={}))["code"] == "not_signed"

"""The server process is killed at each step of an away word: each chat gets it once in a closed period."""

from __future__ import annotations

import asyncio
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from benchmarks.processes import START_SECONDS, SandboxProcess, ServerProcess, soon
from support.messages.answer_ways import ALWAYS_CLOSED

pytestmark = pytest.mark.outside

DIES = Path(__file__).with_name("dying_server.py")
AWAY = "休息中，明天回复您"
SETTINGS = {"holidays": ALWAYS_CLOSED, "away_reply": AWAY}


async def ends(server: ServerProcess, message_id: str, *outcomes: str) -> None:
    """Wait until a message is decided as said to a closed shop, and its sendings have come to these outcomes."""

    async def is_so() -> bool:
        rows = (await server.ok("GET", "/messages"))["items"]
        row: dict[str, Any] = next((row for row in rows if row["message_id"] == message_id), {})
        return row.get("decision") == "closed" and [one["outcome"] for one in row["answers"]] == list(outcomes)

    await soon(is_so)


@pytest.mark.parametrize("point", ["before_intent", "after_intent", "after_receipt"])
async def test_an_away_word_is_said_once_in_a_closed_period_wherever_the_server_is_killed(
    sandbox: SandboxProcess, tmp_path: Path, point: str
) -> None:
    server = ServerProcess(tmp_path / "data", sandbox.url)
    server.command = (str(DIES), point)
    try:
        await server.start()
        seller = (await sandbox.get("sellers"))["items"][0]
        unb = str(seller["unb"])
        await server.add("shop", seller["cookie"])
        await server.ok("PATCH", "/cookies/shop/settings", SETTINGS)

        async def say(buyer: str) -> str:
            return str((await sandbox.do("say", account=unb, buyer=buyer, text="在吗"))["message_id"])

        first = await say("小鱼")
        async with asyncio.timeout(START_SECONDS):
            assert await server.child.wait() == -SIGKILL
        await server.end()
        server.command = ServerProcess.command
        await server.start()
        await ends(server, first, "sent")
        assert await sandbox.seen(unb, "小鱼") == [AWAY]
        await ends(server, await say("小鱼"))
        await server.end(SIGKILL)
        await server.start()
        await ends(server, await say("小鱼"))
        await ends(server, await say("豆豆妈"), "sent")
        assert [await sandbox.seen(unb, buyer) for buyer in ("小鱼", "豆豆妈")] == [[AWAY], [AWAY]]
    finally:
        await server.close()

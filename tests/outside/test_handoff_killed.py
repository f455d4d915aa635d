"""The server process is killed at each step of a hand-off: its sentence is said once, and the chat stays handed off."""

from __future__ import annotations

import asyncio
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from benchmarks.processes import START_SECONDS, SandboxProcess, ServerProcess, soon

pytestmark = pytest.mark.outside

DIES = Path(__file__).with_name("dying_server.py")
SAID = "店主马上就来"
SETTINGS = {"handoff_words": "人工", "handoff_reply": SAID}
DEFAULT = {"enabled": True, "reply_content": "稍等"}


async def decided(server: ServerProcess, message_id: str, decision: str, *outcomes: str) -> None:
    """Wait until a message is decided so and its sendings have come to these outcomes."""

    async def is_so() -> bool:
        rows = (await server.ok("GET", "/messages"))["items"]
        row: dict[str, Any] = next((row for row in rows if row["message_id"] == message_id), {})
        return row.get("decision") == decision and [one["outcome"] for one in row["answers"]] == list(outcomes)

    await soon(is_so)


@pytest.mark.parametrize("point", ["before_intent", "after_intent", "after_receipt"])
async def test_a_handoff_is_said_once_wherever_the_server_is_killed(
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
        await server.ok("PUT", "/default-replies/shop", DEFAULT)

        async def say(buyer: str, text: str) -> str:
            return str((await sandbox.do("say", account=unb, buyer=buyer, text=text))["message_id"])

        first = await say("小鱼", "转人工")
        async with asyncio.timeout(START_SECONDS):
            assert await server.child.wait() == -SIGKILL
        await server.end()
        server.command = ServerProcess.command
        await server.start()
        await decided(server, first, "handed_off", "sent")
        assert await sandbox.seen(unb, "小鱼") == [SAID]
        # the pause and the incident stand in the same transaction as the sentence
        await decided(server, await say("小鱼", "人工在吗"), "paused")
        (incident,) = [one for one in (await server.ok("GET", "/incidents"))["items"] if one["kind"] == "wants_person"]
        await server.end(SIGKILL)
        await server.start()
        await decided(server, await say("小鱼", "有人吗"), "paused")
        await decided(server, await say("豆豆妈", "在吗"), "answered", "sent")
        assert [await sandbox.seen(unb, buyer) for buyer in ("小鱼", "豆豆妈")] == [[SAID], ["稍等"]]
        (still,) = [one for one in (await server.ok("GET", "/incidents"))["items"] if one["kind"] == "wants_person"]
        assert still["id"] == incident["id"]
    finally:
        await server.close()

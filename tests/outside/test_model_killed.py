"""The server process is killed around a language model's answer: no question is answered twice, none is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from signal import SIGKILL

import pytest

from benchmarks.processes import START_SECONDS, SandboxProcess, ServerProcess, soon
from support.models.model_shop import REPLY
from support.models.model_steps import settings_for

pytestmark = [pytest.mark.outside, pytest.mark.long]

DIES = Path(__file__).with_name("dying_server.py")


@pytest.mark.parametrize("point", ["before_intent", "after_intent", "after_receipt"])
async def test_a_models_answer_leaves_once_wherever_the_server_is_killed(
    sandbox: SandboxProcess, tmp_path: Path, point: str
) -> None:
    server = ServerProcess(tmp_path / "data", sandbox.url)
    server.command = (str(DIES), point)
    try:
        await server.start()
        seller = (await sandbox.get("sellers"))["items"][0]
        await server.add("shop", seller["cookie"])
        await server.ok("POST", "/ai-providers", settings_for(sandbox.url))
        await server.ok("PUT", "/ai-reply-settings/shop", {"ai_enabled": True, "model_name": "tiny"})
        await sandbox.do("model", outputs=[REPLY], cycles=True)
        unb = str(seller["unb"])
        await sandbox.do("say", account=unb, buyer="小鱼", text="还在吗")
        async with asyncio.timeout(START_SECONDS):
            assert await server.child.wait() == -SIGKILL
        await server.end()
        server.command = ServerProcess.command
        await server.start()

        async def is_settled() -> bool:
            rows = (await server.ok("GET", "/messages"))["items"]
            outcomes = [one["outcome"] for row in rows for one in row["answers"]]
            return bool(outcomes) and all(row["decision"] for row in rows) and set(outcomes) == {"sent"}

        await soon(is_settled)
        assert len(await sandbox.seen(unb, "小鱼")) == 1
        states = [run["state"] for run in (await server.ok("GET", "/ai-runs"))["items"]]
        assert "asked" not in states
    finally:
        await server.close()

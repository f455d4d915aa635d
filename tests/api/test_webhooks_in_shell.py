"""Webhooks from the shell: added, tried, listed, switched, posted again, removed."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
from typer.testing import CliRunner

from shoal.cli.app import app
from support.servers.doors import open_door, served
from support.site.sandbox_driver import sandbox

CANARY = "CANARY0hook"


async def test_webhooks_are_seen_and_changed_by_commands(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        stack.enter_context(structlog.testing.capture_logs())  # the server writes where the command does
        box = await stack.enter_async_context(sandbox())
        door = await stack.enter_async_context(open_door(tmp_path / "data"))
        url = await stack.enter_async_context(served(door))
        token = await door.server.sessions.open(1)

        async def said(*words: str, code: int = 0) -> str:
            asked = {"SHOAL_URL": url, "SHOAL_TOKEN": token, "LC_ALL": "C"}
            done = await asyncio.to_thread(CliRunner().invoke, app, words, env=asked)
            assert (done.exit_code, CANARY in done.output) == (code, False), done.output
            return done.output

        assert "No webhooks yet" in await said("webhooks", "list")
        assert "whsec_" in await said("webhooks", "add", f"{box.url}/hook/{CANARY}", "--kind", "message")
        assert 'Taken: 200 {"ok":true}' in await said("webhooks", "test", "1")
        await box.post("receiver", kind="http_500", times=1)
        assert "Not taken: 500" in await said("webhooks", "test", "1", code=1)
        await box.post("receiver", kind="redirect", times=1)
        assert "Not taken: 307 redirects are not followed" in await said("webhooks", "test", "1", code=1)
        assert re.search(
            r"^1 +http://\S+/\*\*\* +message +all +on +never", await said("webhooks", "list"), re.MULTILINE
        )
        attempts = json.loads(await said("webhooks", "attempts", "1", "--json"))
        assert [row["status"] for row in attempts] == [307, 500, 200]
        assert re.search(r"webhook\.test +500 ", await said("webhooks", "attempts", "1"))
        assert "Switched off" in await said("webhooks", "off", "1")
        assert re.search(r" off +never", await said("webhooks", "list"))
        assert "goes on where it stopped" in await said("webhooks", "on", "1")
        await said("webhooks", "replay", "1", "m99", code=1)
        assert "Removed" in await said("webhooks", "remove", "1")
        assert json.loads(await said("webhooks", "list", "--json")) == []

"""Channels and incidents from the shell: added from a file, tested, listed; a backup of one's own that failed."""

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

CANARY = "CANARY0channel0token"


async def test_channels_and_incidents_are_seen_and_changed_by_commands(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        stack.enter_context(structlog.testing.capture_logs())  # the server writes where the command does
        box = await stack.enter_async_context(sandbox())
        door = await stack.enter_async_context(open_door(tmp_path / "data"))
        url = await stack.enter_async_context(served(door))
        token = await door.server.sessions.open(1)

        async def said(*words: str, code: int = 0, typed: str = "") -> str:
            asked = {"SHOAL_URL": url, "SHOAL_TOKEN": token, "LC_ALL": "C"}
            done = await asyncio.to_thread(CliRunner().invoke, app, words, input=typed, env=asked)
            output = done.output or str(done.exception)
            assert (done.exit_code, CANARY in output) == (code, False), output
            return output

        said_no = await said("channels", "add", "x", "dingtak", "-", code=1, typed="{}")
        assert "by: dingtalk, feishu" in said_no
        said_no = await said("channels", "add", "x", "webhook", "-", code=1, typed='{"ulr": "http://x"}')
        assert "webhook has no field ulr. Its fields are: url, authorization." in said_no
        fields = json.dumps({"url": f"{box.url}/hook/shop", "authorization": f"Bearer {CANARY}"})
        added = await said("channels", "add", "值班群", "webhook", "-", typed=fields)
        assert added.startswith("Added 值班群, with the ID 1.")
        assert json.loads(await said("channels", "list", "--json"))[0]["language"] == "en"
        assert re.search(r"^1 +值班群 +webhook +everything +– +yes", await said("channels", "list"), re.MULTILINE)
        await box.post("receiver", kind="http_500")
        answered = await said("channels", "test", "1", code=1)
        assert "was not taken" in answered
        assert 'HTTP 500 {"error":"internal"}' in answered
        await said("incidents", "backup", "--failed")
        assert re.search(r" 1 +A backup failed +Check the directory", await said("incidents", "list"))
        await said("incidents", "backup", "--ok")
        assert "Nothing stops a shop" in await said("incidents", "list")
        assert "removed" in await said("channels", "remove", "1")

"""Providers of models from the shell: added, agreed to, checked, listed, changed, removed."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
from typer.testing import CliRunner

from shoal.cli.app import app
from support.models.model_steps import KEY, served_model
from support.servers.doors import open_door, served


async def test_providers_are_seen_and_changed_by_commands(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        stack.enter_context(structlog.testing.capture_logs())  # the server writes where the command does
        base, model = await stack.enter_async_context(served_model())
        door = await stack.enter_async_context(open_door(tmp_path / "data", allow_private_targets="all"))
        url = await stack.enter_async_context(served(door))
        token = await door.server.sessions.open(1)

        async def said(*words: str, code: int = 0) -> str:
            asked = {"SHOAL_URL": url, "SHOAL_TOKEN": token, "LC_ALL": "C", "SHOAL_PROVIDER_KEY": KEY}
            done = await asyncio.to_thread(CliRunner().invoke, app, ("ai", "providers", *words), env=asked)
            assert (done.exit_code, KEY in done.output) == (code, False), done.output
            return done.output

        assert "No providers yet" in await said("list")
        added = await said("add", "small", f"{base}/v1", "--model", "tiny", "--fen-per-day", "500")
        assert f"agree 1 {base}" in added
        assert "not agreed" in await said("list")
        await said("check", "1", code=1)
        await said("agree", "1", "models.example.com", code=1)
        assert model.calls.after(0) == []
        assert "Changed" in await said("agree", "1", base)
        assert re.search(r"tokens in, \d+ out", await said("check", "1"))
        model.lay("401", times=1, seconds=0)
        assert "it refuses the key (401)" in await said("check", "1", code=1)
        model.script(["hello"], cycles=False)
        assert "not the JSON that was asked for" in await said("check", "1", code=1)
        assert re.search(r"small +\S+ +tiny +¥0\.00 / 5\.00 +ready", await said("list"))
        await said("change", "1", "--name", "large", "--no-limit")
        (one,) = json.loads(await said("list", "--json"))
        assert (one["name"], one["fen_per_day"]) == ("large", None)
        assert "Nothing is sent until you agree" in await said("disagree", "1")
        assert "Removed" in await said("remove", "1")
        assert json.loads(await said("list", "--json")) == []

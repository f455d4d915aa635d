"""Channels and incidents from the shell: added from a file, tested, listed; a backup of one's own that failed."""

from __future__ import annotations

import json
import re
from pathlib import Path

from doors import in_shell, open_door, served
from sandbox_driver import sandbox

CANARY = "CANARY0channel0token"


async def test_channels_and_incidents_are_seen_and_changed_by_commands(tmp_path: Path) -> None:
    async with sandbox() as box, open_door(tmp_path / "data") as door, served(door) as url:
        token = await door.server.sessions.open(1)

        async def said(*words: str, code: int = 0, typed: str = "") -> str:
            got, text = await in_shell(url, token, *words, typed=typed)
            assert (got, CANARY in text) == (code, False), text
            return text

        assert "No channels yet" in await said("channels", "list")
        assert re.search(r"^dingtalk: token, \[secret\]$", await said("channels", "services"), re.MULTILINE)
        fields = json.dumps({"url": f"{box.url}/hook/shop", "authorization": f"Bearer {CANARY}"})
        added = await said("channels", "add", "值班群", "webhook", "-", typed=fields)
        assert added.startswith("Added 值班群, with the ID 1.")
        assert re.search(r"^1 +值班群 +webhook +everything +– +yes", await said("channels", "list"), re.MULTILINE)
        assert 'HTTP 200 {"ok":true}' in await said("channels", "test", "1")
        await box.post("receiver", kind="http_500")
        assert "did not take" in await said("channels", "test", "1", code=1)
        await box.post("receiver", kind="none")
        assert "Nothing stops a shop" in await said("incidents", "list")
        await said("incidents", "backup", "--failed")
        (one,) = json.loads(await said("incidents", "list", "--json"))
        assert (one["kind"], one["count"]) == ("backup_failed", 1)
        assert re.search(r" 1 +A backup failed +Check the directory", await said("incidents", "list"))
        await said("incidents", "backup", "--ok")
        assert "Nothing stops a shop" in await said("incidents", "list")
        assert "A backup failed" in await said("incidents", "list", "--all")
        assert "removed" in await said("channels", "remove", "1")
        assert "No channels yet" in await said("channels", "list")

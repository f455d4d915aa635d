"""A client behind a proxy that alternates between two servers sees what it has changed, at every request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from shoal.cli.api_client import ApiClient
from shoal.cli.last_changes import LastChanges
from shoal.storage.commit_hints import CommitHints
from support.servers.doors import open_door, served
from support.site.standins import cookie_of

pytestmark = pytest.mark.postgresql

KEY = "5a" * 32
TURNS = 4


class Alternating:
    """A client of two servers: each call meets the other one."""

    def __init__(self, client: ApiClient, urls: list[str]) -> None:
        self._client = client
        self._urls = urls

    async def call(self, method: str, *path: str, body: Any = None) -> Any:
        """Call the server whose turn it is."""
        self._urls.reverse()
        self._client.url = self._urls[0]
        return await self._client.ask(f"{method} /{'/'.join(path)}", body=body)


@pytest.fixture
async def client(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Alternating]:
    """No server hints to the other one: each looks once a second by itself, and is waited for on a slow machine too."""
    monkeypatch.setattr("shoal.api.http.read_your_writes.AFTER_SECONDS", 60.0)
    monkeypatch.setattr(CommitHints, "committed", lambda _: None)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        doors = [
            await enter(open_door(tmp_path / name, node=name, database_url=url, secret_key=KEY)) for name in ("a", "b")
        ]
        urls = [await enter(served(door)) for door in doors]
        token = await doors[0].server.sessions.open(1, 3600)
        changes = LastChanges("http://proxy", tmp_path / "changes.json")
        yield Alternating(await enter(ApiClient(urls[0], token, changes=changes)), urls)


async def test_no_page_of_a_walk_shows_what_was_before_a_change(client: Alternating) -> None:
    for number in range(1, TURNS + 1):
        name = f"shop{number}"
        await client.call("POST", "cookies", body={"id": name, "value": cookie_of(number)})
        assert (await client.call("GET", "cookies", name))["id"] == name
        await client.call("PUT", "cookies", name, "remark", body={"remark": "first"})
        assert (await client.call("GET", "cookies", name))["remark"] == "first"
        await client.call("PUT", "cookies", name, "rules", body={"rules": [{"words": ["在吗"], "reply": "在的"}]})
        listed = await client.call("GET", "cookies", name, "rules")
        assert [rule["words"] for rule in listed["items"]] == [["在吗"]]
        assert name in await client.call("GET", "cookies")
    for number in range(1, TURNS + 1):
        await client.call("DELETE", "cookies", f"shop{number}")
        assert f"shop{number}" not in await client.call("GET", "cookies")

"""What a user changed last on a server: named by the next commands for half a minute, and never in the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shoal.cli.api_client import ApiClient, Refused
from shoal.cli.last_changes import LastChanges

URL = "http://127.0.0.1:1"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


def test_the_next_command_names_the_newest_rev_of_each_answer_for_half_a_minute(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "sub" / "changes.json"
    first = LastChanges(URL, path, now=clock)
    assert first.header() == {}
    first.note({"rev": 7, "changed": True})
    first.note({"results": [{"rev": 9}, {"rev": 11}, {"code": "x"}]})
    nothing: list[Any] = [None, [], "x", {"rev": None}, {"rev": 0}, {"items": [3]}]
    for answer in nothing:
        first.note(answer)
    assert first.header() == LastChanges(URL, path, now=clock).header() == {"Shoal-After": "7,11"}
    assert LastChanges("http://other", path, now=clock).header() == {}
    clock.seconds += 20
    LastChanges(URL, path, now=clock).note({"rev": 7})
    clock.seconds += 15
    assert LastChanges(URL, path, now=clock).header() == {"Shoal-After": "7"}
    clock.seconds -= 3_600
    assert LastChanges(URL, path, now=clock).header() == {}, "a clock that was set back"


def test_no_more_are_named_than_a_server_looks_up(tmp_path: Path) -> None:
    changes = LastChanges(URL, tmp_path / "changes.json")
    for rev in range(1, 40):
        changes.note({"rev": rev})
    assert changes.header()["Shoal-After"].split(",") == [str(rev) for rev in range(20, 40)]


@pytest.mark.parametrize(
    "damaged", ["", "[]", '{"http://127.0.0.1:1": 3}', '{"http://127.0.0.1:1": {"x": 1, "2": "y"}}']
)
def test_a_damaged_file_or_one_that_cannot_be_written_stops_nobody(tmp_path: Path, damaged: str) -> None:
    path = tmp_path / "changes.json"
    path.write_text(damaged, encoding="utf-8")
    assert LastChanges(URL, path).header() == {}
    path.unlink()
    path.mkdir()
    changes = LastChanges(URL, path)
    changes.note({"rev": 3})
    assert changes.header() == {"Shoal-After": "3"}, "in this command at least"


async def test_a_server_that_is_behind_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.cli.api_client.BEHIND_PAUSES", (0.0, 0.0))
    heard: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        heard.append(request.headers.get("Shoal-After"))
        if len(heard) in {2, 4, 5, 6}:
            return web.json_response({"detail": "behind", "code": "node_behind"}, status=503)
        return web.json_response({"rev": len(heard)})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        url = str(server.make_url("/"))
        async with ApiClient(url, changes=LastChanges(url, tmp_path / "changes.json")) as client:
            assert await client.ask("PUT /x") == {"rev": 1}
            assert await client.ask("GET /x") == {"rev": 3}
            with pytest.raises(Refused) as caught:
                await client.ask("GET /x")
    assert caught.value.code == "node_behind"
    assert heard == [None, "1", "1", "1", "1", "1"]
    assert list(json.loads((tmp_path / "changes.json").read_text(encoding="utf-8"))[url]) == ["1"]

"""The reference of the API: the page that the server shows, and the one in the repository."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

import pytest

from shoal.api.http.problem_table import PROBLEMS
from shoal.api.routes import reference
from shoal.api.routes.reference import operations
from shoal.server.reply_server import Application
from support.servers.doors import Door, client_of
from support.site.standins import until

ROOT = Path(__file__).parent.parent.parent


def test_the_page_in_the_repository_is_current() -> None:
    spec = importlib.util.spec_from_file_location("api_table", ROOT / "scripts" / "api_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (ROOT / "docs" / "api.md").read_text()
    assert module.page_with_tables(page) == page, "run: python scripts/api_table.py"
    for code in PROBLEMS:
        assert f"`{code.partition('/')[0]}`" in page


async def test_the_page_that_is_shown_loads_and_names_nothing_from_elsewhere(door: Door) -> None:
    async with client_of(door.app) as anybody:
        answer = await anybody.get("/docs")
        assert (await anybody.get("/redoc")).status_code == 404
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    page = answer.text
    assert "//" not in page, "no other host, whatever the scheme"
    assert not re.search(r"<script|<link|<img|<iframe|@import|url\(|\son\w+=|\ssrc=", page, re.IGNORECASE)
    assert re.findall(r"""href=["']?([^"'> ]+)""", page) == ["openapi.json"]


async def test_others_are_answered_while_the_document_is_made_and_it_is_made_once(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, go_on = Semaphore(0), Event()
    make = type(door.app).openapi

    def openapi(app: Application) -> dict[str, Any]:
        made.release()
        assert go_on.wait(10), "the loop waits for the document"
        return make(app)

    monkeypatch.setattr(type(door.app), "openapi", openapi)
    async with client_of(door.app) as anybody:
        readers = [asyncio.create_task(anybody.get(path)) for path in ("/docs", "/openapi.json", "/openapi.json")]
        await until(lambda: made.acquire(blocking=False))
        assert (await anybody.get("/health/live")).status_code == 200
        go_on.set()
        page, *documents = await asyncio.gather(*readers)
    assert page.status_code == 200
    assert [found.json() for found in documents] == [make(door.app)] * 2
    assert not made.acquire(blocking=False), "all who ask at that time share one"


async def test_g16_the_document_and_its_page_are_made_once_and_kept_as_bytes(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    make, draw = type(door.app).openapi, reference.page

    def openapi(app: Application) -> dict[str, Any]:
        made.append("document")
        return make(app)

    def page(document: reference.Document) -> str:
        made.append("page")
        return draw(document)

    monkeypatch.setattr(type(door.app), "openapi", openapi)
    monkeypatch.setattr(reference, "page", page)
    async with client_of(door.app) as anybody:
        for path in ("/openapi.json", "/docs"):
            answers = {(await anybody.get(path)).content for _ in range(3)}
            assert len(answers) == 1
    assert sorted(made) == ["document", "page"]
    assert door.app.openapi_schema is None, "what was made of it is kept, and not itself"


async def test_it_lists_every_route_with_its_body(door: Door) -> None:
    document = door.app.openapi()
    page = (await door.client.get("/docs")).text
    listed = operations(document)
    assert len(listed) == sum(len(methods) for methods in document["paths"].values())
    for operation in listed:
        assert f"<code>{operation.method} {operation.path}" in page
    bodies = {(operation.method, operation.path): operation.body for operation in listed}
    assert bodies["PUT", "/cookies/status"] == "{updates: {name: boolean}}"
    assert bodies["POST", "/keywords-with-item-id/{cid}"] == "{keywords: [{keyword, reply, item_id?}]}"
    assert bodies["GET", "/cookies"] == ""


async def test_g21_the_page_names_each_client_that_a_change_may_come_from(door: Door) -> None:
    """Changes by a token, which have a word of their own, were not named."""
    session = door.client.headers["Authorization"]
    console = f"Bearer {await door.server.sessions.open(1, 3600, kind='console')}"
    token = (await door.call("POST", "/tokens", json={"name": "a", "scope": "operate"}))["token"]
    callers = [{"Authorization": session}, {"Authorization": f"Bearer {token}"}, {"Authorization": console}]
    for number, caller in enumerate([*callers, {"Authorization": session, "User-Agent": "shoal/1 (shell)"}]):
        await door.call("PUT", "/cookies/shop/remark", json={"remark": str(number)}, headers=caller)
    rows = (await door.call("GET", "/cookies/shop/history", params={"limit": 4}))["items"]
    clients = {re.sub(r":\d+$", ":ID", row["origin"].split()[0]) for row in rows}
    assert len(clients) == 4
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    sentence = re.search(r"`origin` is the client and its address: (.*?);", page, re.DOTALL)
    assert sentence is not None
    assert set(re.findall(r"`([^`]+)`", sentence[1])) == clients

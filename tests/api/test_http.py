"""What of HTTP itself an attacker might turn: framing, methods, types, and reading that changes something."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, select

from api.authorisation_calls import NAMES
from shoal.errors import StoreError
from shoal.storage.schema import metadata
from support.servers.api_document import api_document
from support.servers.doors import Door, client_of, served

AMBIGUOUS = {
    "a length and chunks": "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "two lengths": "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}{}",
    "an unknown coding behind chunks": "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "no number of a chunk": "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "a negative length": "Content-Length: -1\r\n\r\n",
    "a length with a sign": "Content-Length: +2\r\n\r\n{}",
    "a blank before the colon": "Content-Length : 2\r\n\r\n{}",
    "a folded header": "X-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    "a NUL in a header": "X-Nul: a\0b\r\nContent-Length: 2\r\n\r\n{}",
}


async def _say(url: str, text: str) -> bytes:
    """What the server answers until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(text.encode())
    async with asyncio.timeout(60):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.slow
async def test_g16_numbers_that_json_does_not_have_are_refused_in_every_body(door: Door) -> None:
    document = api_document()
    names = {**NAMES, "cid": "shop", "rev": "1", "reply_id": "1"}
    asked = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if "application/json" not in operation.get("requestBody", {}).get("content", {}):
                continue
            if operation["operationId"] == "import_units":
                continue  # its body is read for the owner of the goods alone, by a reader of its own
            asked += 1
            url = re.sub(r"{(\w+)}", lambda found: names[found[1]], path)
            for number in ("NaN", "1e999"):
                content, headers = f'{{"rules": [{{"x": {number}}}]}}', {"Content-Type": "application/json"}
                answer = await door.client.request(method, url, content=content, headers=headers)
                assert '"type":"json_invalid"' in answer.text, (method, path, answer.text)
    assert asked > 70


async def test_a_request_whose_end_is_doubtful_is_refused_and_the_connection_closed(door: Door) -> None:
    bearer = door.client.headers["authorization"]
    head = f"PUT /cookies/shop/remark HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer}\r\n"
    before = door.account()
    async with served(door) as url:
        for what, rest in AMBIGUOUS.items():
            answer = await _say(url, head + "Content-Type: application/json\r\n" + rest)
            assert answer.startswith(b"HTTP/1.1 400 "), what
            assert answer.count(b"HTTP/1.1") == 1, f"{what}: what stood behind it was taken for a second request"
    assert door.account() is before


async def test_methods_that_nobody_needs_are_not_served(door: Door) -> None:
    for method in ("TRACE", "CONNECT", "PROPFIND", "OPTIONS"):
        answer = await door.client.request(method, "/cookies", headers={"X-Secret": "echoed?"})
        assert answer.status_code == 405, method
        assert "echoed?" not in answer.text
        assert not [name for name in answer.headers if name.startswith("access-control-")]


def _reading(door: Door) -> list[str]:
    paths: dict[str, dict[str, Any]] = api_document()["paths"]
    return [path for path, methods in paths.items() if "get" in methods and path != "/events"]


OF_THE_SERVER_ITSELF = {"security_notes", "observed", "state_moves"}
"""What is refused, and how shops fare: no request writes them."""


async def _stored(door: Door) -> dict[str, list[str]]:
    """Every row of the database, without those, when a sign-in was last used, and the writer's own mark."""

    def job(connection: Connection) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in metadata.tables.keys() - OF_THE_SERVER_ITSELF:
            columns = [column for column in metadata.tables[name].c if column.name != "last_used_ms"]
            rows = (str(row) for row in connection.execute(select(*columns)))
            found[name] = sorted(row for row in rows if not row.startswith("('writer:"))
        return found

    return await door.server.database.read(job)


async def test_reading_changes_nothing(door: Door) -> None:
    """Every GET of the document, as a page of another site could make a browser ask for it."""
    before, journal = door.account(), await door.server.store.journal()
    stored = await _stored(door)
    connections = dict(door.site.ever)
    paths = _reading(door)
    assert len(paths) > 40
    for path in paths:
        answer = await door.client.get(re.sub(r"{\w+}", "shop", path))
        assert answer.status_code < 500, path
    assert door.account() is before
    assert await _stored(door) == stored
    assert await door.server.store.journal() == journal
    assert door.site.ever == connections


async def test_every_answer_says_what_it_is(door: Door) -> None:
    """JSON, which is UTF-8 by its own definition, or a text that names its encoding, or a file to be saved."""
    kinds = set()
    for path in [*_reading(door), "/docs", "/openapi.json", "/nowhere", "/console/"]:
        answer = await door.client.get(re.sub(r"{\w+}", "shop", path))
        kind = answer.headers["content-type"]
        if kind.startswith("text/"):
            assert kind.endswith("; charset=utf-8"), path
        elif kind in {"application/json", "application/schema+json"}:
            answer.json()
        else:
            assert answer.headers["content-disposition"].startswith("attachment; "), path
        kinds.add(kind)
    assert {"application/json", "text/html; charset=utf-8"} < kinds


async def test_a_parameter_of_the_query_is_no_field_of_the_body_and_counts_once(door: Door) -> None:
    answer = await door.client.put("/cookies/shop/remark?remark=query", json={})
    assert answer.status_code == 422
    body, kind = b'{"remark":"a","remark":"b"}', {"Content-Type": "application/json"}
    twice = await door.client.put("/cookies/shop/remark?cid=other", content=body, headers=kind)
    assert (twice.status_code, door.account().remark) == (200, "b")
    assert len((await door.call("GET", "/history?limit=1&limit=2"))["items"]) == 2, "the last word counts, once"


async def test_no_page_of_another_site_may_read_an_answer(door: Door) -> None:
    for path in ("/cookies", "/health", "/openapi.json", "/nowhere", "/console/"):
        for method in ("GET", "OPTIONS"):
            asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
            answer = await door.client.request(method, path, headers=asked)
            assert not [name for name in answer.headers if name.startswith("access-control-")], (method, path)


async def test_nothing_but_the_front_door_and_the_help_is_redirected(door: Door) -> None:
    redirected = []
    for path in [*_reading(door), "/", "/docs", "/docs/", "/cookies/", "/console", "/help"]:
        answer = await door.client.get(re.sub(r"{\w+}", "shop", path), headers={"X-Forwarded-Proto": "http"})
        if answer.is_redirect:
            redirected.append((path, answer.headers["location"]))
    assert redirected == [("/", "/console/"), ("/help", "/help/")]


def test_no_secret_is_asked_for_in_an_address() -> None:
    """Addresses are kept by browsers, proxies and logs."""
    secret = re.compile(r"passw|token|secret|api_?key|code|seed|value|proxy", re.IGNORECASE)
    for path, methods in api_document()["paths"].items():
        for method, operation in methods.items():
            for parameter in operation.get("parameters", []):
                name = parameter["name"]
                if parameter["in"] in {"query", "path"} and not name.endswith("_id"):
                    assert not secret.search(name), (method, path, name)


async def test_what_was_encoded_twice_is_decoded_once(door: Door) -> None:
    for path, status in (("/cookies/%73hop", 200), ("/cookies/%2573hop", 404), ("/cookies/shop%252Fremark", 404)):
        answer = await door.client.get(httpx.URL("http://shoal.test", raw_path=path.encode()))
        assert answer.status_code == status, path
    await door.call("PUT", "/cookies/shop/remark", json={"remark": "%41 \\u0041 &lt; +"})
    assert door.account().remark == "%41 \\u0041 &lt; +"
    await door.call("GET", "/history?cid=sho%70")
    assert (await door.client.get("/messages?cid=sho%2570")).status_code == 404


async def test_an_error_of_the_program_is_written_down_and_the_server_goes_on(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(account_id: str) -> bool:
        raise RuntimeError(f"a defect with {account_id}")

    async with served(door) as url, httpx.AsyncClient(base_url=url, headers=door.client.headers, timeout=60) as client:
        with monkeypatch.context() as patched:
            patched.setattr(door.server.manager, "is_stale", broken)
            answer = await client.get("/cookies/shop")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert "defect" not in answer.text
        assert (await client.get("/cookies/shop")).status_code == 200
    (told,) = [record for record in caplog.records if record.exc_info]
    assert "a defect with shop" in str(told.exc_info)


async def test_a_sign_in_that_cannot_be_looked_up_lets_nobody_in(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise StoreError("disk I/O error")

    monkeypatch.setattr(door.server.database, "read", broken)
    async with client_of(door.app, "made-up") as stranger:  # memory knows only the signed-in users
        assert (await stranger.get("/cookies")).status_code == 401
    answer = await door.client.post("/login", json={"username": "admin", "password": "whatever it may be"})
    assert (answer.status_code, answer.json()["success"]) == (200, False)
    monkeypatch.setattr(door.server.sessions._database, "_is_true", False)  # and it may be out of date
    door.server.sessions._database.version += 1  # as after a write whose outcome is not known
    for path in ("/cookies", "/cookies/shop", "/users", "/security-log", "/system/status"):
        assert (await door.client.get(path)).status_code == 503, path
    answer = await door.client.post("/login", json={"username": "admin", "password": "whatever it may be"})
    assert answer.status_code == 503
    assert (await door.client.put("/cookies/shop/remark", json={"remark": "x"})).status_code == 503
    assert door.account().remark == ""

"""What the commands ask of a server that answers, and what they say of one that knows no session."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shoal.cli.app import main
from shoal.cli.token_file import TokenFile

PASSWORD = "a good password 1"


class Server:
    """Notes the calls, and takes one password."""

    def __init__(self) -> None:
        self.url = ""
        self.calls: list[tuple[str, str, dict[str, str]]] = []
        self.signed_in: list[Any] = []
        self.bodies: list[Any] = []
        self.answers: dict[str, Any] = {}
        self.keys: list[str | None] = []
        self.tokens: list[str | None] = []
        self.dies = 0
        """How many calls are cut off before they are answered."""

    async def answer(self, request: web.Request) -> web.Response:
        self.calls.append((request.method, request.path, dict(request.query)))
        self.tokens.append(request.headers.get("Authorization"))
        self.keys.append(request.headers.get("Idempotency-Key"))
        if self.dies and request.transport is not None:
            self.dies -= 1
            request.transport.abort()
        if request.path == "/login":
            body = await request.json()
            self.signed_in += [body] if body else []
            good = body.get("password") == PASSWORD
            return web.json_response({"success": good, "token": "t1"} if good else {"success": False})
        if request.can_read_body:
            self.bodies.append(await request.json())
        if request.path in self.answers:
            return web.json_response(self.answers[request.path])
        shop = {"id": request.path.split("/")[2], "state": "running", "reason": ""} if "cookies" in request.path else {}
        return web.json_response({"items": [], **shop})


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Server]:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG", "SHOAL_URL", "SHOAL_TOKEN", "SHOAL_USER", "SHOAL_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    standing = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", standing.answer)
    async with TestServer(app) as listening:
        standing.url = str(listening.make_url("/")).rstrip("/")
        yield standing


async def shell(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run a command on a thread, beside the server; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["shoal", *words])

    def run() -> int:
        with pytest.raises(SystemExit) as exit_:
            main()
        return int(exit_.value.code or 0)

    return await asyncio.to_thread(run)


async def test_who_never_signed_in_is_told_how(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await shell(monkeypatch, "accounts", "list", "--url", server.url) == 1
    assert f"You are not signed in to {server.url}" in capsys.readouterr().err


async def test_the_only_saved_sign_in_is_used_where_nothing_names_a_server(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    TokenFile().put(server.url, user="admin", token="saved")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert await shell(monkeypatch, "goods", "list", "--json") == 0
    assert (json.loads(capsys.readouterr().out), server.tokens) == ([], ["Bearer saved"])
    TokenFile().put("http://127.0.0.1:2", user="admin", token="other")
    monkeypatch.setenv("SHOAL_URL", "http://127.0.0.1:1")
    assert await shell(monkeypatch, "goods", "list") == 1
    assert f"You are signed in to: {server.url}, http://127.0.0.1:2." in capsys.readouterr().err


@pytest.mark.parametrize(
    "named", [{"SHOAL_TOKEN": "of another server"}, {"SHOAL_PASSWORD": PASSWORD}, {"SHOAL_PORT": "1"}]
)
async def test_a_saved_server_hears_nothing_that_is_meant_for_another_one(
    server: Server, monkeypatch: pytest.MonkeyPatch, named: dict[str, str]
) -> None:
    TokenFile().put(server.url, user="admin", token="saved")
    monkeypatch.setattr("shoal.cli.session.DEFAULT_PORT", 1)
    for name, text in named.items():
        monkeypatch.setenv(name, text)
    assert await shell(monkeypatch, "goods", "list") == 1
    assert server.calls == []


async def test_a_cookie_is_piped_without_an_option(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOAL_TOKEN", "t")
    server.answers["/cookies"] = {"generation": 1, "changed": True}
    for typed, code in (("unb=1; cookie2=2\n", 0), ("", 2)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
        assert await shell(monkeypatch, "accounts", "add", "shop", "--url", server.url) == code
    assert server.bodies == [{"id": "shop", "value": "unb=1; cookie2=2"}]


async def test_a_password_in_the_environment_is_not_asked_for_and_none_is_no_password(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await shell(monkeypatch, "login", "--url", server.url) == 2
    assert "SHOAL_PASSWORD" in capsys.readouterr().err
    assert server.signed_in == []
    monkeypatch.setenv("SHOAL_PASSWORD", PASSWORD)
    assert await shell(monkeypatch, "login", "--url", server.url) == 0
    assert server.signed_in == [{"username": "admin", "password": PASSWORD}]
    assert TokenFile().get(server.url) == "t1"


@pytest.mark.parametrize(
    ("words", "path", "asked"),
    [
        ("orders list", "/orders", {"limit": "50"}),
        (
            "orders list --waiting --status pending_ship --search 4500",
            "/orders",
            {"limit": "50", "waiting": "true", "status": "pending_ship", "q": "4500"},
        ),
        ("orders list shop --problem --limit 7", "/orders", {"limit": "7", "problem": "true", "account": "shop"}),
        ("ai runs", "/ai-runs", {"limit": "50"}),
    ],
)
async def test_rows_are_asked_for_as_the_command_says(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, path: str,
    asked: dict[str, str],
) -> None:  # fmt: skip
    monkeypatch.setenv("SHOAL_TOKEN", "t")
    assert await shell(monkeypatch, *words.split(), "--json", "--url", server.url) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert server.calls == [("GET", path, asked)]


async def test_orders_are_saved_in_the_format_that_the_ending_names(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHOAL_TOKEN", "t")
    assert await shell(monkeypatch, "orders", "export", "sold.CSV", "one", "--url", server.url) == 0
    assert json.loads((tmp_path / "sold.CSV").read_bytes()) == {"items": []}
    assert "sold.CSV" in capsys.readouterr().out
    assert await shell(monkeypatch, "orders", "export", "sold.txt", "--url", server.url) == 2
    assert ".xlsx" in capsys.readouterr().err
    assert server.calls == [("GET", "/orders/export", {"format": "csv", "account": "one"})]


async def test_each_shop_that_is_switched_or_resumed_is_told_with_its_state(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHOAL_TOKEN", "t")
    assert await shell(monkeypatch, "accounts", "enable", "one", "two", "--url", server.url) == 0
    assert capsys.readouterr().out == "one: running\ntwo: running\n"
    assert await shell(monkeypatch, "accounts", "resume", "three", "--url", server.url) == 0
    assert capsys.readouterr().out == "three: running\n"
    assert [(method, path) for method, path, _ in server.calls] == [
        ("PUT", "/cookies/one/status"), ("GET", "/cookies/one"),
        ("PUT", "/cookies/two/status"), ("GET", "/cookies/two"),
        ("POST", "/cookies/three/resume"), ("GET", "/cookies/three"),
    ]  # fmt: skip


LOCKS = {
    "held": 1, "waiting": 2, "acquired_total": 30, "timeouts_total": 44, "longest_wait_seconds": 0.5,
    "longest_hold_seconds": 0.25, "oldest_account": "the-shop", "oldest_operation": "update_cookie",
}  # fmt: skip
SESSION = {
    "id": "5f2b", "current": True, "user_agent": "Firefox on Debian", "address": "10.0.0.7",
    "last_used_at": "2026-01-02T03:04:05.000Z", "expires_at": "2026-02-02T03:04:05.000Z",
}  # fmt: skip


async def test_runs_of_models_are_asked_for_by_fifty(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOAL_TOKEN", "t")
    assert await shell(monkeypatch, "ai", "runs", "--not-called", "--json", "--url", server.url) == 0
    assert server.calls == [("GET", "/ai-runs", {"limit": "50", "called": "false"})]


@pytest.mark.parametrize(
    ("words", "answers", "said"),
    [
        ("system locks", {"/system/locks": LOCKS}, ("44", "the-shop", "update_cookie")),
        ("me sessions", {"/sessions": {"items": [SESSION]}}, ("5f2b", "Firefox on Debian", "10.0.0.7")),
    ],
)
async def test_what_a_server_answered_is_shown(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str,
    answers: dict[str, Any], said: tuple[str, ...],
) -> None:  # fmt: skip
    monkeypatch.setenv("SHOAL_TOKEN", "t")
    monkeypatch.setenv("COLUMNS", "200")
    server.answers = answers
    assert await shell(monkeypatch, *words.split(), "--url", server.url) == 0
    out = capsys.readouterr().out
    assert [part for part in said if part not in out] == []


async def test_a_new_password_is_two_lines_of_standard_input_and_nothing_else(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOAL_TOKEN", "t")
    for given, code in (("old\nnew\n", 0), ("old\n", 2), ("old\nnew\nmore\n", 2)):
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        assert await shell(monkeypatch, "me", "password", "--url", server.url) == code
    assert server.bodies == [{"current_password": "old", "new_password": "new"}]


async def test_a_floor_that_is_no_number_is_refused_before_anything_is_asked(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOAL_TOKEN", "t")
    for floor, code in (("cheap", 2), ("900", 0), ("none", 0)):
        change = ("accounts", "answers", "one", "--price-floor", floor, "--json", "--url", server.url)
        assert await shell(monkeypatch, *change) == code
    assert server.bodies == [{"price_floor_fen": 900}, {"price_floor_fen": None}]


async def test_an_old_key_is_kept_when_its_owner_does_not_want_it_deleted(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOAL_TOKEN", "t")
    monkeypatch.setattr("shoal.cli.commands.servers.sure", lambda _: False)
    server.answers["/system/keys"] = {"absent": [], "servers": []}
    assert await shell(monkeypatch, "keys", "forget", "--url", server.url) == 1
    assert [(method, path) for method, path, _ in server.calls] == [("GET", "/system/keys")]


async def test_a_draft_whose_answer_is_lost_is_sent_again_with_the_same_key(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOAL_TOKEN", "t")
    server.answers["/ai-runs/7/approve"] = {"outcome": "sent", "reason": ""}
    server.dies = 1
    assert await shell(monkeypatch, "ai", "approve", "7", "--url", server.url) == 0
    assert server.calls == [("POST", "/ai-runs/7/approve", {})] * 2
    assert len({*server.keys, None}) == 2, "one key"


async def test_what_a_sign_in_asks_on_the_terminal_is_no_output_of_the_command(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = iter(["ann", PASSWORD])
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("typer._click.termui.visible_prompt_func", lambda _: next(typed))
    monkeypatch.setattr("typer._click.termui.hidden_prompt_func", lambda _: next(typed))
    assert await shell(monkeypatch, "login", "--url", server.url) == 0
    assert server.signed_in == [{"username": "ann", "password": PASSWORD}]
    said = capsys.readouterr()
    assert ("Password" in said.err, "Password" in said.out) == (True, False)

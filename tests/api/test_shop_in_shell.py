"""A shop from the shell, at the sandbox: its rules, items, settings, history, chats and messages, and the server."""

from __future__ import annotations

import asyncio
import functools
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
import typer.testing
from typer.testing import CliRunner

from benchmarks.processes import SandboxProcess
from shoal.cli.app import app
from shoal.cli.moments import moment
from shoal.cli.names import account_ids
from support.servers.doors import open_door, served
from support.site.sandboxed import QUICK_SITE
from support.site.standins import until


@dataclass
class Shell:
    """Commands at a server with one shop that runs, and what was printed."""

    url: str
    token: str
    sandbox: SandboxProcess
    unb: str

    async def said(self, *words: str, code: int = 0, typed: str = "") -> str:
        asked = {"SHOAL_URL": self.url, "SHOAL_TOKEN": self.token, "LC_ALL": "C"}
        done = await asyncio.to_thread(CliRunner().invoke, app, words, input=typed, env=asked)
        said = done.output or str(done.exception)
        assert done.exit_code == code, said
        return said

    async def json(self, *words: str, typed: str = "") -> Any:
        return json.loads(await self.said(*words, "--json", typed=typed))

    async def rev(self) -> str:
        return str((await self.json("history", "list", "--limit", "1"))[0]["rev"])


@pytest.fixture
async def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shell]:
    monkeypatch.setattr(
        typer.testing, "_get_command", functools.cache(typer.main.get_command)
    )  # made once, not 80 times
    sandbox = await SandboxProcess(tmp_path / "sandbox.log").start()
    try:
        urls = {f"site_{name}_url": sandbox.url for name in ("mtop", "passport", "upload")}
        urls["site_ws_url"] = sandbox.url.replace("http", "ws", 1) + "/"
        async with open_door(tmp_path / "data", over_the_wire=True, **{**urls, **QUICK_SITE}) as door:
            seller = (await sandbox.get("sellers"))["items"][0]
            await door.call("POST", "/cookies", json={"id": "shop", "value": seller["cookie"]})
            await until(lambda: door.server.manager.observation("shop").state == "running", seconds=60)
            token = await door.server.sessions.open(1)
            async with served(door) as url:
                with structlog.testing.capture_logs():  # the server writes where the command does
                    yield Shell(url, token, sandbox, seller["unb"])
    finally:
        await sandbox.end()


async def test_a_shop_is_run_by_commands_alone(shell: Shell, tmp_path: Path) -> None:
    await _rules(shell, tmp_path)
    await _items_and_settings(shell)
    await _chats(shell)
    await _the_server(shell)
    await _what_is_ones_own(shell)
    await _names(shell, tmp_path)
    await _answers(shell)


async def _rules(shell: Shell, tmp_path: Path) -> None:
    assert "No such rules" in await shell.said("rules", "list", "shop")
    options = ("--hours", "1-5 09:00-18:00", "--hours", "6,7 10:00-12:00", "--delay", "1-3", "--item", "700000000001")
    made = await shell.said("rules", "add", "shop", "包邮", "邮费", "--reply", "全国包邮", "--all-words", *options)
    (rule,) = await shell.json("rules", "list", "shop")
    assert f"Rule {rule['id']}: 包邮 · 邮费" in made
    assert (rule["word_mode"], rule["delay_seconds"], rule["item_ids"]) == ("all", [1.0, 3.0], ["700000000001"])
    assert [(span["weekdays"], span["start"]) for span in rule["schedule"]] == [
        ([1, 2, 3, 4, 5], "09:00"),
        ([6, 7], "10:00"),
    ]
    assert "It applies to other items" in await shell.said("rules", "try", "shop", "包邮 邮费")
    await shell.said("rules", "edit", "shop", rule["id"], "--hours", "always", "--any-word", "--off")
    edited = await shell.json("rules", "show", "shop", rule["id"])
    assert (edited["schedule"], edited["word_mode"], edited["active"], edited["words"]) == (
        [],
        "any",
        False,
        rule["words"],
    )
    await shell.said("rules", "add", "shop", "在吗", "--reply", "在的", "--priority", "5")
    first, second = (one["id"] for one in await shell.json("rules", "list", "shop"))
    assert "By rule" in await shell.said("rules", "try", "shop", "在吗")
    await shell.said("rules", "move", "shop", second, "--before", first)
    assert [one["id"] for one in await shell.json("rules", "list", "shop")] == [second, first]
    assert "there is no rule nope" in await shell.said("rules", "move", "shop", second, "--after", "nope", code=1)
    for ending in ("csv", "xlsx", "json"):
        file = str(tmp_path / f"rules.{ending}")
        await shell.said("rules", "export", "shop", file)
        assert "0 added, 0 changed, 0 removed, 2 unchanged" in await shell.said("rules", "import", "shop", file)
    await asyncio.to_thread(
        Path(file).with_suffix(".csv").write_text, "关键词,关键词内容\n你好,您好\n", encoding="utf-8"
    )
    merged = await shell.json("rules", "import", "shop", str(tmp_path / "rules.csv"), "--merge", "--dry-run")
    assert (len(merged["edits"]), merged["added"], merged["changed"]) == (1, 1, False)
    await shell.said("rules", "remove", "shop", first)
    undone = await shell.said("history", "undo", await shell.rev(), "--dry-run")
    assert "keywords: added 1" in undone
    await shell.said("history", "undo", await shell.rev())
    assert len(await shell.json("rules", "list", "shop")) == 2
    await shell.said("rules", "add", "shop", "x", "--hours", "9-5", code=2)
    await shell.said("rules", "edit", "shop", first, code=1)


async def _answers(shell: Shell) -> None:
    asked = (
        "accounts",
        "answers",
        "shop",
        "--handoff-word",
        "真人",
        "--handoff-reply",
        "打 13800138000",
        "--away",
        "休息中",
    )
    await shell.said(*asked, "--holidays", "2000-01-01/2999-12-31", "--filter-pattern", "刷单", "--price-floor", "990")
    desired = (await shell.json("accounts", "show", "shop"))["desired"]
    assert (desired["handoff_words"], desired["filter_patterns"], desired["price_floor_fen"]) == ("真人", "刷单", 990)
    assert "The output filter finds: 刷单 / 5元" in await shell.said("accounts", "try-filter", "shop", "刷单5元")
    tried = await shell.said("rules", "try", "shop", "真人")
    assert "By the hand-off sentence." in tried
    assert "The output filter finds: 13800138000" in tried
    assert "By the away word." in await shell.said("rules", "try", "shop", "在吗")
    await shell.said("accounts", "answers", "shop", "--away", "加我微信")
    assert (await shell.said("rules", "try", "shop", "在吗")).count("加我微") == 2, "in the text, and as what is found"
    await shell.said("accounts", "answers", "shop", "--away", "")
    assert "It would not be sent now: The shop is closed" in await shell.said("rules", "try", "shop", "在吗")
    await shell.said("accounts", "answers", "shop", "--holidays", "", "--handoff-word", "", "--price-floor", "none")


async def _items_and_settings(shell: Shell) -> None:
    await shell.said("items", "set", "shop", "700000000001", "--reply", "今天发货", "--paid-message", "谢谢")
    assert "今天发货" in await shell.said("items", "list", "shop")
    assert (await shell.json("items", "show", "shop", "700000000001"))["paid_message"] == "谢谢"
    priced = {"specs": ["时长:月卡"], "spec_prices": [2_500], "status": "卖掉了"}
    made = await shell.sandbox.do("item", account=shell.unb, title="会员", **priced)
    assert "时长" not in await shell.said("items", "page", "shop", made["id"])
    shown = await shell.said("items", "page", "shop", made["id"], "--read")
    assert "¥25.00" in shown
    assert "sold or taken off the shelf" in shown
    await shell.said("items", "remove", "shop", "700000000001")
    assert await shell.json("items", "list", "shop") == []
    words = (
        "--merge-delay",
        "1.5",
        "--buyer-limit",
        "9",
        "--default-reply",
        "稍等",
        "--default-on",
        "--remark",
        "note",
    )
    await shell.said("accounts", "set", "shop", *words)
    wanted = (await shell.json("accounts", "show", "shop"))["desired"]
    assert (wanted["debounce_seconds"], wanted["buyer_replies_per_hour"], wanted["default_reply"]) == (1.5, 9, "稍等")
    assert "nothing changed" in await shell.said("accounts", "set", "shop", "--remark", "note")
    await shell.said("accounts", "set", "shop", "--merge-delay", "server")
    assert (await shell.json("accounts", "show", "shop"))["desired"]["debounce_seconds"] is None
    await shell.said("accounts", "set", "shop", "--buyer-limit", "many", code=2)
    changed = await shell.said("history", "list", "--field", "remark")
    assert re.search(r" shop +admin shell +.*remark: – → note", changed)
    assert re.search(r"\n1 .* shop +admin api +shop added *\n$", await shell.said("history", "list"))
    op = (await shell.json("history", "list", "--limit", "1"))[0]["op_id"]
    assert "It was made, as change" in await shell.said("history", "outcome", op)
    assert "✓" in await shell.said("accounts", "diagnose", "shop")
    assert "Uptime" in await shell.said("accounts", "timeline", "shop", "--since", "1h")
    await shell.said("accounts", "forget-greeted", "shop")
    assert (await shell.json("accounts", "check-proxy", "shop"))["ok"]


async def _chats(shell: Shell) -> None:
    chat = str((await shell.sandbox.do("say", account=shell.unb, buyer="2200000000099", text="你好呀"))["cid"])
    await _until(shell, "Shoal: 稍等", "chats", "read", "shop", chat)
    assert re.search(rf"^{chat} +shop +", await shell.said("chats", "list", "--account", "shop"), re.MULTILINE)
    assert "Sent." in await shell.said("chats", "send", "shop", chat, "马上发", "--take-over")
    await _until(shell, "Shoal: 马上发", "chats", "read", "shop", chat)
    assert [row["chat_id"] for row in await shell.json("chats", "pauses", "shop")] == [chat]
    assert "start again" in await shell.said("chats", "resume", "shop", chat)
    assert "No automatic replies" in await shell.said("chats", "pause", "shop", chat, "--minutes", "5")
    assert [row["chat_id"] for row in await shell.json("chats", "list", "--paused")] == [chat]
    assert "--buyer" in await shell.said("chats", "send", "shop", "4711", "hello", code=1)
    assert "你好呀" in await shell.said("messages", "list", "--search", "你好呀", "--since", "1h")
    assert re.search(rf" shop +{chat} +马上发 +sent", await shell.said("messages", "sent", "--chat", chat))
    sent = await shell.json("messages", "sent", "--chat", chat)
    assert [row["text"] for row in sent] == ["马上发", "稍等"]


async def _the_server(shell: Shell) -> None:
    assert (await shell.json("system", "status"))["store"]["kind"] == "sqlite"
    assert "1 running" in await shell.said("system", "status")
    assert "1 of 1 shops are connected" in await shell.said("system", "health")
    assert "taken" in await shell.said("system", "locks")
    assert (await shell.json("system", "logs", "--lines", "5"))["success"]
    assert "0 differ" in await shell.said("system", "reload", "--dry-run")
    assert sum(row["sent"] for row in await shell.json("system", "activity", "--since", "1h")) == 2
    assert isinstance(await shell.json("system", "audit", "--limit", "3"), list)


async def _what_is_ones_own(shell: Shell) -> None:
    assert (await shell.json("me", "show"))["username"] == "admin"
    others = len(await shell.json("me", "sessions")) - 1
    assert (await shell.json("me", "end-others"))["ended"] == others
    assert [one["current"] for one in await shell.json("me", "sessions")] == [True]
    password = "violet harbour 57 lantern"
    await shell.said("users", "add", "ann", "--role", "staff", typed=f"{password}\n")
    assert "Two-step verification of ann is off" in await shell.said("users", "totp-off", "ann")
    made = await shell.json("goods", "add", "月卡")
    await shell.said("goods", "change", str(made["id"]), "--low-at", "3", "--name", "年卡")
    shown = await shell.json("goods", "show", str(made["id"]))
    assert (shown["name"], shown["low_at"]) == ("年卡", 3)
    assert await shell.json("goods", "batches", str(made["id"])) == []
    assert "年卡" in json.dumps(await shell.json("goods", "history", str(made["id"])), ensure_ascii=False)
    fields = json.dumps({"url": "http://127.0.0.1:9/"})
    channel = str((await shell.json("channels", "add", "群", "webhook", "-", typed=fields))["id"])
    changed = await shell.json("channels", "change", channel, "--quiet", "23:00-08:00", "--least", "urgent", "--off")
    assert (changed["quiet"]["from"], changed["least"], changed["active"]) == ("23:00", "urgent", False)
    assert (await shell.json("channels", "tells", channel, "--kind", "parked"))["kinds"] == ["parked"]
    assert "parked" in await shell.said("channels", "tells", channel)
    assert "23:00–08:00" in await shell.said("channels", "show", channel)
    assert await shell.json("notices", "list") == []
    assert (await shell.json("channels", "remove", channel))["id"] == int(channel)


async def _names(shell: Shell, tmp_path: Path) -> None:
    said = await shell.said("rules", "list", "shpo", code=1)
    assert [text for text in ("no shop shpo", "Did you mean: shop?", "The shops here: shop.") if text not in said] == []
    assert "Did you mean: shop?" in await shell.said("messages", "list", "--account", "shopp", code=1)
    assert "shoal accounts list" in await shell.said("accounts", "show", "zzzzzz", code=1)
    assert "no shop nope" in await shell.said("webhooks", "add", "https://example.com/", "--account", "nope", code=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOAL_URL", shell.url)
        patch.setenv("SHOAL_TOKEN", shell.token)
        patch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert await asyncio.to_thread(account_ids, "sh") == ["shop"]
        file = tmp_path / "shoal" / "account-ids.json"
        assert shell.token not in await asyncio.to_thread(file.read_text)
        patch.setenv("SHOAL_TOKEN", "another")
        assert await asyncio.to_thread(account_ids, "sh") == []  # the ids that another user was told are not offered
    states = await shell.json("accounts", "disable", "shop")
    assert [one["enabled"] for one in states] == [False]


async def _until(shell: Shell, text: str, *words: str) -> None:
    async with asyncio.timeout(60):
        while text not in await shell.said(*words):
            await asyncio.sleep(0.1)


def test_times_are_typed_as_people_say_them() -> None:
    assert moment("2026-01-31T09:00+08:00") == "2026-01-31T01:00:00Z"
    assert moment("2026-01-31 09:00Z") == "2026-01-31T09:00:00Z"
    assert str(moment("2h")).endswith("Z")
    assert moment(None) is None

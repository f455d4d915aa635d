"""What a person sees who types a command: sentences, never tracebacks, and never a secret."""

from __future__ import annotations

import json
import os
import select
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import shoal.cli
from shoal import __version__
from shoal.accounts.account import AccountState, ParkReason
from shoal.cli.account_tables import account_facts, account_table, summary
from shoal.cli.api_client import EventParser, server_url
from shoal.cli.app import main
from shoal.cli.hidden_prompt import ask_hidden
from shoal.cli.token_file import TokenFile
from shoal.cli.words import ago, is_chinese, printable, reason_words, state_text, state_word
from shoal.errors import ConfigError
from shoal.network.addresses import reachable_url
from shoal.server.bound_socket import bind

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _english_and_a_home_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stranger() -> Iterator[str]:
    """Something that speaks HTTP and is not Shoal."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(60)


def shell(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["shoal", *words])
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code or 0)


def account(account_id: str = "shop", **fields: Any) -> dict[str, Any]:
    return {
        "id": account_id, "unb": "2200000000001", "remark": "木子数码 [red]", "fingerprint": "1f0e9a3c",
        "enabled": True, "state": "running", "reason": "", "since": "2026-01-02T03:03:05.000Z", "next_attempt_at": None,
        "action_url": "", "action_text": "", "generation": 7, "created_at": "2026-01-01T00:00:00.000Z",
        "desired": {
            "keyword_count": 3, "item_count": 0, "default_reply_enabled": False, "default_reply": "",
            "paid_message": "", "auto_confirm": False, "free_shipping": False, "pause_duration": 10,
        },
        "observed": {"detail": "", "connected_at": None, "last_heartbeat_at": None, "last_message_at": None},
        **fields,
    }  # fmt: skip


def drawn(table: object, width: int = 80) -> str:
    console = Console(width=width, record=True, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    with console.file:
        console.print(table)
    return console.export_text()


# -- the command line ---------------------------------------------------------------------------------------------


def test_the_version_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"shoal {__version__}\n"


def test_help_names_the_commands_and_the_exit_codes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell(monkeypatch, "--help") == 0
    out = capsys.readouterr().out
    for word in ("serve", "demo", "sandbox", "login", "logout", "accounts", "orders", "Exit codes"):
        assert word in out


def test_an_unknown_option_is_a_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shell(monkeypatch, "accounts", "list", "--nope") == 2


def test_each_question_of_yes_or_no_names_the_option_that_answers_it_without_a_terminal() -> None:
    asking = {
        path.name for path in Path(shoal.cli.__file__).parent.rglob("*.py") if "typer.confirm" in path.read_text()
    }
    assert asking == {"run_rows.py"}


def test_without_a_server_the_shell_says_how_to_start_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    for command in (["list"], ["show", "x"], ["enable", "x"], ["remove", "x", "--yes"]):
        assert shell(monkeypatch, "accounts", *command, "--url", url) == 1
        assert capsys.readouterr().err == f"shoal: No Shoal server is running at {url}. Start one with: shoal serve\n"
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    monkeypatch.setenv("SHOAL_URL", url)
    monkeypatch.setenv("SHOAL_TOKEN", "t")
    assert shell(monkeypatch, "accounts", "list") == 1
    assert "没有 Shoal 服务器在运行" in capsys.readouterr().err


def test_a_stranger_at_the_address_is_called_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stranger: str
) -> None:
    assert shell(monkeypatch, "accounts", "list", "--url", stranger) == 1
    assert "is not a Shoal server" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["foo", "ftp://x", "http://", "127.0.0.1:8080"])
def test_an_address_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    assert shell(monkeypatch, "accounts", "list", "--url", url) == 2
    assert "is not an address" in capsys.readouterr().err


def test_a_cookie_is_never_an_argument(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell(monkeypatch, "accounts", "add", "shop", "unb=1; cookie2=2") == 2
    assert shell(monkeypatch, "accounts", "add", "--help") == 0
    assert "--cookie " not in capsys.readouterr().out


def test_a_cookie_file_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "picture").write_bytes(b"\xff\xfe\x00")
    for name, why in (("missing", "cannot be read"), ("empty", "is empty"), ("picture", "UTF-8")):
        assert shell(monkeypatch, "accounts", "add", "shop", "-f", str(tmp_path / name)) == 2
        assert why in capsys.readouterr().err


def test_a_long_cookie_is_read_whole_from_the_terminal_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal's own line ends at 4,096 characters; a paste may also hold several lines."""
    pasted = "unb=1; cookie2=" + "x" * 9_000 + "\n-H 'a: b'\n"
    keyboard, terminal = os.openpty()
    with os.fdopen(terminal, encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        typing = threading.Timer(0.3, os.write, (keyboard, pasted.encode()))
        typing.start()
        assert ask_hidden("Cookie: ") == pasted.strip()
        typing.join()
        assert capsys.readouterr().err == "Cookie: \n"
        assert select.select([keyboard], [], [], 0)[0] == []  # nothing was echoed
        threading.Timer(0.1, os.write, (keyboard, b"\n")).start()
        with pytest.raises(EOFError):
            ask_hidden("Cookie: ")
    os.close(keyboard)


# -- its parts ----------------------------------------------------------------------------------------------------


def test_an_address_for_everybody_is_shown_as_one_that_can_be_opened() -> None:
    assert reachable_url("0.0.0.0", 80) == "http://127.0.0.1:80"  # noqa: S104
    assert reachable_url("::", 80) == "http://[::1]:80"
    assert reachable_url("localhost", 80) == "http://localhost:80"


def test_binding_takes_a_free_port_for_zero() -> None:
    with bind("127.0.0.1", 0) as taken:
        assert taken.getsockname()[1] > 0
    with pytest.raises(ConfigError, match="not an address"):
        bind("no such host", 0)


def test_a_token_file_is_for_its_owner_alone_and_keeps_servers_apart(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "new" / "sessions.json")
    assert file.get("http://a") is None
    file.put("http://a", user="admin", token="one")
    file.put("http://b", user="admin", token="two")
    file.put("http://a", user="admin", token="three")
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    assert (file.get("http://a"), file.get("http://b")) == ("three", "two")
    file.drop("http://a")
    assert (file.get("http://a"), file.get("http://b")) == (None, "two")
    assert [path.name for path in file.path.parent.iterdir()] == ["sessions.json"]


def test_a_damaged_token_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "sessions.json").write_text("{")
    with pytest.raises(ConfigError, match="remove it and sign in again"):
        TokenFile(tmp_path / "sessions.json").get("http://a")


def test_events_are_found_however_the_bytes_are_cut() -> None:
    body = {"type": "state", "account": "木子"}
    raw = f"retry: 2000\n\n: beat\n\nid: 7\ndata: {json.dumps(body, ensure_ascii=False)}\n\ndata: {{}}\n\n".encode()
    for size in (1, 2, 5, len(raw)):
        parser = EventParser()
        events = [event for start in range(0, len(raw), size) for event in parser.feed(raw[start : start + size])]
        assert [(event.body, event.id) for event in events] == [(body, "7"), ({}, None)]


def test_an_address_loses_its_last_slash() -> None:
    assert server_url("http://127.0.0.1:8080/") == "http://127.0.0.1:8080"
    assert server_url("https://shop.example/shoal/") == "https://shop.example/shoal"


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [
        (0, "just now", "刚刚"),
        (40, "40 s ago", "40 秒前"),
        (125, "2 min ago", "2 分钟前"),
        (7200, "2 h ago", "2 小时前"),
        (400_000, "5 days ago", "5 天前"),
    ],
)
def test_times_are_relative(monkeypatch: pytest.MonkeyPatch, seconds: int, english: str, chinese: str) -> None:
    moment = (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    assert ago(moment, NOW) == english
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert ago(moment, NOW) == chinese


def test_a_time_that_never_was_is_not_shown() -> None:
    assert ago(None) == ago("") == ago("1970-01-01T00:00:00.000Z") == ""


@pytest.mark.parametrize(
    ("environment", "chinese"),
    [
        ({}, False),
        ({"LANG": "zh_CN.UTF-8"}, True),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "zh_TW.UTF-8"}, True),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, False),
    ],
)
def test_the_locale_chooses_the_language(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], chinese: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_chinese() is chinese


def test_each_state_is_a_word_in_both_languages_and_never_colour_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for language in ("en_US", "zh_CN"):
        monkeypatch.setenv("LANG", language)
        assert len({state_word(state) for state in AccountState}) == len(AccountState)
        assert all(state_text(state).plain for state in AccountState)
        assert all(" " in reason_words(reason) or language == "zh_CN" for reason in ParkReason)


def test_a_strangers_text_cannot_move_the_cursor_or_turn_the_line() -> None:
    assert printable("a\x1b[2Jb\r\nc\u202ed\u3000e") == "a[2Jb  cd e"


def test_a_table_shows_states_in_words_and_markup_as_text() -> None:
    shown = drawn(
        account_table([account(), account("off", state="stopped"), account("p", state="parked", reason="x_y")])
    )
    for text in ("shop", "running", "off", "action needed", "[red]", "x y", "1 action needed · 1 running · 1 off"):
        assert text in shown
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_f18_a_running_shop_with_nothing_to_say_is_listed_as_one_that_will_not_answer() -> None:
    mute, serves = account("mute", answers="nothing"), account("serves", answers="orders")
    asleep = account("asleep", answers="nothing", state="stopped")
    many = [*(account(f"shop{number}", answers="messages") for number in range(9)), asleep, serves, mute]
    assert summary(many) == "2 running, won't answer · 9 running · 1 off"
    shown = drawn(account_table(many, rows=2), width=200)
    for text in ("mute", "serves", "no rule and no default reply", "only processes paid orders"):
        assert text in shown
    assert "won't answer" in drawn(account_facts(mute))


def test_too_many_accounts_show_those_first_that_need_somebody() -> None:
    many = [account(f"shop{number}") for number in range(50)] + [account("broken", state="parked")]
    shown = drawn(account_table(many, rows=5))
    assert "broken" in shown
    assert "46 not shown" in shown
    assert summary(many) == "1 action needed · 50 running"


def test_one_account_is_shown_with_wish_and_fact_and_without_its_cookie() -> None:
    shown = drawn(account_facts(account(state="retrying", reason="socket_closed")))
    for text in ("retrying", "the connection closed", "#1f0e9a3c", "2200000000001", "Confirms shipment"):
        assert text in shown


def test_a_start_up_error_is_said_in_the_readers_language(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for language, text in (("zh_CN.UTF-8", "SHOAL_NOPE 不是 Shoal 的设置"), ("C", "SHOAL_NOPE is not a setting")):
        monkeypatch.setenv("LC_ALL", language)
        monkeypatch.setenv("SHOAL_NOPE", "1")
        assert shell(monkeypatch, "serve") == 2
        assert text in capsys.readouterr().err

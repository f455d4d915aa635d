"""Nothing secret reaches a log, from any module and in any form."""

from __future__ import annotations

import io
import json
import logging
import re
import time
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvicorn

import shoal
from shoal.logs.logs import configure_logging, redact_event
from shoal.logs.redaction import redact_text
from shoal.server.reply_server import build_app
from support.runs.log_setup import log_restored
from support.site.standins import quick_settings

SECRETS = ("1f0e7c2d9a3b4c5d", "a1b2c3d4e5f6_1766000000000", "2200000000001", "correct-horse")
COOKIE = f"cna=xyz; unb={SECRETS[2]}; cookie2={SECRETS[0]}; _m_h5_tk={SECRETS[1]}; _m_h5_tk_enc=99887766aabb"


@pytest.fixture
def restored() -> Iterator[None]:
    with log_restored():
        yield


@pytest.fixture
def json_log(restored: None) -> io.StringIO:
    stream = io.StringIO()
    configure_logging(level="DEBUG", json=True, stream=stream)
    return stream


def rows(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def assert_clean(text: str) -> None:
    for secret in SECRETS:
        assert secret not in text


@pytest.mark.parametrize(
    "text",
    [
        COOKIE,
        f"Cookie: {COOKIE}",
        f"set-cookie: cookie2={SECRETS[0]}; Path=/",
        f"{{'Cookie': '{COOKIE}'}}",
        f"Authorization: Bearer {SECRETS[0]}",
        f"curl -H 'authorization: bearer {SECRETS[0]}'",
        f'{{"accessToken": "{SECRETS[0]}", "password": "{SECRETS[3]}"}}',
        f"/x?token={SECRETS[0]}&password={SECRETS[3]}",
        f"postgresql+psycopg://shoal:{SECRETS[3]}@db:5432/shoal",
        f"x-xsrf-token={SECRETS[0]}",
        f"unb={SECRETS[2]};",
    ],
)
def test_a_text_loses_what_looks_like_a_secret(text: str) -> None:
    cleaned = redact_text(text)
    assert_clean(cleaned)
    assert redact_text(cleaned) == cleaned


def test_an_ordinary_text_stays_as_it_is() -> None:
    for text in (
        "account running",
        "shop 木子数码: 3 rules, 2 tokens left",
        "number=5; bookmark=7",
        "GET /cookies/details",
    ):
        assert redact_text(text) == text


@pytest.mark.parametrize("key", ["cookie", "Cookie", "set-cookie", "accessToken", "token", "Authorization", "unb"])
def test_a_field_with_a_secret_name_shows_a_fingerprint(key: str) -> None:
    shown = redact_event(None, "info", {"event": "x", key: SECRETS[0]})[key]
    assert shown.startswith("#")
    assert len(shown) == 9


@pytest.mark.parametrize("key", ["password", "admin_password", "passwd", "PWD"])
def test_of_a_password_nothing_is_shown(key: str) -> None:
    assert redact_event(None, "info", {"event": "x", key: SECRETS[3]})[key] == "***"


def test_numbers_ids_and_counts_beside_secrets_stay_readable() -> None:
    event = {"event": "x", "cookie_version": 3, "token_count": "7", "cookie_fingerprint": "1f0e9a3c", "account": "shop"}
    assert redact_event(None, "info", dict(event)) == event


def test_secrets_are_found_at_any_depth_and_in_any_shape() -> None:
    event: dict[str, Any] = {
        "event": "x",
        "headers": {"Cookie": COOKIE, "X": [f"unb={SECRETS[2]}", {"password": SECRETS[3]}]},
        "cookies": {"cookie2": SECRETS[0]},
        "jar": [{"name": "ok", "token": SECRETS[0].encode()}],
        "why": ValueError(f"bad cookie2={SECRETS[0]}"),
    }
    assert_clean(repr(redact_event(None, "info", event)))


def test_structlog_and_the_standard_library_go_the_same_way(json_log: io.StringIO) -> None:
    structlog.get_logger("shoal.test").info("state changed", account="shop", cookie=COOKIE)
    logging.getLogger("shoal.group_writer").warning("retry with token=%s", SECRETS[0])
    logging.getLogger("aiohttp.client").warning("sent Cookie: %s", COOKIE)
    assert_clean(json_log.getvalue())
    first, second, third = rows(json_log)
    assert (first["event"], first["account"], first["level"]) == ("state changed", "shop", "info")
    assert second["logger"] == "shoal.group_writer"
    assert third["level"] == "warning"


def test_f15_nothing_is_logged_anywhere_but_where_the_page_says(json_log: io.StringIO, tmp_path: Path) -> None:
    """One handler for all, which the server's own parts and libraries leave alone, and no other way out in the code."""
    build_app(quick_settings(data_dir=tmp_path))
    uvicorn.Config("x:y", log_config=None, log_level=None)
    handlers = [
        handler
        for name in ("", *logging.root.manager.loggerDict)
        for handler in logging.getLogger(name).handlers
        if not isinstance(handler, logging.NullHandler) and not type(handler).__module__.startswith("_pytest")
    ]
    assert [type(handler) for handler in handlers] == [logging.StreamHandler]
    assert getattr(handlers[0], "stream", None) is json_log
    handler = r"(File|Rotating\w*|Socket|Datagram|SysLog|SMTP|HTTP|NTEventLog)Handler\("
    elsewhere = re.compile(handler + r"|\b(import|from) syslog\b")
    for path in Path(shoal.__file__).parent.rglob("*.py"):
        assert not elsewhere.search(path.read_text(encoding="utf-8")), path


def test_a_traceback_is_kept_without_its_secrets(json_log: io.StringIO) -> None:
    def send() -> None:
        raise RuntimeError(f"while sending {COOKIE}")

    try:
        send()
    except RuntimeError:
        structlog.get_logger("shoal.test").exception("broken")
        logging.getLogger("shoal.other").exception("broken too")
    assert_clean(json_log.getvalue())
    for row in rows(json_log):
        assert "RuntimeError" in row["exception"]


def test_libraries_are_quiet_and_our_level_holds(restored: None) -> None:
    stream = io.StringIO()
    configure_logging(level="WARNING", json=True, stream=stream)
    logging.getLogger("alembic").info("noise")
    structlog.get_logger("shoal.test").info("noise")
    structlog.get_logger("shoal.test").warning("heard")
    assert [row["event"] for row in rows(stream)] == ["heard"]


def test_a_text_line_cannot_be_forged_or_colour_the_terminal(restored: None) -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    structlog.get_logger("shoal.test").info("said", text="one\n2026 [info] two \x1b[31mred")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


def test_every_line_tells_its_time_in_utc(json_log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    before = datetime.now(UTC)
    structlog.get_logger("shoal.test").info("ours")
    logging.getLogger("aiohttp.client").warning("theirs")
    monkeypatch.undo()
    time.tzset()
    for row in rows(json_log):
        assert row["timestamp"].endswith("Z")
        assert 0 <= (datetime.fromisoformat(row["timestamp"]) - before).total_seconds() < 600


def test_a_warning_of_python_is_a_line_of_the_log_without_its_secrets() -> None:
    stream = io.StringIO()
    with log_restored(), warnings.catch_warnings():
        warnings.simplefilter("always")
        configure_logging(level="INFO", json=True, stream=stream)
        warnings.warn(f"{COOKIE} is old", ResourceWarning, stacklevel=1)
    (line,) = rows(stream)
    assert line["level"] == "warning"
    assert "is old" in line["event"]
    assert_clean(stream.getvalue())

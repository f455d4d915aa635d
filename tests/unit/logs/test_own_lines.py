"""Lines of our own modules: written without the standard library's records, and the same in every other way."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.dev import ConsoleRenderer, plain_traceback

from shoal.logs import redaction
from shoal.logs.log_lines import NEWEST
from shoal.logs.logs import EVENT_WIDTH, configure_logging, text_line
from shoal.logs.redaction import redact_fields
from support.runs.log_setup import log_restored

HEAD = {"timestamp": "2026-11-27T00:00:00.000000Z", "level": "info", "logger": "shoal.test"}


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    with log_restored():
        yield


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"account": "shop", "generation": 3, "fields": ["enabled"], "actor": "user:admin"},
        {"text": "two words", "quote": 'say "x"', "sign": "a=b", "line": "a\nb", "tab": "a\tb", "empty": ""},
        {"none": None, "yes": True, "number": 1.5, "mapping": {"a": 1}, "中文": "木子数码", "bytes": b"x"},
        {"event": "a text that is much longer than the column of events"},
        {"event": ""},
        {"event": 7, "level": "warning"},
        {"exception": "Traceback:\n  RuntimeError", "account": "shop"},
        {"stack": "Stack:\n  here"},
    ],
)
def test_a_line_is_the_one_that_structlog_writes(fields: dict[str, Any]) -> None:
    theirs = ConsoleRenderer(colors=False, exception_formatter=plain_traceback, pad_event_to=EVENT_WIDTH)
    event = {"event": "state changed", **HEAD, **fields}
    assert text_line(None, "info", dict(event)) == theirs(None, "info", dict(event))


def test_a_line_without_one_of_our_fields_is_the_one_that_structlog_writes() -> None:
    theirs = ConsoleRenderer(colors=False, exception_formatter=plain_traceback, pad_event_to=EVENT_WIDTH)
    assert text_line(None, "info", {"event": "x", "a": 1}) == theirs(None, "info", {"event": "x", "a": 1})


def test_no_record_is_made_of_our_own_line(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)

    def none(*_: object, **__: object) -> None:
        raise AssertionError("a record was made")

    monkeypatch.setattr(logging.Logger, "makeRecord", none)
    structlog.get_logger("shoal.test").info("change committed", account="shop")
    assert "change committed" in stream.getvalue()


def test_a_line_tells_the_function_that_wrote_it() -> None:
    configure_logging(stream=io.StringIO())
    NEWEST.clear()
    structlog.get_logger("shoal.test").info("ours", account="shop")
    logging.getLogger("shoal.other").warning("of the standard library")
    place = test_a_line_tells_the_function_that_wrote_it.__name__
    ours, theirs = list(NEWEST)
    assert (ours.function, theirs.function) == (place, place)
    assert theirs.line == ours.line + 1


def test_a_line_that_cannot_be_written_fails_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    stream.close()
    structlog.get_logger("shoal.test").info("lost", account="shop")
    assert "Logging error" in capsys.readouterr().err


@pytest.mark.parametrize("value", [10**5000, {(1, 2): 3}], ids=["long", "keyed"])
def test_a_line_that_cannot_be_made_fails_nobody(value: object, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(stream=io.StringIO())
    structlog.get_logger("shoal.test").info("lost", value=value)
    assert "Logging error" in capsys.readouterr().err


def test_a_level_that_is_set_later_counts() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    log = structlog.get_logger("shoal.test")
    log.debug("one")
    logging.getLogger("shoal.test").setLevel(logging.DEBUG)
    try:
        log.debug("two")
    finally:
        logging.getLogger("shoal.test").setLevel(logging.NOTSET)
    assert [line.split()[3] for line in stream.getvalue().splitlines()] == ["two"]


def test_lines_of_several_threads_do_not_mix() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    log = structlog.get_logger("shoal.test")
    threads = [threading.Thread(target=lambda: [log.info("said", text="x" * 500) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [line.count("x" * 500) for line in stream.getvalue().splitlines()] == [1] * 200


def test_only_short_texts_without_a_secret_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    remembered: set[str] = set()
    monkeypatch.setattr(redaction, "_harmless", remembered)
    monkeypatch.setattr(redaction, "_MOST_HARMLESS", 2)
    secret = "token=1f0e7c2d9a3b4c5d"
    for _ in range(2):
        shown = redact_fields({"a": "user:admin", "b": secret, "c": "x" * 101, "d": "a\nb"})
        assert shown["a"] == "user:admin"
        assert "1f0e7c2d9a3b4c5d" not in shown["b"]
        assert shown["d"] == "a\\nb"
    assert remembered == {"user:admin"}
    redact_fields({"a": "one", "b": "two"})
    assert len(remembered) <= 2

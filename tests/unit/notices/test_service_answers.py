"""Which answers of a service mean that it took the notice, and how long it wants to be left alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.notices.service_answers import LONGEST_WAIT, shown
from shoal.notices.services import EMAIL, SERVICES, WEBPUSH
from shoal.sandbox.receivers import _ANSWERS


def was_taken(name: str, status: int, body: str) -> bool:
    return SERVICES[name].answers.was_taken(status, body)


def wait_of(name: str, header: str | None, body: str, now: datetime | None = None) -> float | None:
    return SERVICES[name].answers.wait_of(header, body, now)


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {EMAIL, WEBPUSH}))
def test_success_and_a_failure_with_http_200_are_told_apart(name: str) -> None:
    good, bad = (json.dumps(body) for body in _ANSWERS[name])
    assert was_taken(name, 200, good)
    assert was_taken(name, 200, bad) is (name == "webhook")
    assert not was_taken(name, 500, good)
    assert was_taken(name, 200, "<html>") is (name == "webhook")


def test_one_wrong_key_is_enough() -> None:
    assert was_taken("feishu", 200, '{"StatusCode": 0, "code": 0}')
    assert not was_taken("feishu", 200, '{"StatusCode": 0, "code": 9499}')
    assert not was_taken("wecom", 200, "{}")
    assert was_taken("wxpusher", 200, '{"code": 1000, "data": [{"uid": "UID_x", "code": 1000}]}')
    assert not was_taken("wxpusher", 200, '{"code": 1000, "data": [{"uid": "UID_x", "code": 1001}]}')
    assert not was_taken("serverchan", 200, '{"code": 0, "data": {"errno": 1024, "error": "no"}}')
    assert not was_taken("wxpusher", 200, '{"data": [{"code": 1000}]}')
    assert not was_taken("wecom", 200, '["errcode", 0]')


def test_the_wait_is_read_as_seconds_as_a_date_or_as_telegram_says_it() -> None:
    now = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)
    assert wait_of("telegram", "37", "") == 37.0
    assert wait_of("telegram", "Sat, 28 Nov 2026 02:01:30 GMT", "", now) == 90.0
    assert wait_of("telegram", "Sat, 28 Nov 2026 01:00:00 GMT", "", now) == 0.0
    assert wait_of("telegram", None, '{"ok": false, "parameters": {"retry_after": 12}}') == 12.0
    assert wait_of("telegram", "99999999", "") == LONGEST_WAIT
    assert wait_of("telegram", "soon", "") is None
    assert wait_of("telegram", "", "no") is None


def test_a_code_that_too_much_was_sent_is_a_wait() -> None:
    assert wait_of("dingtalk", "", '{"errcode": 130101, "errmsg": "send too fast"}') == 600.0
    assert wait_of("pushplus", "", '{"code": 900}') == LONGEST_WAIT
    assert wait_of("dingtalk", "", '{"errcode": 310000}') is None
    assert wait_of("wecom", "", '{"errcode": [45009]}') is None


def test_an_answer_is_shown_short_and_on_one_line() -> None:
    assert (
        shown(200, '{"errcode": 310000,\n  "errmsg": "关键词"}') == 'HTTP 200 {"errcode": 310000, "errmsg": "关键词"}'
    )
    assert len(shown(500, "x" * 9_000)) == 500


@given(st.sampled_from(sorted(SERVICES)), st.integers(100, 599), st.text(max_size=60), st.text(max_size=20))
def test_no_answer_breaks_the_reader(name: str, status: int, body: str, header: str) -> None:
    assert was_taken(name, status, body) in {True, False}
    seconds = wait_of(name, header, body)
    assert seconds is None or 0 <= seconds <= LONGEST_WAIT
    shown(status, body)

"""The page on security names tests that exist, leaves nothing out, and describes what the program does."""

from __future__ import annotations

import math
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from shoal.api.http import body_limit
from shoal.api.http.route_rules import Asks, rule_of
from shoal.api.schemas import request_texts
from shoal.auth import api_tokens, passwords, totp
from shoal.auth import grant_rows as access
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.login_throttle import Windows
from shoal.auth.permission import Permission
from shoal.auth.users import Role
from shoal.concurrency import fair_threads
from shoal.config import Settings
from shoal.connection import qr_logins
from shoal.maintenance.backup import disk_room
from shoal.maintenance.moving import tables, uploads
from shoal.maintenance.shop_file import file_reader
from shoal.network import connections
from shoal.pictures import picture_formats
from shoal.rules.matcher import MAX_PATTERNS
from shoal.server import request_head_limit as bounded_head
from shoal.server.route_table import every_route
from shoal.sheets import xlsx as sheets
from shoal.sheets import xlsx_processes
from shoal.storage import searches
from shoal.storage.schema import metadata
from support.servers.api_document import api_document

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\d+\.\d+\.\d+) \| ([12]) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
LEFT_OUT = re.compile(r"^\| ((?:\d+(?:\.\d+\.\d+)?(?:, )?)+) \| ([^|]+) \|$", re.MULTILINE)
STATE = re.compile(r"met|partly: \S.+|not met: \S.+")
TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")

ITEMS = {
    "1.1": 2, "1.2": 9, "1.3": 11, "1.4": 3, "1.5": 2, "2.1": 3, "2.2": 3, "2.3": 4, "2.4": 1, "3.2": 2, "3.3": 4,
    "3.4": 6, "3.5": 5, "3.7": 2, "4.1": 3, "4.2": 1, "4.3": 2, "4.4": 4, "5.1": 1, "5.2": 3, "5.3": 2, "5.4": 3,
    "6.1": 3, "6.2": 12, "6.3": 4, "6.4": 4, "6.5": 5, "6.6": 3, "6.8": 4, "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5,
    "7.5": 2, "7.6": 2, "8.1": 2, "8.2": 3, "8.3": 1, "8.4": 1, "9.1": 3, "9.2": 4, "10.1": 2, "10.2": 2, "10.3": 4,
    "10.4": 11, "10.5": 5, "10.6": 2, "10.7": 3, "11.1": 2, "11.2": 3, "11.3": 3, "11.4": 4, "11.5": 1, "11.6": 1,
    "12.1": 3, "12.2": 2, "12.3": 4, "13.1": 1, "13.2": 5, "13.3": 2, "13.4": 5, "14.1": 2, "14.2": 4, "14.3": 3,
    "15.1": 3, "15.2": 3, "15.3": 7, "16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3, "16.5": 3, "17.1": 1, "17.2": 4,
    "17.3": 2,
}  # fmt: skip
"""How many items of levels 1 and 2 each section of ASVS 5.0.0 has; they come first in it."""


@cache
def _page() -> str:
    return (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def _rows() -> list[tuple[str, str, str, str, str]]:
    return ROW.findall(_page())


def _left_out() -> list[str]:
    """Return the items and whole chapters that do not apply."""
    return [item for items, _ in LEFT_OUT.findall(_page()) for item in items.split(", ")]


def test_every_item_of_the_two_levels_is_answered_once() -> None:
    wanted = [f"{section}.{number}" for section, count in ITEMS.items() for number in range(1, count + 1)]
    assert len(wanted) == 253
    chapters = {item for item in _left_out() if "." not in item}
    answered = [item for item, *_ in _rows()] + [item for item in _left_out() if "." in item]
    assert sorted(answered) == sorted(item for item in wanted if item.partition(".")[0] not in chapters)
    assert len(answered) == len(set(answered))


def test_every_row_has_a_state_and_what_is_met_is_shown() -> None:
    for item, _, what, state, shown_by in _rows():
        assert what.strip(), item
        assert STATE.fullmatch(state), (item, state)
        assert shown_by == "–" or TEST.sub("", shown_by).strip(", ") == "", (item, shown_by)
        if state == "met":
            assert TEST.search(shown_by), item


def test_every_test_that_the_page_names_exists() -> None:
    named = set(TEST.findall(_page()))
    assert len(named) > 100
    texts = {path: (ROOT / "tests" / path).read_text(encoding="utf-8") for path, _ in named}
    missing = [
        f"{path}::{name}"
        for path, name in sorted(named)
        if not re.search(rf"^(?:async )?def {name}\(", texts[path], re.MULTILINE)
    ]
    assert not missing


def _bits(alphabet: str, length: int) -> int:
    return int(length * math.log2(len(alphabet)))


def _limits(windows: str) -> list[str]:
    return [window.partition("/")[0] for window in windows.split(";")]


def test_the_figures_of_the_page_are_those_of_the_program() -> None:
    page, settings = " ".join(_page().split()), Settings.model_fields
    windows, mib = Windows(), 1024 * 1024
    letters = totp._GROUPS * totp._GROUP_CHARACTERS
    for sentence in (
        f"have {passwords.MIN_PASSWORD_CHARACTERS} to {passwords.MAX_PASSWORD_CHARACTERS} characters",
        f"the words {', '.join(f'`{word}`' for word in passwords._OURS)}",
        f"with {passwords.WAITING_LIMIT} waiting further sign-ins are refused",
        f"{totp.STEP_SECONDS} s, {['no step', 'one step'][totp.STEPS_ASIDE]} aside",
        f"codes of {_bits(totp._ALPHABET, letters)} random bits",
        "after {} failures of an address in a minute, {} in ten or {} in an hour".format(*_limits(windows.address)),
        "after {} for a user in a minute, {} in ten or {} in an hour".format(*_limits(windows.user)),
        "{}, {} in an hour and {} a day for codes".format(*_limits(windows.code)),
        f"Sessions** end after {settings['session_hours'].default:g} h at most",
        f"and {settings['session_idle_hours'].default:g} h without use",
        f"heads (and trailers) of requests of {bounded_head.MAX_HEAD_BYTES // 1024} KiB",
        f"bodies of {body_limit.MAX_BODY_BYTES // mib} MiB",
        f"(rules {body_limit.MAX_RULES_BODY_BYTES // mib}, pictures {picture_formats.MAX_PICTURE_BYTES // mib})",
        f"Excel tables of {sheets.MAX_UNPACKED_BYTES // mib} MiB unpacked in {sheets.MAX_PARTS} parts",
        f"{sheets.MAX_ROWS} rows, {sheets.MAX_COLUMNS} columns and {sheets.MAX_CELLS} cells",
        f"{fair_threads.WAITING_EACH} checks, {searches.SEARCHES_WAITING_EACH} searches and",
        f"and {xlsx_processes.BOUNDS.waiting_each} files of a user may wait",
        f"ended after {xlsx_processes.BOUNDS.cpu_seconds} s of a processor",
        f"A file of shops above {file_reader.SMALL // 1024} KiB is read like a table",
        f"like a table, with {file_reader.BOUNDS.cpu_seconds} s of a processor",
        f"one at a time, with {uploads.BOUNDS.cpu_seconds} s of a processor",
        f"may take {tables.MOST_BYTES // mib} MiB there and {uploads.BOUNDS.answer_bytes // mib} MiB as an answer",
        f"room for it and {disk_room.LEAST_FREE_BYTES // mib} MiB besides",
        f"search is ended after {searches.SEARCH_SECONDS:g} s",
        f"pictures of {picture_formats.MAX_SIDE_PIXELS} pixels a side",
        f"a client has {settings['client_silence_seconds'].default:g} s",
        f"{settings['connections_per_address'].default} connections from one address",
        f"{connections.MOST_CONNECTIONS} at most (`max_connections`)",
        f"A user holds {settings['streams_per_user'].default} pages and streams open",
        f"{MAX_PATTERNS} regular expressions",
        f"{request_texts.MAX_BATCH} accounts in a batch",
        f"{access.MOST_STAFF} users for a shop",
        f"{qr_logins.MOST_OF_ONE_OWNER} QR logins of a user",
        f"{settings['session_calls_per_minute'].default} calls of a session",
        f"{settings['api_token_calls_per_minute'].default} of an API token in a minute",
        f"over after {api_tokens.DEFAULT_DAYS} days unless set otherwise",
        f"{settings['message_days'].default} days messages, {settings['security_log_days'].default} the log",
        f"the history {settings['journal_days'].default} days, states {settings['state_history_days'].default}",
    ):
        assert sentence in page, sentence


@pytest.fixture
def document() -> dict[str, Any]:
    return api_document()


def test_every_open_door_stands_on_the_page(document: dict[str, Any]) -> None:
    open_ones = {
        path
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if "security" not in operation
    }
    assert {path for path in open_ones if f"{path}`" not in _page()} == set()


def test_f15_every_route_that_asks_nothing_stands_on_the_page() -> None:
    """Routes that accept a call without a token too: the API document does not list them as open."""
    page = _page()
    asking_nothing = {
        re.sub(r":path}", "}", route.path)
        for route in every_route()
        if (rule := rule_of(route)) is not None and rule.asks is Asks.NOTHING
    }
    assert {path for path in asking_nothing if f"{path}`" not in page} == set()
    assert {"/send-message", "/verify"} <= asking_nothing
    assert "`GET /logs`" in page


def test_every_right_and_role_stands_on_the_page() -> None:
    for word in (*(right.word for right in Permission), *Role):
        assert f"`{word}`" in _page(), word


def test_every_event_of_the_security_log_stands_on_the_page() -> None:
    assert {event.value for event in AuditEvent if f"`{event}`" not in _page()} == set()


def test_every_table_of_the_database_has_its_kind() -> None:
    kinds = _page().partition("In tables of the database:")[2].partition("\n\n")[0]
    assert {name for name in metadata.tables if f"`{name}`" not in kinds} == set()


def test_every_address_that_is_configured_stands_on_the_page() -> None:
    assert {name for name in Settings.model_fields if name.endswith("_url") and f"`{name}`" not in _page()} == set()


ABOUT_THE_SERVER = re.compile(r"^\| ((?:`[A-Z]+ /(?:health|system/)[^|]*)) \| ([^|]+) \|", re.MULTILINE)
CALLERS = {
    Asks.NOTHING: "anyone",
    Asks.PERMISSION: "signed-in users, also by token",
    Asks.ADMINISTRATOR: "administrators, by session",
}


def test_f10_the_page_says_of_every_route_about_the_server_itself_who_may_call_it() -> None:
    told = {
        name: who.strip()
        for names, who in ABOUT_THE_SERVER.findall(_page())
        for name in re.findall(r"`([A-Z]+ /[^`]+)`", names)
    }
    wanted = {
        f"{method} {route.path_format}": CALLERS[rule.asks]
        for route in every_route()
        if isinstance(route, APIRoute) and route.path.startswith(("/system/", "/health"))
        for method in route.methods or ()
        if (rule := rule_of(route)) is not None
    }
    assert len(wanted) == 15
    assert told == wanted

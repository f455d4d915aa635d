"""What a caller is told when something cannot be done: in their language, with a stable code, and nothing secret."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from string import Formatter
from typing import Any

import httpx
import pytest
from sqlalchemy import select

import shoal
from shoal import errors
from shoal.accounts.store import Change, Refused, Settle, Unsettled
from shoal.api.http.problem_table import PROBLEMS
from shoal.api.http.problems import problem_of
from shoal.errors import CommitUnknown, NotApplied, ShoalError, StoreError
from shoal.language.catalogue import ROOT, read_catalogue, translate
from shoal.language.choice import Language, language_of
from shoal.storage.history_tables import observed
from shoal.xianyu.cookie_string import Flaw
from support.databases.store_steps import stored
from support.servers.doors import Door, another_person, open_door, served
from support.site.standins import cookie_of, until, until_told

CATALOGUE = read_catalogue(ROOT / "zh")

EN = {"Accept-Language": "en"}


def _all_kinds(kind: type[ShoalError]) -> list[type[ShoalError]]:
    return [kind, *(deeper for below in kind.__subclasses__() for deeper in _all_kinds(below))]


def test_every_error_of_the_tree_has_a_row() -> None:
    for kind in _all_kinds(ShoalError):
        assert problem_of(kind.__new__(kind)).status >= 400


def test_the_error_tree_is_drawn_with_every_class_of_its_module() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    here = [kind.__name__ for kind in _all_kinds(ShoalError) if kind.__module__ == errors.__name__]
    assert sorted(["ShoalError", *drawn]) == sorted(set(here))


def test_every_code_that_an_input_is_refused_with_has_its_own_row() -> None:
    package = Path(shoal.__file__).parent
    outside = {"sandbox", "cli"}  # a refusal of the shell has its sentence among those of its command
    texts = [path.read_text() for path in package.rglob("*.py") if outside.isdisjoint(path.parts)]
    used = {code for text in texts for code in re.findall(r'InvalidInput\([^)]*?code="([a-z_]+)"', text, re.DOTALL)}
    assert "empty_keyword" in used
    assert used - {"bad_reply", "malformed_id", "key_unusable"} <= set(PROBLEMS)


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_sentence_shows_only_what_its_row_allows(code: str) -> None:
    assert {name for _, name, _, _ in Formatter().parse(CATALOGUE[f"problems.{code}"]) if name} <= set(
        PROBLEMS[code].params
    )


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "zh"),
        ("", "zh"),
        ("fr", "zh"),
        ("en", "en"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("fr, zh-CN;q=0.9, en;q=0.8", "zh"),
        ("zh;q=0, en;q=0.1", "en"),
        ("en;q=x", "zh"),
        ("en;q=0", "zh"),
        ("en;q=nan", "zh"),
    ],
)
def test_the_language_is_negotiated(header: str | None, language: str) -> None:
    assert language_of(header) is Language(language)


async def test_unknown_paths_and_methods_are_answered_as_json(door: Door) -> None:
    assert (await door.call("GET", "/nowhere", 404))["code"] == "not_found"
    answer = await door.client.patch("/cookies", headers=EN)
    assert answer.status_code == 405
    assert "allow" in answer.headers
    assert answer.json() == {
        "detail": "This address does not support that method.",
        "code": "method_not_allowed",
        "params": {},
    }


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("PUT", "/cookies/shop/status", {"enabled": "on"}),
        ("PUT", "/cookies/shop/status", {"enabled": 1}),
        ("PUT", "/cookies/shop/status", {"enabled": None}),
        ("PUT", "/cookies/shop/status", {}),
        ("PUT", "/cookies/shop/status", {"enabled": True, "more": 1}),
        ("PUT", "/cookies/shop/status", []),
        ("PUT", "/cookies/shop/auto-confirm", {"auto_confirm": "true"}),
        ("PUT", "/cookies/shop/pause-duration", {"pause_duration": "5"}),
        ("PUT", "/cookies/shop/pause-duration", {"pause_duration": 5.5}),
        ("PUT", "/cookies/shop/pause-duration", {"pause_duration": True}),
        ("PUT", "/cookies/shop/remark", {"remark": 5}),
        ("PUT", "/cookies/shop/remark", {"remark": "a\x00b"}),
        ("PATCH", "/cookies/shop/settings", {"debounce_seconds": "1"}),
        ("PATCH", "/cookies/shop/settings", {"remark": None}),
        ("PATCH", "/cookies/shop/settings", {"auto_confirm": "yes"}),
        ("PUT", "/cookies/shop/items/1", {"reply": None}),
        ("PUT", "/cookies/status", {"updates": {"shop": "on"}}),
        ("PUT", "/cookies/status", {"updates": ["shop"]}),
        ("POST", "/keywords/shop", {"keywords": {"a": 1}}),
        ("POST", "/keywords/shop", {"keywords": [["a", "b"]]}),
        ("POST", "/keywords-with-item-id/shop", {"keywords": [{"keyword": "a"}]}),
        ("POST", "/cookies", {"id": 1, "value": "x"}),
        ("POST", "/login", {"username": 1}),
    ],
)
async def test_types_are_strict_and_nothing_is_touched(door: Door, method: str, path: str, sent: object) -> None:
    before = door.account()
    body = await door.call(method, path, 422, json=sent)
    assert body["code"] == "invalid_body"
    assert isinstance(body["detail"], str)
    assert all(set(row) == {"type", "loc"} for row in body["params"]["places"])
    assert door.account() is before


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 422, "invalid_body"),
        (b"", 422, "invalid_body"),
        (b'{"remark": "\xff"}', 400, "bad_body"),
        (b'{"remark": "\\ud800"}', 422, "invalid_body"),
        (b'{"remark": ' + b"9" * 5000 + b"}", 400, "bad_body"),
        (b"[" * 100_000, 400, "bad_body"),
    ],
)
async def test_a_body_that_is_no_json(door: Door, content: bytes, status: int, code: str) -> None:
    headers = {"Content-Type": "application/json"}
    body = await door.call("PUT", "/cookies/shop/remark", status, content=content, headers=headers)
    assert body["code"] == code


async def test_a_body_of_ten_megabytes_is_refused_before_it_is_read(door: Door) -> None:
    large = b'{"remark": "' + b"x" * 10_000_000 + b'"}'

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 65_536):
            yield large[start : start + 65_536]

    for content in (large, parts()):
        headers = {"Content-Type": "application/json", **EN}
        body = await door.call("PUT", "/cookies/shop/remark", 413, content=content, headers=headers)
        assert body["code"] == "body_too_large"
        assert body["params"] == {"limit": 2 * 1024 * 1024}
        assert "at most 2097152 bytes" in body["detail"]


async def test_a_picture_may_be_larger_than_other_bodies(door: Door) -> None:
    for size, is_read in ((3_000_000, True), (6_000_000, False)):
        answer = await door.client.post("/keywords/nobody/image", content=b"x" * size)
        assert (answer.status_code != 413) == is_read


async def test_a_large_body_is_refused_on_a_real_connection_too(door: Door) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(160):
            yield b"x" * 65_536

    headers = {"Content-Type": "application/json", "Authorization": door.client.headers["authorization"]}
    async with served(door) as url, httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
        for content in (b"x" * 10_000_000, parts()):
            answer = await client.put("/cookies/shop/remark", content=content)
            assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert (await client.get("/cookies")).json() == ["shop"]


async def test_a_body_of_unannounced_length_is_read(door: Door) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b'{"remark": '
        yield b'"in parts"}'

    headers = {"Content-Type": "application/json"}
    await door.call("PUT", "/cookies/shop/remark", content=parts(), headers=headers)
    assert door.account().remark == "in parts"


@pytest.mark.parametrize("account_id", ["", " a", "a/b", "a?b", "a#b", "a%b", "..", "a\nb", "x" * 65])
async def test_bad_account_ids(door: Door, account_id: str) -> None:
    body = await door.call("POST", "/cookies", 422, json={"id": account_id, "value": cookie_of(2)})
    assert body["code"] == "bad_account_id"


@pytest.mark.parametrize("account_id", ["details", "check", "status", "batch"])
async def test_reserved_account_ids(door: Door, account_id: str) -> None:
    body = await door.call("POST", "/cookies", 422, json={"id": account_id, "value": cookie_of(2)})
    assert body["code"] == "reserved_account_id"


@pytest.mark.parametrize(
    ("value", "code", "params"),
    [
        ("", "empty_secret", {"field": "value"}),
        ("nonsense", "malformed_cookie", {"reason": "no_equals_sign"}),
        ("unb=2200000000002; cookie2=a; unb=2200000000001", "malformed_cookie", {"reason": "two_sellers"}),
        ("unb=2200000000002", "cookie_incomplete", {"missing": ["cookie2"]}),
    ],
)
async def test_cookies_that_cannot_be_used(door: Door, value: str, code: str, params: dict[str, Any]) -> None:
    for method, path in (("POST", "/cookies"), ("PUT", "/cookies/shop"), ("POST", "/cookie/shop/account-info")):
        sent = {"id": "two", "value": value} if "cookies" in path else {"value": value}
        body = await door.call(method, path, 422, json=sent)
        assert (body["code"], body["params"]) == (code, params)
    await door.call("POST", "/cookie/shop/account-info", 422, json={"password": ""})


@pytest.mark.parametrize("flaw", Flaw)
def test_why_a_text_is_no_cookie_is_said_in_both_languages(flaw: Flaw) -> None:
    row = PROBLEMS["malformed_cookie"]
    zh, en = (row.sentence(language, {"reason": flaw.value}) for language in (Language.ZH, Language.EN))
    assert re.search(r"（.*[\u4e00-\u9fff].*）", zh)
    assert not re.search(r"[\u4e00-\u9fff]", en)
    assert flaw.value not in zh + en


async def test_an_internal_error_shows_nothing_of_the_inside(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(account_id: str) -> bool:
        raise RuntimeError(f"secret of {account_id}")

    monkeypatch.setattr(door.server.manager, "is_stale", broken)
    answer = await door.client.get("/cookies/shop", headers=EN)
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "secret of" not in answer.text


def _refusing(error: ShoalError) -> Callable[[Sequence[Change], Settle], None]:
    def submit(changes: Sequence[Change], settle: Settle) -> None:
        asyncio.get_running_loop().call_soon(settle, Refused(error))

    return submit


async def test_a14_a17_a_refused_write_changes_neither_memory_nor_database(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sides or neither."""
    before = door.account()
    with monkeypatch.context() as patched:
        patched.setattr(door.server.store, "submit", _refusing(NotApplied("disk full", why="internals")))
        for method, path, sent in (
            ("PUT", "/cookies/shop/auto-confirm", {"auto_confirm": True}),
            ("POST", "/keywords/shop", {"keywords": {"a": "b"}}),
            ("PUT", "/cookies/shop/status", {"enabled": False}),
            ("DELETE", "/cookies/shop", None),
        ):
            answer = await door.client.request(method, path, json=sent, headers={"Idempotency-Key": "k1"})
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "5"
            assert answer.json() == {
                "detail": translate("problems.not_applied", Language.ZH),
                "code": "not_applied", "params": {}, "op_id": "k1",
            }  # fmt: skip
    assert door.account() is before
    assert await stored(door.server.store, "shop") == before
    assert (await door.call("GET", "/ops/k1"))["state"] == "not_applied"
    await door.call("PUT", "/cookies/shop/auto-confirm", json={"auto_confirm": True})
    now = await stored(door.server.store, "shop")
    assert now is not None
    assert now.auto_confirm
    assert door.account().auto_confirm


async def test_an_unknown_outcome_is_told_with_the_op_id_and_settles_later(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[Callable[[], None]] = []

    def submit(changes: Sequence[Change], settle: Settle) -> None:
        asyncio.get_running_loop().call_soon(settle, Unsettled(CommitUnknown(op_id=changes[0].op.op_id)))
        late.append(lambda: settle(Refused(NotApplied())))

    with monkeypatch.context() as patched:
        patched.setattr(door.server.store, "submit", submit)
        headers = {"Idempotency-Key": "my-key", **EN}
        body = await door.call("PUT", "/cookies/shop/remark", 503, json={"remark": "x"}, headers=headers)
    assert (body["code"], body["op_id"]) == ("outcome_unknown", "my-key")
    assert (await door.call("GET", "/cookies/shop"))["stale"] is True
    assert (await door.call("GET", "/ops/my-key"))["state"] == "unknown"
    late[0]()
    assert (await door.call("GET", "/ops/my-key"))["state"] == "not_applied"
    assert (await door.call("GET", "/cookies/shop"))["stale"] is False


@pytest.mark.parametrize("keyed", [False, True])
async def test_whoever_hears_that_nobody_knows_can_ask_by_the_op_id(
    door: Door, monkeypatch: pytest.MonkeyPatch, keyed: bool
) -> None:
    """The real writer, whose COMMIT and barrier fail: with a key it is the reservation's that fails first."""
    state = select(observed.c.state).where(observed.c.account_id == "shop")
    # What is still gathered for the store would be the first to meet the failure.
    await until_told(lambda: door.server.database.read(lambda connection: connection.scalar(state)), "running")
    writer, failing = door.server.database.group_writer, {"commit", "barrier"}

    def point(name: str) -> None:
        if name in failing:
            raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(writer, "_point", point)
    monkeypatch.setattr(writer, "_settle_seconds", 0.1)
    monkeypatch.setattr(writer, "_reopen_seconds", (0.05, 0.05))
    headers = {"Idempotency-Key": "my-key"} if keyed else {}
    body = await door.call("PUT", "/cookies/shop/remark", 503, json={"remark": "x"}, headers=headers)
    assert body["code"] == "outcome_unknown"
    assert body["op_id"] == "my-key" or not keyed
    assert (await door.call("GET", f"/ops/{body['op_id']}"))["state"] == "unknown"
    failing.clear()
    await until(lambda: not door.server.database.degraded and not door.server.manager.pending)
    assert (await door.call("GET", f"/ops/{body['op_id']}"))["state"] == "not_applied"
    await door.call("PUT", "/cookies/shop/remark", json={"remark": "x"}, headers=headers)


async def test_a_change_that_waits_for_its_turn_is_not_told_as_not_applied(door: Door) -> None:
    """Its caller may have gone, and asks what became of it while it is still waiting to be made."""
    hold = await door.server.manager.locks.acquire("shop", "update_keywords")
    keyed = {"Idempotency-Key": "k1"}
    waiting = asyncio.create_task(door.client.put("/cookies/shop/remark", json={"remark": "x"}, headers=keyed))
    await until(lambda: door.server.manager.locks.figures().waiting == 1)
    assert (await door.call("GET", "/ops/k1"))["state"] == "unknown"
    assert (await door.call("GET", "/ops/other"))["state"] == "not_applied"
    async with another_person(door) as bob:
        assert (await bob.call("GET", "/ops/k1"))["state"] == "not_applied"
    hold.release()
    assert (await waiting).status_code == 200
    assert (await door.call("GET", "/ops/k1"))["state"] == "applied"


async def test_a_busy_account_says_who_has_it_and_for_how_long(tmp_path: Path) -> None:
    async with open_door(tmp_path, lock_wait_seconds=0.05) as door:
        await door.add()
        hold = await door.server.manager.locks.acquire("shop", "update_keywords")
        answer = await door.client.put("/cookies/shop/remark", json={"remark": "x"}, headers=EN)
        hold.release()
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        body = answer.json()
        assert body["code"] == "lock_timeout"
        assert body["params"]["operation"] == "update_keywords"
        assert body["params"]["held_seconds"] >= 0
        assert body["op_id"]
        assert door.account().remark == ""


async def test_a_database_that_cannot_be_read_is_no_empty_answer(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise StoreError("disk I/O error at /somewhere")

    monkeypatch.setattr(door.server.store, "journal", broken)
    body = await door.call("GET", "/cookies/shop/history", 503)
    assert body == {"detail": translate("problems.store_error", Language.ZH), "code": "store_error", "params": {}}
    assert "somewhere" not in json.dumps(body)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/imports/plans/x%00.y"), ("DELETE", "/imports/plans/x%00.y"), ("DELETE", "/invitations/x%00")],
)
async def test_a_nul_character_in_a_path_never_comes_to_a_database_that_refuses_it(
    door: Door, method: str, path: str
) -> None:
    await door.call(method, path, 422)

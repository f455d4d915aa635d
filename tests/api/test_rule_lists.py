"""Every rule at once: merged into another shop's, given as files, and read out of them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from api.rule_steps import FULL, add, listed
from shoal.api.routes import rule_lists
from shoal.sheets.xlsx import XLSX
from support.files.picture_files import a_png
from support.files.table_files import a_table, texts_of
from support.servers.doors import Door

RULES = "/cookies/shop/rules"


async def put(door: Door, rules: list[Any], status: int = 200, *, account: str = "shop", **query: Any) -> Any:
    return await door.call("PUT", f"/cookies/{account}/rules", status, json={"rules": rules}, params=query)


def words(rules: list[Any]) -> list[str]:
    return [rule["words"][0] for rule in rules]


async def test_merging_adds_edits_what_is_known_and_leaves_the_others(door: Door) -> None:
    a = await add(door, words=["a"], parts=[{"text": "1"}], cooldown_seconds=60)
    b = await add(door, words=["b"], parts=[{"text": "2"}])
    high = await add(door, words=["high"], priority=5)
    sent = [
        {"id": a["id"], "words": ["a"], "parts": [{"text": "one"}]},
        {"words": ["b"], "parts": [{"text": "two"}]},
        {"words": ["c"]},
        {"words": ["d"], "priority": 5},
    ]
    preview = await put(door, sent, mode="merge", dry_run=1)
    assert {name: preview[name] for name in ("added", "edited", "removed", "unchanged")} == {
        "added": 2, "edited": 2, "removed": 0, "unchanged": 1,
    }  # fmt: skip
    done = await put(door, sent, mode="merge")
    now = await listed(door)
    assert words(now) == ["high", "d", "a", "b", "c"]
    assert {rule["words"][0]: rule["id"] for rule in now}["b"] == b["id"], "what answers the same is the same rule"
    assert [(rule["parts"][0]["text"], rule["cooldown_seconds"]) for rule in now[2:4]] == [("one", 60), ("two", 0)]
    assert (await put(door, sent, mode="merge"))["changed"] is False
    await door.call("POST", f"/history/{done['rev']}/undo")
    assert await listed(door) == [high, a, b]


async def test_rules_of_another_shop_edit_those_that_answer_the_same(door: Door) -> None:
    await door.add("other", 2)
    rule = await add(door, **FULL)
    await door.call("POST", "/cookies/other/rules", json={**FULL, "words": ["邮费", "包邮"], "parts": [{"text": "旧"}]})
    done = await put(door, await listed(door), account="other", mode="merge")
    assert (done["added"], done["edited"]) == (0, 1)
    (other,) = (await door.call("GET", "/cookies/other/rules"))["items"]
    assert (other["id"] == rule["id"], other["parts"]) == (False, rule["parts"])


async def test_a_replacement_without_ids_keeps_the_history_of_what_answers_the_same(door: Door) -> None:
    rules = [await add(door, words=[word], parts=[{"text": word}]) for word in "abc"]
    bare = [{name: value for name, value in rule.items() if name != "id"} for rule in reversed(rules)]
    done = await put(door, bare)
    assert (done["added"], done["removed"]) == (0, 0)
    assert {rule["id"] for rule in await listed(door)} == {rule["id"] for rule in rules}
    assert words(await listed(door)) == ["c", "b", "a"]


async def test_a_merge_that_cannot_be_is_refused_whole(door: Door) -> None:
    rule = await add(door, words=["a"])
    for rules, code in (
        ([{"words": ["b"]}, {"words": ["("], "match_mode": "regex"}], "bad_pattern"),
        ([{"id": "x", "words": ["b"]}, {"id": "x", "words": ["c"]}], "duplicate_rule_id"),
        ([{"words": ["b"]}, {"words": ["b"]}], "rule_exists"),
        ([{"words": [f"w{number}"]} for number in range(5_000)], "too_many_keywords"),
    ):
        status = 409 if code == "rule_exists" else 422
        assert (await put(door, rules, status, mode="merge"))["code"] == code
    assert await listed(door) == [rule]


BAD_SHAPES: list[tuple[bytes, list[list[Any]]]] = [
    (
        b'{"rules": [{"words": ["a"]}, {"words": "b"}, {"words": ["c"], "active": "on"}]}',
        [["body", "rules", 1, "words"], ["body", "rules", 2, "active"]],
    ),
    (b'{"rules": [1]}', [["body", "rules", 0]]),
    (b'{"rules": {"words": []}}', [["body", "rules"]]),
    (b'{"rules": null}', [["body", "rules"]]),
    (b'{"rules": [{"words": ["a\\u0000"]}]}', [["body", "rules", 0, "words", 0]]),
    (b'{"rules": [{"words": ["\\ud800"]}]}', [["body", "rules", 0, "words", 0]]),
    (b"{}", [["body", "rules"]]),
    (b"[]", [["body"]]),
    (b"5", [["body"]]),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "places"), BAD_SHAPES, ids=range(len(BAD_SHAPES)))
async def test_a_list_of_the_wrong_shape_is_refused_with_its_places(
    door: Door, sent: bytes, places: list[list[Any]]
) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    body = await door.call("PUT", RULES, 422, content=sent, headers=headers)
    assert (body["code"], [row["loc"] for row in body["params"]["places"]]) == ("invalid_body", places)


@pytest.mark.parametrize(
    "sent", [b"", b"{", b'{"rules": [{"words": ["a"]}', b'{"rules": [{"priority": NaN, "words": []}]}', b"\xff"]
)
async def test_what_is_no_json_is_refused(door: Door, sent: bytes) -> None:
    answer = await door.client.put(RULES, content=sent, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.json()["code"] in ("invalid_body", "bad_body")


async def test_a_long_list_is_checked_beside_the_event_loop(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, mode in (("sent_whole", "replace"), ("checked", "merge")):
        threads: set[str] = set()
        read = getattr(rule_lists, name)

        def watched(*given: Any, threads: set[str] = threads, read: Callable[..., Any] = read) -> Any:
            threads.add(threading.current_thread().name)
            return read(*given)

        monkeypatch.setattr(rule_lists, name, watched)
        await put(door, [{"words": [f"w{number}"]} for number in range(10)], mode=mode)
        assert threads
        assert threading.main_thread().name not in threads


async def test_five_thousand_rules_in_full_fit_into_one_request(door: Door) -> None:
    rules = [{**FULL, "words": [f"词 {number}", "邮费"], "parts": [{"text": "答" * 150}]} for number in range(5_000)]
    assert len(json.dumps({"rules": rules}, ensure_ascii=False).encode()) > 3 << 20
    assert (await put(door, rules, dry_run=1))["added"] == 5_000


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def form(name: str, data: bytes, **headers: str) -> dict[str, Any]:
    return {"files": {"file": (name, data)}, "headers": headers}


async def read(door: Door, name: str, data: bytes, status: int = 200, **headers: str) -> Any:
    return await door.call("POST", "/rules-file", status, **form(name, data, **headers))


@pytest.mark.parametrize("kind", ["json", "xlsx"])
async def test_a_file_of_rules_brings_every_rule_back_as_it_was(door: Door, kind: str) -> None:
    picture = await door.call("POST", "/pictures", files={"image": ("a.png", a_png(30, 20))})
    await add(door, **FULL)
    await add(door, words=["图"], parts=[{"image_url": picture["image_url"]}, {"text": "=看"}], priority=-3)
    await add(door, words=[r"\d+元?"], match_mode="regex")
    before = await listed(door)
    answer = await door.client.get(
        "/cookies/shop/rules-file", params={"format": kind}, headers={"Accept-Language": "en"}
    )
    assert answer.headers["content-type"] == {"json": "application/json", "xlsx": XLSX}[kind]
    assert answer.headers["etag"] == '"g4"'
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''rules_shop_")
    rules = (await read(door, f"rules.{kind}", answer.content))["rules"]
    assert (await put(door, rules, dry_run=1))["unchanged"] == 3
    await put(door, [])
    await put(door, rules)
    assert await listed(door) == before
    assert door.account().keywords[2].parts[0].width == 30


async def test_a_json_file_has_one_rule_on_each_line_and_says_of_which_shop(door: Door) -> None:
    for word in "ab":
        await add(door, words=[word])
    answer = await door.client.get("/cookies/shop/rules-file")
    assert len(answer.text.splitlines()) == 4
    assert {name: answer.json()[name] for name in ("account", "generation")} == {"account": "shop", "generation": 3}


async def test_a_table_speaks_the_readers_language(door: Door) -> None:
    await add(door, words=["a"])
    for language, head in (("zh", "词"), ("en", "Words")):
        answer = await door.client.get("/cookies/shop/rules-file?format=xlsx", headers={"Accept-Language": language})
        assert texts_of(answer.content)[1][0][0] == head


async def test_reading_a_file_changes_nothing_and_tells_what_is_wrong_in_it(door: Door) -> None:
    data = json.dumps(
        {
            "rules": [
                {"words": ["a"]},
                {"words": [], "active": True},
                {"words": ["b"], "priority": "x"},
                {"words": ["c"], "parts": [{"image_url": "/static/uploads/images/gone.png"}]},
            ]
        }
    ).encode()
    body = await read(door, "rules.json", data, 400)
    assert [(row["row"], row["code"]) for row in body["params"]["rows"]] == [
        (2, "empty_keyword"),
        (3, "bad_rule_shape"),
    ]
    body = await read(
        door, "rules.json", data.replace(b'"x"', b"1").replace(b"[],", b'["z"],'), 400, **{"Accept-Language": "en"}
    )
    assert [(row["row"], row["code"]) for row in body["params"]["rows"]] == [(4, "picture_missing")]
    assert body["detail"].startswith("Nothing was imported. The file has 1 problem. Row 4:")
    assert door.account().generation == 1


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.json", b"[]", "bad_rules_file"),
        ("a.json", b"{", "bad_rules_file"),
        ("a.json", b'{"rules": 5}', "bad_rules_file"),
        ("a.txt", b"words", "not_xlsx"),
        ("a.xlsx", a_table([["x"]]), "missing_columns"),
        ("a.csv", b"", "no_rows"),
        ("a.csv", b"\xef\xbb\xbf,,\r\n\r\n", "no_rows"),
        ("a.xlsx", a_table([["词", "时段"], ["a", "always"]]), "bad_rows"),
        ("a.json", json.dumps({"rules": [{"words": ["a"]}] * 5_001}).encode(), "too_many_keywords"),
    ],
)
async def test_a_file_that_is_none_of_rules_is_refused(door: Door, name: str, data: bytes, code: str) -> None:
    status = 422 if code == "too_many_keywords" else 400
    assert (await read(door, name, data, status))["code"] == code


async def test_files_are_for_who_is_signed_in(door: Door) -> None:
    bare = {"Authorization": "Bearer nobody"}
    await read(door, "a.json", b"{}", 401, **bare)
    await door.call("GET", "/cookies/shop/rules-file", 401, headers=bare)
    await door.call("GET", "/cookies/nobody/rules-file", 404)


async def test_merges_at_once_lose_nothing_of_each_other(door: Door) -> None:
    batches = [[{"words": [f"{who} {number}"]} for number in range(20)] for who in ("ann", "bob", "cyd")]
    await asyncio.gather(*(put(door, batch, mode="merge") for batch in batches))
    assert len(await listed(door)) == 60

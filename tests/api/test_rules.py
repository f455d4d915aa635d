"""Rules in full over the API: made, changed, ordered, replaced, and warned about."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from api.rule_steps import FULL, add, listed
from shoal.api.http.problem_table import PROBLEMS
from shoal.rules import matcher
from shoal.rules.matcher import Matcher
from support.servers.doors import Door, another_person


async def test_a_rule_is_made_with_all_that_it_can_be(door: Door) -> None:
    body = await door.call("POST", "/cookies/shop/rules", json=FULL)
    assert (body["changed"], body["generation"], body["warnings"]) == (True, 2, [])
    rule = body["rule"]
    assert {name: rule[name] for name in FULL} == {
        **FULL,
        "words": ["包邮", "邮费"],
        "schedule": [{"weekdays": [6, 7], "start": "22:00", "end": "06:00"}],
        "parts": [{"text": "包邮的", "image_url": ""}, {"text": "", "image_url": "https://img.alicdn.com/a.png"}],
    }
    assert (rule["hits"], rule["last_hit_at"]) == (0, None)
    assert await listed(door) == [rule]
    assert await door.call("GET", f"/cookies/shop/rules/{rule['id']}") == rule
    (entry,) = (await door.call("GET", "/cookies/shop/history", params={"limit": 1}))["items"]
    assert list(entry["changes"]) == ["keywords"]


async def test_words_alone_make_a_rule_that_says_nothing(door: Door) -> None:
    rule = await add(door, words=["嘘"])
    assert (rule["parts"], rule["match_mode"], rule["word_mode"], rule["active"]) == ([], "contains", "any", True)


async def test_what_is_left_out_of_a_change_stays(door: Door) -> None:
    rule = await add(door, **FULL)
    path = f"/cookies/shop/rules/{rule['id']}"
    body = await door.call("PATCH", path, json={"priority": 1, "active": True})
    assert body["rule"] == {**rule, "priority": 1, "active": True}
    assert (await door.call("PATCH", path, json={"priority": 1}))["changed"] is False
    await door.call("POST", f"/history/{body['rev']}/undo")
    assert await door.call("GET", path) == rule


async def test_a_removed_rule_comes_back_by_undo_with_its_id(door: Door) -> None:
    rule = await add(door, **FULL)
    body = await door.call("DELETE", f"/cookies/shop/rules/{rule['id']}")
    assert body["msg"] == "removed"
    for method, more in (("GET", {}), ("PATCH", {"json": {"priority": 1}}), ("DELETE", {})):
        assert (await door.call(method, f"/cookies/shop/rules/{rule['id']}", 404, **more))["code"] == "unknown_rule"
    await door.call("POST", f"/history/{body['rev']}/undo")
    assert await listed(door) == [rule]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"words": []}, "empty_keyword"),
    ({"words": ["a", " "]}, "empty_keyword"),
    ({"words": [str(number) for number in range(51)]}, "too_many_words"),
    ({"words": ["a", "\u200b\ufeff"]}, "empty_keyword"),
    ({"words": ["a" * 201]}, "keyword_too_long"),
    ({"words": ["a" * 10_000], "match_mode": "regex"}, "keyword_too_long"),
    ({"words": ["("], "match_mode": "regex"}, "bad_pattern"),
    ({"item_ids": ["a/b"]}, "bad_item_id"),
    ({"item_ids": [str(number) for number in range(501)]}, "too_many_items"),
    ({"priority": 1001}, "bad_priority"),
    ({"schedule": [{"weekdays": [0]}]}, "bad_schedule"),
    ({"schedule": [{"weekdays": []}]}, "bad_schedule"),
    ({"schedule": [{"start": "25:00"}]}, "bad_schedule"),
    ({"schedule": [{"start": f"0{number}:00"} for number in range(10)] * 3}, "too_many_spans"),
    ({"parts": [{}]}, "bad_part"),
    ({"parts": [{"text": "a", "image_url": "https://img.alicdn.com/a.png"}]}, "bad_part"),
    ({"parts": [{"text": "a"}] * 11}, "too_many_parts"),
    ({"parts": [{"text": "a" * 4001}]}, "text_too_long"),
    ({"parts": [{"image_url": "file:///etc/passwd"}]}, "bad_image_url"),
    ({"parts": [{"image_url": "https://example.com/a.png"}]}, "bad_image_url"),
    ({"parts": [{"image_url": "https://alicdn.com.example.com/a.png"}]}, "bad_image_url"),
    ({"parts": [{"image_url": "https://[alicdn.com/a.png"}]}, "bad_image_url"),
    ({"parts": [{"image_url": "/static/uploads/images/nothing.png"}]}, "picture_missing"),
    ({"delay_seconds": [2, 1]}, "bad_delay"),
    ({"delay_seconds": [0, 301]}, "bad_delay"),
    ({"cooldown_seconds": -1}, "bad_cooldown"),
]


@pytest.mark.parametrize(("wrong", "code"), BAD, ids=[f"{code}-{number}" for number, (_, code) in enumerate(BAD)])
async def test_what_cannot_be_a_rule_is_refused_with_a_sentence_that_says_what_to_do(
    door: Door, wrong: dict[str, Any], code: str
) -> None:
    rule = await add(door, words=["fine"])
    status = PROBLEMS[code].status
    made = await door.call("POST", "/cookies/shop/rules", status, json={"words": ["x"], **wrong})
    changed = await door.call("PATCH", f"/cookies/shop/rules/{rule['id']}", status, json=wrong)
    for body in (made, changed):
        assert body["code"] == code
        assert "{" not in body["detail"]
    assert await listed(door) == [rule]
    assert door.account().generation == 2


async def test_patterns_that_are_too_slow_together_are_refused(door: Door) -> None:
    words = [f"[a-z]\\PM{{99}}{number}" for number in range(50)]
    body = await door.call("POST", "/cookies/shop/rules", 422, json={"words": words, "match_mode": "regex"})
    assert body["code"] == "patterns_too_large"


async def test_a_pattern_that_cannot_compile_names_itself_and_why(door: Door) -> None:
    sent = {"words": [r"(a)\1"], "match_mode": "regex"}
    headers = {"Accept-Language": "en"}
    body = await door.call("POST", "/cookies/shop/rules", 422, json=sent, headers=headers)
    assert r"(a)\1" in body["detail"]
    assert "invalid escape sequence" in body["detail"]
    assert "contains" in body["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"words": "x"}, {"words": ["x"], "active": "on"}, {"words": ["x"], "match_mode": "like"},
        {"words": ["x"], "color": "red"}, {"words": ["x"], "delay_seconds": [1]},
        {"words": ["x"], "parts": [{"text": "a", "html": "b"}]}, {"words": ["x"], "priority": 1.5},
    ],
)  # fmt: skip
async def test_a_body_of_the_wrong_shape_is_refused(door: Door, body: Any) -> None:
    assert (await door.call("POST", "/cookies/shop/rules", 422, json=body))["code"] == "invalid_body"


async def test_two_rules_that_differ_in_nothing_but_their_answer_are_refused(door: Door) -> None:
    first = await add(door, words=["在吗"], parts=[{"text": "在的"}])
    body = await door.call("POST", "/cookies/shop/rules", 409, json={"words": ["在吗"], "parts": [{"text": "嗯"}]})
    assert (body["code"], body["params"]["keyword"]) == ("rule_exists", "在吗")
    night = await add(door, words=["在吗"], schedule=[{"start": "22:00", "end": "08:00"}])
    path = f"/cookies/shop/rules/{night['id']}"
    assert (await door.call("PATCH", path, 409, json={"schedule": []}))["code"] == "rule_exists"
    assert [rule["id"] for rule in await listed(door)] == [first["id"], night["id"]]


async def test_replacing_says_before_and_after_what_it_does(door: Door) -> None:
    keep, edit, drop = [await add(door, words=[word]) for word in ("keep", "edit", "drop")]
    wanted = {"rules": [{"words": ["new"]}, {**edit, "priority": 0, "words": ["edited"]}, keep]}
    preview = await door.call("PUT", "/cookies/shop/rules?dry_run=1", json=wanted)
    assert (preview["dry_run"], preview["changed"], preview["generation"]) == (True, False, 4)
    assert await listed(door) == [keep, edit, drop], "a preview changes nothing"
    done = await door.call("PUT", "/cookies/shop/rules", json=wanted)
    assert (done["dry_run"], done["changed"], done["generation"]) == (False, True, 5)

    def words(answer: Any) -> set[tuple[str, str]]:
        return {
            (*((edit["before"] or {"words": [""]})["words"]), *((edit["after"] or {"words": [""]})["words"]))
            for edit in answer["edits"]
        }

    expected = {("", "new"), ("drop", ""), ("edit", "edited"), ("keep", "keep")}
    assert words(preview) == words(done) == expected
    now = await listed(door)
    assert [rule["words"] for rule in now] == [["new"], ["edited"], ["keep"]]
    assert [rule["id"] for rule in now[1:]] == [edit["id"], keep["id"]]
    assert (await door.call("PUT", "/cookies/shop/rules", json={"rules": now}))["changed"] is False
    await door.call("POST", f"/history/{done['rev']}/undo")
    assert await listed(door) == [keep, edit, drop]


async def test_one_shops_rules_are_taken_over_by_another_as_they_are(door: Door) -> None:
    await door.add("other", 2)
    for word in "ab":
        await add(door, **{**FULL, "words": [word]})
    rules = await listed(door)
    done = await door.call("PUT", "/cookies/other/rules", json={"rules": rules})
    assert (done["unchanged"], len(done["edits"])) == (0, 2)
    assert (await door.call("GET", "/cookies/other/rules"))["items"] == rules
    assert (await door.call("PUT", "/cookies/other/rules", json={"rules": rules}))["unchanged"] == 2


async def test_a_replacement_that_cannot_be_is_refused_whole(door: Door) -> None:
    rule = await add(door, words=["a"])
    for rules, code in (
        ([{"words": ["b"]}, {"words": [")"], "match_mode": "regex"}], "bad_pattern"),
        ([{"words": ["b"], "id": "x"}, {"words": ["c"], "id": "x"}], "duplicate_rule_id"),
        ([{"words": ["b"], "id": "a b"}], "bad_rule_id"),
        ([{"words": ["b"]}, {"words": ["b"]}], "rule_exists"),
        ([{"words": [f"w{place} {number}" for number in range(50)]} for place in range(401)], "too_many_words_in_all"),
    ):
        for path in ("/cookies/shop/rules?dry_run=1", "/cookies/shop/rules"):
            assert (await door.call("PUT", path, PROBLEMS[code].status, json={"rules": rules}))["code"] == code
    assert await listed(door) == [rule]


async def test_every_change_is_guarded_by_the_etag_and_shows_how_the_rules_are_now(door: Door) -> None:
    rule = await add(door, words=["a"])
    assert await door.etag("/cookies/shop/rules") == '"g2"'
    one = f"/cookies/shop/rules/{rule['id']}"
    for method, path, body in (
        ("POST", "/cookies/shop/rules", {"words": ["b"]}),
        ("PUT", "/cookies/shop/rules", {"rules": []}),
        ("PUT", "/cookies/shop/rules?dry_run=1", {"rules": []}),
        ("PUT", "/cookies/shop/rules/order", {"ids": [rule["id"]]}),
        ("PATCH", one, {"priority": 1}),
        ("DELETE", one, None),
    ):
        answer = await door.client.request(method, path, json=body, headers={"If-Match": '"g1"'})
        assert answer.status_code == 412, path
        if "dry_run" not in path:
            assert [row["id"] for row in answer.json()["current"]["items"]] == [rule["id"]]


async def test_two_people_who_edit_at_once_undo_nothing_of_each_other(door: Door) -> None:
    rules = [await add(door, words=[f"w{number}"]) for number in range(4)]
    base = "/cookies/shop/rules"
    edits = [
        door.call("PATCH", f"{base}/{rules[0]['id']}", json={"priority": 5}),
        door.call("PATCH", f"{base}/{rules[0]['id']}", json={"cooldown_seconds": 9}),
        door.call("DELETE", f"{base}/{rules[1]['id']}"),
        door.call("PATCH", f"{base}/{rules[2]['id']}", json={"parts": [{"text": "new"}]}),
        door.call("POST", base, json={"words": ["w9"]}),
        door.call("DELETE", f"/keywords/shop/rules/{rules[3]['id']}"),
    ]
    before = door.account().generation
    await asyncio.gather(*edits)
    found = {rule["words"][0]: rule for rule in await listed(door)}
    assert set(found) == {"w0", "w2", "w9"}
    assert (found["w0"]["priority"], found["w0"]["cooldown_seconds"]) == (5, 9)
    assert door.account().generation == before + len(edits)


async def test_of_two_who_replace_every_rule_at_once_with_an_etag_one_is_told(door: Door) -> None:
    etag = await door.etag("/cookies/shop/rules")
    bodies = [{"rules": [{"words": [f"{who} {number}"]} for number in range(3)]} for who in ("ann", "bob")]
    answers = await asyncio.gather(
        *(door.client.put("/cookies/shop/rules", json=body, headers={"If-Match": etag}) for body in bodies)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    won = bodies[[answer.status_code for answer in answers].index(200)]
    assert [rule["words"] for rule in await listed(door)] == [rule["words"] for rule in won["rules"]]


async def test_a_rule_is_made_once_however_often_its_request_comes(door: Door) -> None:
    sent: dict[str, Any] = {"json": {"words": ["a"]}, "headers": {"Idempotency-Key": "once"}}
    first = await door.call("POST", "/cookies/shop/rules", **sent)
    assert await door.call("POST", "/cookies/shop/rules", **sent) == first
    assert [rule["id"] for rule in await listed(door)] == [first["rule"]["id"]]


async def test_nobody_reads_or_changes_the_rules_of_another(door: Door) -> None:
    rule = await add(door, words=["a"])
    async with another_person(door) as stranger:
        for method, path, body in (
            ("GET", "", None), ("POST", "", {"words": ["b"]}), ("PUT", "", {"rules": []}),
            ("PUT", "/order", {"ids": []}), ("GET", f"/{rule['id']}", None), ("PATCH", f"/{rule['id']}", {}),
            ("DELETE", f"/{rule['id']}", None),
        ):  # fmt: skip
            answer = await stranger.client.request(method, f"/cookies/shop/rules{path}", json=body)
            assert answer.status_code == 404
    assert await listed(door) == [rule]


async def test_lists_go_on_where_they_ended_and_find_words_and_items(door: Door) -> None:
    rules = [{"words": [f"Word {number}"], "item_ids": ["7"] if number % 2 else []} for number in range(7)]
    await door.call("PUT", "/cookies/shop/rules", json={"rules": rules})
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = await door.call("GET", "/cookies/shop/rules", params={"limit": 3, **cursor})
        found += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert [rule["words"][0] for rule in found] == [f"Word {number}" for number in range(7)]
    assert [rule["words"][0] for rule in await listed(door, q="ｗＯＲＤ 3")] == ["Word 3"]
    assert len(await listed(door, item_id="7")) == 3
    await door.call("GET", "/cookies/shop/rules", 422, params={"cursor": "x"})


async def test_a_rule_that_can_never_fire_is_warned_about_in_both_languages(door: Door) -> None:
    first = await add(door, words=["包邮"])
    body = await door.call("POST", "/cookies/shop/rules", json={"words": ["包邮吗", "运费"]})
    (warning,) = body["warnings"]
    assert (warning["code"], warning["word"], warning["before"]) == ("word_never_fires", "包邮吗", first["id"])
    path = f"/cookies/shop/rules/{body['rule']['id']}"
    body = await door.call("PATCH", path, json={"words": ["是否包邮"]}, headers={"Accept-Language": "en"})
    (warning,) = body["warnings"]
    assert warning["code"] == "never_fires"
    assert warning["detail"].startswith("This rule never applies: the rule “包邮”")
    assert (await door.call("GET", "/cookies/shop/rules"))["warnings"][0]["rule_id"] == body["rule"]["id"]
    await door.call("PATCH", path, json={"priority": 1})
    (turned,) = (await door.call("GET", "/cookies/shop/rules"))["warnings"] or [None]
    assert turned is None, "the longer word comes first now, and the shorter one still fires elsewhere"


async def test_a_variable_that_nobody_knows_is_warned_about_in_both_languages(door: Door) -> None:
    body = {"words": ["在吗"], "parts": [{"text": "{send_user_nmae}，在的"}]}
    for language, word in (("zh", "变量"), ("en", "variable")):
        rule = (await door.call("POST", "/cookies/shop/rules", json={**body, "words": [word]}))["rule"]
        listed = await door.call("GET", "/cookies/shop/rules", headers={"Accept-Language": language})
        found = next(one for one in listed["warnings"] if one["rule_id"] == rule["id"])
        assert (found["code"], found["word"], found["before"]) == ("unknown_variable", "{send_user_nmae}", "")
        assert word in found["detail"]
        assert "{send_user_name}" in found["detail"]


async def test_many_rules_are_compiled_on_another_thread(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading  # noqa: PLC0415

    threads: list[str] = []

    def watch(kind: Any) -> None:
        make = kind.__init__

        def watched(self: Any, rules: Any) -> None:
            if len(rules) > 300:
                threads.append(f"{kind.__name__} {threading.current_thread().name}")
            make(self, rules)

        monkeypatch.setattr(kind, "__init__", watched)

    watch(Matcher)
    watch(matcher._Index)
    rules = [{"words": [f"word {number}"], "parts": [{"text": "r"}]} for number in range(400)]
    done = await door.call("PUT", "/cookies/shop/rules", json={"rules": rules})
    await door.call("POST", "/keywords/shop", json={"keywords": {f"k {number}": "r" for number in range(400)}})
    await door.call("POST", f"/history/{done['rev'] + 1}/undo")
    assert len(threads) >= 3
    assert not any(name.startswith("_Index") for name in threads)  # no message needed one yet
    asked = {
        "cookie_id": "shop", "msg_time": "", "user_url": "", "send_user_id": "22", "send_user_name": "小鱼",
        "item_id": "", "send_message": "word 7", "chat_id": "1",
    }  # fmt: skip
    for _ in range(2):
        answer = await door.call("POST", "/xianyu/reply", json=asked)
        assert answer["data"]["send_msg"] == "r"
    assert sum(name.startswith("_Index ") for name in threads) == 1
    assert not any(name.endswith(threading.main_thread().name) for name in threads)


async def test_the_shops_time_zone_is_a_setting(door: Door) -> None:
    path = "/cookies/shop/settings"
    assert (await door.call("PATCH", path, json={"timezone": "Europe/Paris"}))["settings"]["timezone"] == "Europe/Paris"
    assert (await door.call("PATCH", path, 422, json={"timezone": "Mars/Base"}))["code"] == "bad_timezone"
    assert (await door.call("PATCH", path, json={"timezone": ""}))["settings"]["timezone"] == ""


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "rules", {"rules": [{"words": ["新"]}]}),
        ("POST", "rules", {"words": ["新"]}),
        ("PATCH", "rules/{id}", {"words": ["新"]}),
    ],
)
async def test_a_change_is_not_told_as_failed_for_hits_that_cannot_be_read(
    door: Door, method: str, path: str, body: Any
) -> None:
    """What the answer shows beside the change is read before it: then nothing was touched."""
    rule = await add(door, words=["旧"])
    before = await door.call("GET", "/cookies/shop")
    assert door.server.database.file is not None
    with closing(sqlite3.connect(door.server.database.file)) as connection:
        connection.execute("ALTER TABLE rule_hits RENAME TO rule_hits_lost")
    answer = await door.call(method, f"/cookies/shop/{path.format(id=rule['id'])}", 503, json=body)
    assert answer["code"] == "outcome_unknown"
    assert await door.call("GET", "/cookies/shop") == before

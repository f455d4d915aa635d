"""Shops as a file over the API: exported, looked at, applied; refused by line; nobody else's change is lost."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from shoal.accounts import edits
from support.servers.doors import Door, another_person, in_shell, served

RULES = [{"words": ["包邮"], "parts": [{"text": "全国包邮"}]}, {"words": ["no", "yes"], "priority": 3}]
FILE = """\
version: 1
accounts:
  shop:
    enabled: false
    settings:
      remark: 书店
      debounce_seconds: null
    item_replies:
      "700000000001": 在的
    item_facts:
      "700000000001": 电池 95%
    item_floors:
      "700000000001": 0
      "700000000002": 2500
    rules:
      - words: [包邮]
        parts:
          - text: |-
              全国包邮
              新疆除外
    deliveries:
      - parts: [{text: 谢谢}]
        confirm: yes
"""


async def exported(door: Door, **params: Any) -> str:
    answer = await door.client.get("/export", params=params)
    assert answer.status_code == 200, answer.text
    return answer.text


async def apply(door: Door, text: str, status: int = 200, **params: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await door.call("POST", "/apply", status, json={"file": text}, params=params))[
        "accounts"
    ]
    return rows


async def faults_of(door: Door, text: str) -> list[tuple[int, str, str]]:
    refused = await door.call("POST", "/apply", 400, json={"file": text})
    return [(fault["line"], fault["place"], fault["code"]) for fault in refused["params"]["faults"]]


async def test_a_file_is_looked_at_then_applied_in_one_change_and_then_changes_nothing(door: Door) -> None:
    await door.call("PUT", "/cookies/shop/rules", json={"rules": RULES})
    before = door.account()
    (tried,) = await apply(door, FILE, dry_run=True)
    assert (tried["outcome"], tried["generation"], door.account()) == ("would_change", before.generation, before)
    assert {(one["kind"], one["section"]) for one in tried["differences"]} == {
        ("changed", "enabled"), ("changed", "settings"), ("added", "item_replies"), ("added", "item_facts"),
        ("added", "item_floors"), ("removed", "rules"),
        ("changed", "rules"), ("added", "deliveries"),
    }  # fmt: skip
    (done,) = await apply(door, FILE)
    shop = door.account()
    assert (done["outcome"], done["generation"], shop.generation) == ("changed", before.generation + 1, shop.generation)
    assert done["differences"] == tried["differences"]
    assert (shop.enabled, shop.remark, shop.keywords[0].reply) == (False, "书店", "全国包邮\n新疆除外")
    assert shop.deliveries[0].confirm == "yes"
    assert [(item.item_id, item.facts, item.floor_fen) for item in shop.items] == [
        ("700000000001", "电池 95%", 0), ("700000000002", "", 2_500),
    ]  # fmt: skip
    assert shop.keywords[0].id == before.keywords[1].id
    assert (shop.cookie, shop.proxy, shop.pause_duration) == (before.cookie, before.proxy, before.pause_duration)
    (again,) = await apply(door, FILE)
    assert (again["outcome"], again["differences"], door.account()) == ("unchanged", [], shop)


async def test_an_export_has_no_secret_and_applying_it_changes_nothing(door: Door) -> None:
    await door.call("PUT", "/cookies/shop/rules", json={"rules": RULES})
    await door.call("PATCH", "/cookies/shop/settings", json={"proxy": "http://user:geheim@proxy.example:3128"})
    for format_ in ("yaml", "json"):
        text = await exported(door, format=format_)
        assert [secret for secret in ("geheim", "cookie2", door.account().unb) if secret in text] == []
        before = door.account()
        assert [row["outcome"] for row in await apply(door, text, prune=True)] == ["unchanged"]
        assert door.account() == before


async def test_all_faults_are_told_with_their_lines_and_nothing_is_changed(door: Door) -> None:
    await door.add("other", 2)
    text = """\
version: 1
accounts:
  shop:
    enabled: maybe
    colour: red
    settings: {pause_duration: 99, remark: fine}
  other:
    rules:
      - words: []
      - words: ["("]
        match_mode: regex
      - parts: [{text: x}]
      - words: [" "]
    deliveries:
      - item_id: "1"
        goods: Kein
      - goods_id: 5
        parts: [{text: "{codes}"}]
      - count: much
      - {item_id: "2", count: 300}
"""
    assert await faults_of(door, text) == [
        (4, "accounts.shop.enabled", "shop_file_kind"),
        (5, "accounts.shop.colour", "shop_file_unknown_name"),
        (6, "accounts.shop.settings.pause_duration", "bad_pause_duration"),
        (9, "accounts.other.rules.0", "empty_keyword"),
        (10, "accounts.other.rules.1", "bad_pattern"),
        (12, "accounts.other.rules.2", "shop_file_missing"),
        (13, "accounts.other.rules.3", "empty_keyword"),
        (15, "accounts.other.deliveries.0", "delivery_goods_unnamed"),
        (17, "accounts.other.deliveries.1", "delivery_goods_unknown"),
        (19, "accounts.other.deliveries.2.count", "shop_file_kind"),
        (20, "accounts.other.deliveries.3", "bad_delivery_count"),
    ]
    assert door.account().remark == ""
    refused = await door.client.post("/apply", json={"file": text}, headers={"accept-language": "en"})
    assert "Line 4, accounts.shop.enabled: true or false is expected here." in refused.json()["detail"]
    said = {fault["code"]: fault["detail"] for fault in refused.json()["params"]["faults"]}
    assert said["shop_file_unknown_name"] == "the name “colour” is not known here."
    assert said["shop_file_missing"] == "“words” is missing."
    refused = await door.client.post("/apply", json={"file": "- 1"}, headers={"accept-language": "en"})
    assert refused.json()["detail"].endswith("Line 1: names with values is expected here."), refused.json()["detail"]


@pytest.mark.parametrize(
    ("text", "line", "code"),
    [
        ("version: 1\naccounts: {shop: {remark: [}}\n", 2, "shop_file_syntax"),
        ("version: 2\naccounts: {}\n", 1, "shop_file_version"),
        ("- 1\n", 1, "shop_file_kind"),
        ("", 1, "shop_file_kind"),
        ("version: 1\naccounts:\n  shop: {}\n  shop: {}\n", 4, "shop_file_key_twice"),
        ("version: 1\naccounts: {shop: {rules: [{words: [a]}, {words: [a]}]}}\n", 2, "rule_exists"),
        ('version: 1\naccounts: {shop: {settings: {remark: "a\\0b"}}}\n', 2, "shop_file_kind"),
    ],
)
async def test_what_is_no_file_of_shops_is_refused(door: Door, text: str, line: int, code: str) -> None:
    found = await faults_of(door, text)
    assert [(fault[0], fault[2]) for fault in found] == [(line, code)]


async def test_a_shop_that_is_not_here_is_told_and_the_others_are_changed(door: Door) -> None:
    text = "version: 1\naccounts: {gone: {settings: {remark: x}}, shop: {settings: {remark: y}}}\n"
    rows = await apply(door, text)
    assert [(row["id"], row["outcome"], row["code"]) for row in rows] == [
        ("gone", "absent", "unknown_account"), ("shop", "changed", ""),
    ]  # fmt: skip
    assert set(door.server.manager.accounts) == {"shop"}


async def test_only_what_the_file_names_is_touched_and_prune_also_empties_lists(door: Door) -> None:
    async with another_person(door, "ann"), another_person(door, "bob"):
        await door.call("PUT", "/cookies/shop/staff/ann", json={"permission": "read"})
        await apply(door, "version: 1\naccounts: {shop: {item_replies: {'1': a, '2': b}}}\n")
        text = "version: 1\naccounts: {shop: {item_replies: {'2': c}, staff: {Bob: operate}}}\n"
        (row,) = await apply(door, text)
        assert [one["text"] for one in row["differences"]] == ["商品 2 的回复：“b” → “c”", "新增bob 的权限：“operate”"]
        staff = (await door.call("GET", "/cookies/shop/staff"))["items"]
        assert {one["username"]: one["permission"] for one in staff} == {"ann": "read", "bob": "operate"}
        assert [item.reply for item in door.account().items] == ["a", "c"]
        await apply(door, text, prune=True)
        staff = (await door.call("GET", "/cookies/shop/staff"))["items"]
        assert [one["username"] for one in staff] == ["bob"]
        assert [item.reply for item in door.account().items] == ["c"]
        (row,) = await apply(door, text, prune=True)
        assert row["outcome"] == "unchanged"
        noted = (await door.call("GET", "/security-log"))["items"]
        assert [note["kind"] for note in noted if note["kind"].startswith("right_")][:2] == [
            "right_taken",
            "right_given",
        ]


async def test_staff_change_what_they_may_and_no_more(door: Door) -> None:
    async with another_person(door, "ann") as ann:
        text = "version: 1\naccounts: {shop: {settings: {remark: x}}}\n"
        (row,) = await apply(ann, text)
        assert (row["outcome"], row["code"]) == ("absent", "unknown_account")
        await door.call("PUT", "/cookies/shop/staff/ann", json={"permission": "read"})
        assert "staff" not in yaml.safe_load(await exported(ann))["accounts"]["shop"]
        assert await faults_of(ann, text) == [(2, "accounts.shop", "right_missing")]
        await door.call("PUT", "/cookies/shop/staff/ann", json={"permission": "operate"})
        assert [row["outcome"] for row in await apply(ann, text)] == ["changed"]
        assert await faults_of(ann, "version: 1\naccounts:\n  shop:\n    staff: {}\n") == [
            (4, "accounts.shop.staff", "right_missing")
        ]


async def test_a_change_of_somebody_else_in_the_meantime_is_not_overwritten(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    await door.add("other", 2)
    manager, change = door.server.manager, door.server.manager.apply_edit

    async def late(account_id: str, edit: edits.Edit, caller: Any) -> Any:
        if account_id == "shop":
            await door.call("PATCH", "/cookies/shop/settings", json={"remark": "theirs"})
        else:
            await door.call("DELETE", "/cookies/other")
        return await change(account_id, edit, caller)

    monkeypatch.setattr(manager, "apply_edit", late)
    text = "version: 1\naccounts: {shop: {settings: {remark: mine}}, other: {settings: {remark: mine}}}\n"
    rows = await apply(door, text, 207)
    assert [(row["outcome"], row["code"]) for row in rows] == [
        ("failed", "stale_generation"), ("failed", "unknown_account"),
    ]  # fmt: skip
    assert door.account().remark == "theirs"
    monkeypatch.undo()
    rows = await apply(door, text)
    assert [row["outcome"] for row in rows] == ["changed", "absent"]


async def test_two_that_apply_at_once_leave_one_of_both_files_whole(door: Door) -> None:
    files = [
        "version: 1\naccounts: {shop: "
        f"{{settings: {{remark: {name}, name: {name}}}, rules: [{{words: [{name}]}}]}}}}\n"
        for name in ("one", "two")
    ]
    bodies = [door.client.post("/apply", json={"file": text}) for text in files]
    answers = await asyncio.gather(*bodies)
    outcomes = sorted(answer.json()["accounts"][0]["outcome"] for answer in answers)
    shop = door.account()
    assert outcomes in (["changed", "changed"], ["changed", "failed"])
    assert shop.remark == shop.name == shop.keywords[0].keyword


async def test_a_repeated_request_is_answered_alike_and_changes_once(door: Door) -> None:
    headers = {"idempotency-key": "k1"}
    first = await door.call("POST", "/apply", json={"file": FILE}, headers=headers)
    generation = door.account().generation
    assert await door.call("POST", "/apply", json={"file": FILE}, headers=headers) == first
    assert door.account().generation == generation


async def test_in_the_shell_an_export_is_edited_and_applied(door: Door, tmp_path: Path) -> None:
    token = await door.server.sessions.open(1, 3600)
    file = tmp_path / "shops.yaml"
    async with served(door) as url:
        code, said = await in_shell(url, token, "export", "--account", "shop")
        assert code == 0
        assert said.startswith(f"# yaml-language-server: $schema={url}/shops.schema.json\nversion: 1\n")
        file.write_text(said.replace("remark: ''", "remark: 书"), encoding="utf-8")
        code, said = await in_shell(url, token, "apply", str(file), "--dry-run")
        assert (code, "~ remark: “” → “书”" in said, door.account().remark) == (0, True, "")
        code, said = await in_shell(url, token, "apply", str(file))
        assert (code, door.account().remark) == (0, "书")
        code, said = await in_shell(url, token, "apply", str(file), "--json")
        assert (code, '"outcome": "unchanged"' in said) == (0, True)
        file.write_text("version: 1\naccounts: {gone: {}}\n", encoding="utf-8")
        code, said = await in_shell(url, token, "apply", str(file))
        assert (code, "gone" in said) == (1, True)
        code, said = await in_shell(url, token, "apply", str(tmp_path / "not-there"))
        assert code == 2
        code, said = await in_shell(url, token, "export", "--schema")
        assert (code, '"$schema"' in said) == (0, True)
        assert (await in_shell(url, token, "export", "--account", "gone"))[0] == 1


async def test_facts_and_lowest_prices_of_items_are_moved_by_a_file_and_pruned_only_when_asked(door: Door) -> None:
    await apply(door, FILE)
    text = await exported(door)
    assert "item_floors:\n      '700000000001': 0\n      '700000000002': 2500\n" in text
    await apply(
        door, "version: 1\naccounts: {shop: {item_facts: {'1': ' 八成新 '}, item_floors: {'700000000002': null}}}\n"
    )
    items = {item.item_id: (item.reply, item.facts, item.floor_fen) for item in door.account().items}
    assert items == {"1": ("", "八成新", None), "700000000001": ("在的", "电池 95%", 0)}
    (again,) = await apply(door, text, prune=True)
    assert {(one["kind"], one["section"]) for one in again["differences"]} == {
        ("removed", "item_facts"), ("added", "item_floors"),
    }  # fmt: skip
    assert await exported(door) == text
    wrong = "version: 1\naccounts: {shop: {item_floors: {'1': -1, '!': 5}}}\n"
    assert [(place, code) for _, place, code in await faults_of(door, wrong)] == [
        ("accounts.shop.item_floors.1", "bad_ai_number"), ("accounts.shop.item_floors.!", "bad_item_id"),
    ]  # fmt: skip

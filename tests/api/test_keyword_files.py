"""The Excel files of the system that sellers come from: exported, imported, and nothing lost that they cannot say."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote

import pytest

from shoal.sheets.xlsx import XLSX
from support.files.table_files import a_table, cells_of, texts_of
from support.servers.doors import Door

HEADS = ["关键词", "商品ID", "关键词内容"]
PATH = "/keywords-import/shop"
RICH: list[dict[str, Any]] = [
    {"words": ["退款", "退货"], "parts": [{"text": "请说明原因"}]},
    {"words": ["在吗"], "schedule": [{"start": "22:00", "end": "08:00"}], "parts": [{"text": "已下班"}]},
    {"words": [r"\d+元"], "match_mode": "regex", "parts": [{"text": "不讲价"}]},
    {"words": ["图"], "parts": [{"image_url": "https://img.alicdn.com/a.png"}]},
    {"words": ["尺寸"], "item_ids": ["7001", "7002"], "parts": [{"text": "20"}]},
    {"words": ["急"], "priority": 9, "parts": [{"text": "马上"}]},
    {"words": ["关"], "active": False},
]  # fmt: skip


def sent(data: bytes, name: str = "rules.xlsx", **headers: str) -> dict[str, Any]:
    return {"files": {"file": (name, data, XLSX)}, "headers": headers}


async def bring(
    door: Door, *rows: Sequence[Any], status: int = 200, change: Callable[[Any], None] | None = None
) -> Any:
    return await door.call("POST", PATH, status, **sent(a_table([HEADS, *rows], change=change)))


async def taken(door: Door) -> bytes:
    answer = await door.client.get("/keywords-export/shop")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == XLSX
    return answer.content


async def plain(door: Door) -> list[tuple[str, str, str]]:
    listed = await door.call("GET", "/keywords-with-item-id/shop")
    return [(row["keyword"], row["item_id"], row["reply"]) for row in listed]


async def test_the_file_has_the_sheet_the_columns_and_the_name_that_old_scripts_expect(door: Door) -> None:
    await bring(door, ["尺寸", "7001", "20 厘米"], ["在吗", "", "在的"])
    answer = await door.client.get("/keywords-export/shop")
    head, _, number = answer.headers["content-disposition"].removesuffix(".xlsx").rpartition("_")
    assert head == "attachment; filename*=UTF-8''keywords_shop"
    assert number.isdecimal()
    assert answer.headers["etag"] == '"g2"'
    assert texts_of(answer.content) == ("关键词数据", [HEADS, ["尺寸", "7001", "20 厘米"], ["在吗", None, "在的"]])


async def test_f15_whatever_a_shop_is_called_the_name_of_its_file_is_encoded(door: Door) -> None:
    name = '小鱼 "a"; filename=b.exe'
    await door.add(name, 2)
    for path in (f"/keywords-export/{name}", f"/cookies/{name}/rules-file", f"/cookies/{name}/rules-file?format=json"):
        answer = await door.client.get(path)
        assert answer.status_code == 200, path
        told = answer.headers["content-disposition"]
        found = re.fullmatch(r"attachment; filename\*=UTF-8''([A-Za-z0-9%._-]+)", told)
        assert found is not None, told
        assert name in unquote(found[1])


async def test_an_account_without_rules_gets_a_template_with_three_grey_examples(door: Door) -> None:
    await door.call("POST", "/cookies/shop/rules", json=RICH[0])
    answer = await door.client.get("/keywords-export/shop")
    assert "''keywords_template_shop_" in answer.headers["content-disposition"]
    _, (heads, *examples) = texts_of(answer.content)
    assert (heads, len(examples)) == (HEADS, 3)
    assert {cell.font.color.rgb for cell in cells_of(answer.content)[3:]} == {"FF808080"}
    assert (await door.call("POST", PATH, **sent(answer.content)))["added"] == 3


async def test_what_was_exported_is_imported_and_changes_nothing(door: Door) -> None:
    rows = [["在吗", "", "在的"], ["=1+1", "", "@all"], ["嗯", "7001", ""], ["b", "", "两行\r\n文字"]]
    keywords = [{"keyword": word, "item_id": item, "reply": reply} for word, item, reply in rows]
    await door.call("POST", "/keywords-with-item-id/shop", json={"keywords": keywords})
    for rule in RICH:
        await door.call("POST", "/cookies/shop/rules", json=rule)
    before = await door.call("GET", "/cookies/shop/rules")
    body = await door.call("POST", PATH, **sent(await taken(door)))
    assert (body["msg"], body["changed"], body["total"], body["added"], body["updated"]) == ("导入成功", False, 4, 0, 4)
    assert await door.call("GET", "/cookies/shop/rules") == before


async def test_a_file_replaces_the_text_rules_and_nothing_that_it_cannot_express(door: Door) -> None:
    await bring(door, ["在吗", "", "在的"], ["旧", "", "x"])
    for rule in RICH:
        await door.call("POST", "/cookies/shop/rules", json=rule)
    rich = [
        rule
        for rule in (await door.call("GET", "/cookies/shop/rules"))["items"]
        if rule["words"] not in (["在吗"], ["旧"])
    ]
    rich += [rule for rule in (await door.call("GET", "/cookies/shop/rules"))["items"] if rule["schedule"]]
    body = await bring(door, ["在吗", "", "在呢"], ["新", "", "y"], ["图", "7001", "item"])
    assert {name: body[name] for name in ("total", "added", "updated", "removed")} == {
        "total": 3, "added": 2, "updated": 1, "removed": 1,
    }  # fmt: skip
    now = (await door.call("GET", "/cookies/shop/rules"))["items"]
    assert all(rule in now for rule in rich)
    assert len(now) == len(RICH) + 3
    await door.call("POST", f"/history/{body['rev']}/undo")
    assert ("旧", "", "x") in await plain(door)


async def test_d1_numbers_and_blanks_never_become_nan_or_123_0(door: Door) -> None:
    rows: list[list[Any]] = [
        [" 在吗 ", None, "在的"],
        ["尺寸", 700000000001, 20],
        [123, 7002.0, 1.5],
        [None, None, None],
        ["默", None, None],
    ]
    assert (await bring(door, *rows))["total"] == 4
    assert sorted(await plain(door)) == sorted(
        [("尺寸", "700000000001", "20"), ("123", "7002", "1.5"), ("在吗", "", "在的"), ("默", "", "")]
    )


BAD_ROWS: list[tuple[list[Any], str, str]] = [
    ([None, None, "an answer to nothing"], "empty_keyword", "关键词"),
    (["\u200b", None, "x"], "empty_keyword", "关键词"),
    (["a" * 201, None, "x"], "keyword_too_long", "关键词"),
    (["a", None, "x" * 4001], "keyword_too_long", "关键词"),
    (["a", "7/1", "x"], "bad_item_id", "商品ID"),
    (["a", 12345678901234567890, "x"], "cell_no_text", "商品ID"),
    (["a", None, "=1+1"], "cell_formula", "关键词内容"),
    (["ok", None, "once more"], "duplicate_row", "关键词"),
    (["图", None, "a text"], "image_keyword_exists", "关键词"),
]


@pytest.mark.parametrize(
    ("row", "code", "column"), BAD_ROWS, ids=[f"{code}-{n}" for n, (_, code, _) in enumerate(BAD_ROWS)]
)
async def test_a_row_that_cannot_be_used_is_told_and_nothing_is_imported(
    door: Door, row: list[Any], code: str, column: str
) -> None:
    await door.call("POST", "/cookies/shop/rules", json=RICH[3])
    before = await plain(door)
    body = await bring(door, ["ok", None, "fine"], row, ["also ok", None, ""], status=400)
    (told,) = body["params"]["rows"]
    assert (body["code"], body["params"]["count"]) == ("bad_rows", 1)
    assert (told["row"], told["column"], told["code"]) == (3, column, code)
    assert f"第 3 行“{column}”" in body["detail"]
    assert await plain(door) == before


async def test_every_bad_row_is_told_in_the_readers_language(door: Door) -> None:
    data = a_table([HEADS, *([f"k{number}", "a b", "x"] for number in range(150))])
    body = await door.call("POST", PATH, 400, **sent(data, **{"Accept-Language": "en"}))
    assert (body["params"]["count"], len(body["params"]["rows"])) == (150, 100)
    assert body["params"]["rows"][99]["row"] == 101
    assert body["detail"].startswith("Nothing was imported. The file has 150 problems. Row 2, “商品ID”:")
    assert body["detail"].count("\n") == 4


async def test_merged_cells_are_refused(door: Door) -> None:
    body = await bring(
        door, ["a", None, "both"], ["b", None, None], status=400, change=lambda page: page.merge_cells("C2:C3")
    )
    assert [(row["row"], row["code"]) for row in body["params"]["rows"]] == [(2, "cells_merged")]


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (a_table([HEADS]), "rules.csv", "not_xlsx"),
        (a_table([HEADS]), "", "invalid_body"),
        (b"keyword,reply", "rules.xlsx", "not_xlsx"),
        (a_table([["关键词", "回复"]]), "rules.xlsx", "missing_columns"),
        (a_table([HEADS, [None, " ", None]]), "rules.xlsx", "no_rows"),
        (a_table([["Keyword", "Item ID", "keyword"]]), "rules.xlsx", "duplicate_column"),
    ],
)
async def test_a_file_of_another_kind_is_refused(door: Door, data: bytes, name: str, code: str) -> None:
    status = 422 if code == "invalid_body" else 400
    body = await door.call("POST", PATH, status, **sent(data, name))
    assert body["code"] == code
    assert door.account().generation == 1


async def test_missing_columns_are_named_in_both_languages(door: Door) -> None:
    data = a_table([["词", "商品ID"], ["a", ""]])
    chinese = await door.call("POST", PATH, 400, **sent(data))
    english = await door.call("POST", PATH, 400, **sent(data, **{"Accept-Language": "en"}))
    assert "缺少列：关键词 (Keyword), 关键词内容 (Reply)" in chinese["detail"]
    assert "Columns are missing: 关键词 (Keyword), 关键词内容 (Reply)." in english["detail"]


async def test_old_names_of_files_and_english_columns_are_taken(door: Door) -> None:
    data = a_table([["Reply", "keyword", "Item ID"], ["在的", "在吗", ""]])
    await door.call("POST", PATH, **sent(data, "RULES.XLS"))
    assert await plain(door) == [("在吗", "", "在的")]


async def test_a_huge_upload_is_refused_before_it_is_read(door: Door) -> None:
    body = await door.call("POST", PATH, 413, **sent(bytes(3 << 20)))
    assert body["code"] == "body_too_large"


async def test_five_thousand_rows_are_taken_and_one_more_is_not(door: Door) -> None:
    rows = [[f"词 {number}", "", f"答 {number}"] for number in range(5_001)]
    assert (await bring(door, *rows, status=400))["code"] == "too_many_sheet_rows"
    assert (await bring(door, *rows[:5_000]))["added"] == 5_000
    assert (await door.call("POST", PATH, **sent(await taken(door))))["changed"] is False


async def test_a_preview_says_what_would_happen(door: Door) -> None:
    await bring(door, ["a", "", "1"], ["b", "", "2"])
    data = a_table([HEADS, ["a", "", "1"], ["c", "", "3"]])
    body = await door.call("POST", f"{PATH}?dry_run=1", **sent(data))
    assert (body["dry_run"], body["changed"], body["added"], body["updated"], body["removed"]) == (True, False, 1, 1, 1)
    assert [row[0] for row in await plain(door)] == ["a", "b"]


async def test_an_import_is_guarded_by_the_etag_and_shows_how_the_rules_are_now(door: Door) -> None:
    await bring(door, ["a", "", "1"])
    body = await door.call("POST", PATH, 412, **sent(a_table([HEADS, ["b"]]), **{"If-Match": '"g1"'}))
    assert body["current"] == await door.call("GET", "/keywords-with-item-id/shop")
    await door.call("POST", f"{PATH}?dry_run=1", 412, **sent(a_table([HEADS, ["b"]]), **{"If-Match": '"g1"'}))


async def test_of_imports_at_once_with_an_etag_one_wins_and_its_rows_are_all_there(door: Door) -> None:
    files = [a_table([HEADS, *([f"{who} {number}", "", ""] for number in range(50))]) for who in ("ann", "bob", "cleo")]
    answers = await asyncio.gather(*(door.client.post(PATH, **sent(data, **{"If-Match": '"g1"'})) for data in files))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412]
    assert len({row[0].split()[0] for row in await plain(door)}) == 1
    assert len(await plain(door)) == 50


async def test_an_account_of_somebody_else_is_refused(door: Door) -> None:
    assert (await door.call("GET", "/keywords-export/nobody", 403))["detail"] == "无权限访问该Cookie"
    assert (await door.call("POST", "/keywords-import/nobody", 403, **sent(a_table([HEADS]))))[
        "detail"
    ] == "无权限操作该Cookie"

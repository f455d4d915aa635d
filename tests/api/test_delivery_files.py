"""Delivery rules as files over the API and in the shell: exported, looked at, imported, refused by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shoal.sheets.xlsx import XLSX
from support.files.picture_files import a_png
from support.files.table_files import a_table, texts_of
from support.servers.doors import Door, another_person, in_shell, served

ROUTE = "/cookies/shop/deliveries"
FILE = f"{ROUTE}/file"
HEADS = ["商品ID", "规格", "货品", "消息 1", "消息 2"]


async def a_picture(door: Door) -> str:
    sent = await door.call("POST", "/pictures", files={"image": ("a.png", a_png())})
    url: str = sent["image_url"]
    return url


async def rules_of(door: Door) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = (await door.call("GET", ROUTE))["rules"]
    return rules


async def put(door: Door, data: bytes, status: int = 200, *, name: str = "rules.xlsx", **more: Any) -> Any:
    headers = more.pop("headers", {})
    return await door.call("POST", FILE, status, files={"file": (name, data)}, params=more, headers=headers)


async def goods_of(door: Door, name: str) -> int:
    made = await door.call("POST", "/goods", json={"name": name, "kind": "stock", "per_message": 1, "low_at": 0})
    goods_id: int = made["id"]
    return goods_id


@pytest.mark.parametrize("kind", ["xlsx", "csv"])
async def test_an_exported_file_changes_nothing_and_shows_goods_by_id_and_name(door: Door, kind: str) -> None:
    goods_id = await goods_of(door, "月卡")
    rules = [
        {"item_id": "1", "spec": "时长:月卡", "goods_id": goods_id, "count": 2, "confirm": {"after_hours": 2},
         "parts": [{"text": "=码 {codes}"}, {"image_url": await a_picture(door)}, {"text": "谢谢"}]},
        {"item_id": "2", "nothing_to_send": True}, {"parts": [{"text": "店"}]},
    ]  # fmt: skip
    await door.call("PUT", ROUTE, json={"rules": rules})
    before = await rules_of(door)
    sent = await door.client.get(FILE, params={"format": kind})
    assert sent.headers["content-type"].partition(";")[0] == (XLSX if kind == "xlsx" else "text/csv")
    assert sent.headers["etag"] == await door.etag(ROUTE)
    if kind == "xlsx":
        name, (heads, first, *_) = texts_of(sent.content)
        assert (name, dict(zip(heads, first, strict=True))["货品"]) == ("发货规则", "月卡")
    done = await put(door, sent.content, name=f"a.{kind}")
    assert (done["changed"], done["unchanged"], done["rules"]) == (False, 3, before)


async def test_a_file_is_looked_at_first_and_then_takes_the_place_of_the_rules_or_adds_to_them(door: Door) -> None:
    await goods_of(door, "月卡")
    old = [{"item_id": "1", "parts": [{"text": "旧"}]}, {"item_id": "9", "parts": [{"text": "九"}]}]
    await door.call("PUT", ROUTE, json={"rules": old})
    data = a_table([HEADS, ["1", "", "", "新", ""], [2, "时长：月卡", "月卡", "一 {codes}", "二"]])
    tried = await put(door, data, dry_run=True)
    assert [tried[name] for name in ("dry_run", "changed", "added", "edited", "removed", "unchanged")] == [
        True, False, 1, 1, 1, 0,
    ]  # fmt: skip
    assert len(await rules_of(door)) == 2
    await put(door, data, mode="merge")
    now = await rules_of(door)
    assert [(rule["item_id"], rule["spec"], [part["text"] for part in rule["parts"]]) for rule in now] == [
        ("1", "", ["新"]), ("2", "时长:月卡", ["一 {codes}", "二"]), ("9", "", ["九"]),
    ]  # fmt: skip
    done = await put(door, data)
    assert (done["removed"], len(await rules_of(door))) == (1, 2)
    await door.call("POST", f"/history/{done['rev']}/undo")
    assert await rules_of(door) == now


async def test_a_file_counts_once_under_its_key_and_only_for_the_rules_that_were_seen(door: Door) -> None:
    data = a_table([["商品ID", "消息 1"], ["1", "x"]])
    etag = await door.etag(ROUTE)
    first = await door.client.post(FILE, files={"file": ("a.xlsx", data)}, headers={"If-Match": etag})
    assert first.headers["etag"] == await door.etag(ROUTE)
    refused = await put(door, data, 412, headers={"If-Match": etag})
    assert [rule["item_id"] for rule in refused["current"]["rules"]] == ["1"]
    # the bytes of a form with a boundary of its own are another body: a key stands for the same bytes
    form = door.client.build_request("POST", FILE, files={"file": ("a.csv", "商品ID,消息 1\n2,y\n".encode())})
    headers = {"Content-Type": form.headers["content-type"], "Idempotency-Key": "import-1"}
    once = await door.client.post(FILE, content=form.read(), headers=headers)
    again = await door.client.post(FILE, content=form.read(), headers=headers)
    assert (once.status_code, again.content, again.headers["idempotent-replayed"]) == (200, once.content, "true")


async def test_rows_that_cannot_be_used_are_named_with_what_to_do_and_nothing_changes(door: Door) -> None:
    async with another_person(door) as bob:
        foreign = await goods_of(bob, "别人的")
    heads = ["item_id", "goods_id", "message 1", "confirm"]
    rows: list[list[Any]] = [["1", "", "好", ""], ["", "", "x", ""], ["3", foreign, "", ""], ["4", "", "x", "也许"],
                             ["5", "", "[图片]https://elsewhere.example/a.png", ""]]  # fmt: skip
    refused = await put(door, a_table([heads, *rows[:4]]), 400)
    assert refused["code"] == "bad_rows"
    assert [(row["row"], row["column"], row["code"]) for row in refused["params"]["rows"]] == [
        (3, "item_id", "delivery_row_unaimed"), (4, "goods_id", "delivery_goods_unknown"),
        (5, "confirm", "cell_confirm"),
    ]  # fmt: skip
    assert "“全部商品”" in refused["params"]["rows"][0]["detail"]
    assert "第 3 行" in refused["detail"]
    refused = await put(door, a_table([heads, rows[0], rows[4]]), 400, headers={"Accept-Language": "en"})
    assert [(row["row"], row["code"]) for row in refused["params"]["rows"]] == [(3, "bad_image_url")]
    assert (await put(door, b"x", 400, name="rules.txt"))["code"] == "not_a_table_file"
    assert (await put(door, b"x", 400))["code"] == "not_xlsx"
    assert (await put(door, "商品ID,消息 1\n1,a,b\n".encode(), 400, name="a.csv"))["code"] == "bad_rows"
    assert await rules_of(door) == []


async def test_a_shop_without_rules_gives_a_file_to_fill_in(door: Door) -> None:
    sent = await door.client.get(FILE, headers={"Accept-Language": "en"})
    (heads,) = texts_of(sent.content)[1]
    assert heads[:4] == ["Item ID", "Title contains", "Spec", "Goods ID"]
    assert (await put(door, sent.content, 400))["code"] == "no_rows"


async def test_files_go_through_the_shell(door: Door, tmp_path: Path) -> None:
    await door.add("other", 2)
    rules = [{"item_id": "1", "spec": "时长:月卡", "parts": [{"text": "月"}]}, {"parts": [{"text": "店"}]}]
    await door.call("PUT", ROUTE, json={"rules": rules})
    token, file = await door.server.sessions.open(1, 3600), tmp_path / "rules.csv"
    async with served(door) as url:
        code, said = await in_shell(url, token, "deliveries", "export", "shop", str(file))
        assert (code, str(file) in said.replace("\n", "")) == (0, True)
        assert (await in_shell(url, token, "deliveries", "export", "shop", str(file)))[0] == 2
        assert (await in_shell(url, token, "deliveries", "export", "shop", str(file), "--force"))[0] == 0
        assert (await in_shell(url, token, "deliveries", "import", "other", str(file), "--dry-run"))[0] == 0
        assert door.account("other").deliveries == ()
        assert (await in_shell(url, token, "deliveries", "import", "other", str(file), "--merge"))[0] == 0
        assert door.account("other").deliveries == door.account().deliveries
        file.write_text("商品ID,消息 1\n,x\n", encoding="utf-8")
        code, said = await in_shell(url, token, "deliveries", "import", "other", str(file))
        assert (code != 0, "全部商品" in said or "every item" in said) == (True, True)
        assert (await in_shell(url, token, "deliveries", "export", "shop", str(tmp_path / "rules.txt")))[0] == 2
        assert (await in_shell(url, token, "deliveries", "export", "shop", str(tmp_path / "none" / "a.csv")))[0] == 2
    assert len(door.account("other").deliveries) == 2

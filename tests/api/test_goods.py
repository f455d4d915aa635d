"""Goods by the API: imported from lines and files, listed masked, revealed with a note, undone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import update

from shoal.api.server import Server
from shoal.auth.users import Role
from shoal.goods.unit_lines import COLUMNS, SHEET
from shoal.sheets.xlsx import XLSX, written_table
from shoal.storage.goods_tables import units
from support.files.picture_files import a_png
from support.orders.goods_steps import changed
from support.servers.doors import Door, another_person, client_of, open_door

STOCK = {"name": "月卡", "kind": "stock", "per_message": 1, "low_at": 3}
CODE = "CANARY-CODE-0001"


async def some_goods(door: Door, **values: Any) -> int:
    """Goods of the door's user."""
    made = await door.call("POST", "/goods", json={**STOCK, **values})
    return int(made["id"])


async def sent(door: Door, goods_id: int, lines: list[str], **values: Any) -> Any:
    return await door.call("POST", f"/goods/{goods_id}/units", json={"lines": lines, **values})


async def sold(door: Door, unit_id: int) -> None:
    server: Server = door.app.state.server
    await changed(server.database, update(units).where(units.c.id == unit_id).values(state="out"))


async def test_goods_are_added_changed_and_listed_with_their_stock(door: Door) -> None:
    answer = await door.client.post("/goods", json=STOCK, headers={"Idempotency-Key": "one"})
    made = answer.json()
    assert (made["name"], made["kind"], made["low_at"], made["active"]) == ("月卡", "stock", 3, True)
    assert made["units"] == {"free": 0, "held": 0, "out": 0, "void": 0, "returned": 0, "doubted": 0, "fetching": 0}
    again = await door.client.post("/goods", json=STOCK, headers={"Idempotency-Key": "one"})
    assert (again.json()["id"], answer.headers["etag"]) == (made["id"], '"g1"')
    await sent(door, made["id"], ["a", "b"])
    (listed,) = (await door.call("GET", "/goods"))["items"]
    assert (listed["units"]["free"], listed["low"], listed["bound_last_week"], listed["days_left"]) == (
        2,
        True,
        0,
        None,
    )
    after = await door.client.patch(f"/goods/{made['id']}", json={"low_at": 1}, headers={"If-Match": '"g1"'})
    assert (after.json()["low_at"], after.json()["low"], after.headers["etag"]) == (1, False, '"g2"')
    stale = await door.client.patch(f"/goods/{made['id']}", json={"low_at": 9}, headers={"If-Match": '"g1"'})
    assert (stale.status_code, stale.json()["current"]["low_at"], stale.headers["etag"]) == (412, 1, '"g2"')
    history = (await door.call("GET", f"/goods/{made['id']}/history?limit=2"))["items"]
    assert [(row["what"], row["changes"], row["count"]) for row in history] == [
        ("changed", {"low_at": [3, 1]}, 1), ("imported", {}, 2),
    ]  # fmt: skip


async def test_a_picture_of_goods_is_stored_here_or_on_the_site_and_is_kept(door: Door) -> None:
    kept = await door.server.pictures.keep(a_png())
    fixed = {"name": "教程", "kind": "fixed"}
    made = await door.call("POST", "/goods", json={**fixed, "image_url": kept})
    assert made["image_url"] == kept
    assert await door.server.goods.store.pictures() == (kept,)
    for url, status, code in (
        (f"{kept[:-8]}0000.png", 404, "picture_missing"),
        ("http://10.0.0.1/a.png", 422, "bad_image_url"),
    ):
        assert (await door.call("POST", "/goods", status, json={**fixed, "image_url": url}))["code"] == code
        assert (await door.call("PATCH", f"/goods/{made['id']}", status, json={"image_url": url}))["code"] == code


async def test_an_import_previews_names_lines_and_is_done_once_for_its_key(door: Door) -> None:
    goods_id = await some_goods(door)
    preview = await sent(door, goods_id, ["A", "B", "A", "x" * 2001], dry_run=True)
    assert (preview["batch_id"], preview["dry_run"], preview["lines"], preview["taken"]) == (None, True, 4, 2)
    assert preview["doubles"] == [{"line": 3, "why": "same_file", "detail": "与第 1 行相同"}]
    assert [(row["line"], row["why"]) for row in preview["refused"]] == [(4, "unit_too_long")]
    body: dict[str, Any] = {
        "json": {"lines": ["A", "B"]},
        "headers": {"Idempotency-Key": "import", "Accept-Language": "en"},
    }
    first = (await door.client.post(f"/goods/{goods_id}/units", **body)).json()
    second = await door.client.post(f"/goods/{goods_id}/units", **body)
    assert (second.json(), second.headers["idempotent-replayed"]) == (first, "true")
    listed = await door.call("GET", f"/goods/{goods_id}/units?limit=1")
    await sold(door, listed["items"][0]["id"])
    twice = await door.client.post(
        f"/goods/{goods_id}/units", json={"lines": ["A", "B", "C"]}, headers={"Accept-Language": "en"}
    )
    assert [(row["line"], row["why"], row["detail"]) for row in twice.json()["doubles"]] == [
        (1, "out", "already there, and sent to a buyer"), (2, "free", "already in stock"),
    ]  # fmt: skip
    batches = (await door.call("GET", f"/goods/{goods_id}/batches"))["items"]
    assert [(row["taken"], row["doubles"], row["state"]) for row in batches] == [(1, 2, "done"), (2, 0, "done")]


async def test_files_are_taken_as_forms_and_as_bodies(door: Door) -> None:
    goods_id = await some_goods(door)
    path = f"/goods/{goods_id}/units"
    table = written_table(SHEET, [(COLUMNS[0], "卡密")], [["X-1"], ["X-2"]])
    csv = "名称,卡密\n月卡,C-1\n".encode("gb18030")
    unknown = "application/octet-stream"  # what a browser says of a kind that its system does not know
    for name, data, taken in (("a.XLSX", table, 2), ("a.CSV", csv, 1), ("a.txt", b"T-1\nT-2\nX-1\n", 2)):
        for dry_run in ("true", "false"):
            answer = await door.client.post(path, files={"file": (name, data, unknown)}, data={"dry_run": dry_run})
            assert answer.status_code == 200, answer.text
            assert (answer.json()["taken"], answer.json()["dry_run"]) == (taken, dry_run == "true"), answer.text
    for kind, data in (("text/plain", b"R-1\n"), ("text/csv", b"R-2\n"), (XLSX, table)):
        answer = await door.client.post(f"{path}?dry_run=1", content=data, headers={"Content-Type": kind})
        assert answer.json()["taken"] + answer.json()["doubles_count"] == len(
            data.splitlines() if kind != XLSX else "12"
        )
    (newest, *_) = (await door.call("GET", f"/goods/{goods_id}/batches"))["items"]
    assert newest["file_name"] == "a.txt"
    for name in ("a.pdf", "a.xlsx"):
        assert (await door.client.post(path, files={"file": (name, b"x")})).json()["code"] in {
            "not_a_units_file",
            "not_xlsx",
        }
    wrong: list[dict[str, Any]] = [
        {"data": {"dry_run": "true"}, "files": {"other": b"x"}}, {"json": {"lines": [1]}}, {"json": {"x": 1}},
        {"content": b'{"lines": ["A"', "headers": {"Content-Type": "application/json"}},
    ]  # fmt: skip
    for body in wrong:
        refused = await door.client.post(path, **body)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_body"), refused.text
    large = await door.client.post(path, content=b"x" * (9 << 20), headers={"Content-Type": "text/plain"})
    assert large.status_code == 413


async def test_a_unit_is_seen_only_by_who_reveals_it_and_that_is_noted(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data") as door:
        goods_id = await some_goods(door)
        files = {"file": ("codes.txt", f"{CODE}\n".encode() * 2)}
        await door.client.post(f"/goods/{goods_id}/units", files=files, headers={"Idempotency-Key": "k"})
        page = await door.call("GET", f"/goods/{goods_id}/units")
        (row,) = page["items"]
        assert (row["masked"], row["state"], row["order_id"], page["next"]) == ("CA…01", "free", None, None)
        path = f"/goods/{goods_id}/units/{row['id']}"
        assert (await door.call("POST", f"{path}/reveal", 422, json={"reason": " "}))["code"] == "reason_missing"
        for _ in range(2):
            answer = await door.client.post(
                f"{path}/reveal", json={"reason": "买家打不开"}, headers={"Idempotency-Key": "r"}
            )
            assert (answer.json()["text"], answer.headers["cache-control"]) == (CODE, "no-store")
        (noted, *_) = (await door.call("GET", "/security-log?kind=unit_revealed"))["items"]
        assert (noted["facts"]["unit_id"], noted["facts"]["reason"]) == (row["id"], "买家打不开")
        shown = await door.call("POST", f"{path}/void", json={"reason": "burnt"})
        assert (shown["state"], "text" in shown) == ("void", False)
        refused = await door.call("POST", f"{path}/return", 409, json={"reason": "x"})
        assert (refused["code"], refused["params"]["state"]) == ("unit_not_out", "void")
        assert (await door.call("POST", f"/goods/{goods_id}/units/999/void", 404, json={"reason": "x"}))["code"]
    kept = await asyncio.to_thread(lambda: [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()])
    assert kept
    assert not any(CODE.encode() in data for data in kept)


async def test_a_batch_is_undone_while_nobody_has_a_unit_of_it(door: Door) -> None:
    goods_id = await some_goods(door)
    batch_id = (await sent(door, goods_id, ["A", "B"]))["batch_id"]
    rows = (await door.call("GET", f"/goods/{goods_id}/units?batch={batch_id}&state=free"))["items"]
    await sold(door, rows[0]["id"])
    refused = await door.call("POST", f"/goods/{goods_id}/batches/{batch_id}/undo", 409)
    assert (refused["code"], refused["params"]["units"]) == ("batch_in_use", 1)
    other = (await sent(door, goods_id, ["C"]))["batch_id"]
    assert (await door.call("POST", f"/goods/{goods_id}/batches/{other}/undo"))["state"] == "undone"
    assert (await door.call("GET", f"/goods/{goods_id}"))["units"] | {"void": 0} == {
        "free": 1, "held": 0, "out": 1, "void": 0, "returned": 0, "doubted": 0, "fetching": 0,
    }  # fmt: skip


async def test_goods_of_another_user_are_as_unknown_as_none(door: Door) -> None:
    goods_id = await some_goods(door)
    async with another_person(door) as bob, another_person(door, "lin", Role.STAFF) as lin:
        for person in (bob, lin):
            assert (await person.call("GET", "/goods"))["items"] == []
            for method, path, body in (
                ("GET", "", None), ("PATCH", "", {"low_at": 1}), ("POST", "/units", {"lines": ["x"]}),
                ("GET", "/units", None), ("GET", "/history", None), ("GET", "/batches", None),
                ("POST", "/units/1/reveal", {"reason": "x"}), ("POST", "/batches/1/undo", None),
            ):  # fmt: skip
                answer = await person.client.request(method, f"/goods/{goods_id}{path}", json=body)
                assert (answer.status_code, answer.json()["code"]) == (404, "unknown_goods"), path
        assert (await lin.call("POST", "/goods", 403, json=STOCK))["code"] == "staff_owns_none"


async def test_a_token_reads_units_only_with_the_scope_of_the_owner(door: Door) -> None:
    goods_id = await some_goods(door)
    await sent(door, goods_id, [CODE])
    (row,) = (await door.call("GET", f"/goods/{goods_id}/units"))["items"]
    path = f"/goods/{goods_id}/units/{row['id']}/reveal"
    for scope, shops, status in (("operate", None, 403), ("manage", None, 200), ("manage", ["shop"], 403)):
        made = await door.call("POST", "/tokens", json={"name": "x", "scope": scope, "accounts": shops})
        async with client_of(door.app, made["token"]) as script:
            assert (await script.post(path, json={"reason": "x"})).status_code == status
            assert (await script.get("/goods")).status_code == (403 if shops else 200)

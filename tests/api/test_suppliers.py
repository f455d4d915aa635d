"""Goods of a supplier by the API: settings go in and never come out, and a person may try them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from shoal.accounts.events import AccessChanged, StockChanged
from shoal.api.http.published_events import published
from support.orders.suppliers import CANARY, served_supplier, settings_for
from support.servers.doors import Door, another_person, open_door

GOODS = {"name": "月卡", "kind": "supplier"}


async def test_a_supplier_is_set_changed_and_tried_and_its_secrets_stay_inside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with served_supplier() as (url, counter), open_door(tmp_path / "data", allow_private_targets="all") as door:
        body = {**GOODS, "supplier": settings_for(url, url=f"{url}/supplier/orders?token={CANARY}")}
        made = await door.call("POST", "/goods", json=body)
        shown = made["supplier"]
        assert (shown["url"], shown["headers"]) == (f"{url}/supplier/orders?token=***", {"Authorization": "***"})
        assert shown["body"] == '{"order": "{order_id}", "token": "***"}'
        path = f"/goods/{made['id']}"
        after = await door.call("PATCH", path, json={"supplier": {"timeout_seconds": 5}})
        assert (after["supplier"], counter.view()["calls"]) == ({**shown, "timeout_seconds": 5}, [])
        same = await door.client.patch(path, json={"supplier": {"timeout_seconds": 5}})
        assert same.headers["etag"] == '"g2"'
        tried = await door.call("POST", f"{path}/supplier/try", json={})
        assert (tried["answer"], counter.view()["calls"], CANARY in str(tried)) == (None, [], False)
        assert tried["request"]["body"].startswith('{"order": "test-')
        keyed: dict[str, Any] = {"json": {"call": True}, "headers": {"Idempotency-Key": "k"}}
        for _ in range(2):
            bought = (await door.client.post(f"{path}/supplier/try", **keyed)).json()
            assert bought["answer"] == {"outcome": "unit", "status": 200, "why": "", "masked": "SU…01"}
        (call,) = counter.view()["calls"]
        assert (call["headers"]["authorization"], CANARY in call["body"]) == (CANARY, True)
        assert (await door.call("GET", path))["units"]["free"] == 1
        counter.lay("500", times=1, seconds=0, sells=False, query=True)
        doubted = await door.call("POST", f"{path}/supplier/try", json={"call": True})
        assert (doubted["answer"]["outcome"], doubted["answer"]["status"]) == ("unsure", 500)
        history = (await door.call("GET", f"{path}/history"))["items"]
        assert [(row["what"], row["reason"]) for row in reversed(history)] == [
            ("created", ""), ("changed", ""), ("fetching", ""), ("fetched", ""), ("fetching", ""),
            ("doubted", "status 500"),
        ]  # fmt: skip
        assert history[4]["changes"] == {"supplier": ["", "timeout_seconds"]}
    kept = await asyncio.to_thread(lambda: [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()])
    assert kept
    for secret in (CANARY, "SUPPLIED-000001"):
        assert not any(secret.encode() in data for data in kept)
        assert secret not in "".join(capsys.readouterr())


async def test_settings_are_refused_with_the_field_that_is_wrong(door: Door) -> None:
    for supplier, code in (
        (None, "supplier_missing"), ({}, "supplier_field"), ({"url": "x"}, "supplier_url"),
        ({"url": "https://x.example", "body": "{ {nobody} }"}, "supplier_variable"),
    ):  # fmt: skip
        refused = await door.call("POST", "/goods", 422, json={**GOODS, "supplier": supplier})
        assert refused["code"] == code
    stock = {"name": "库存", "kind": "stock", "supplier": {"url": "https://x.example"}}
    assert (await door.call("POST", "/goods", 422, json=stock))["code"] == "supplier_only"
    made = await door.call("POST", "/goods", json={"name": "库存", "kind": "stock"})
    assert made["supplier"] is None
    path = f"/goods/{made['id']}"
    assert (await door.call("PATCH", path, 422, json={"supplier": {"url": "https://x.example"}}))[
        "code"
    ] == "supplier_only"
    assert (await door.call("POST", f"{path}/supplier/try", 422, json={}))["code"] == "supplier_missing"
    async with another_person(door) as bob:
        assert (await bob.call("POST", f"{path}/supplier/try", 404, json={}))["code"] == "unknown_goods"


async def test_a_suppliers_secrets_are_in_no_event_log_line_problem_or_backup(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    told: list[str] = []
    async with served_supplier() as (url, counter), open_door(tmp_path / "data", allow_private_targets="all") as door:
        with door.server.events.subscribe() as subscription:
            body = {**GOODS, "supplier": settings_for(url, url=f"{url}/supplier/orders?token={CANARY}")}
            path = f"/goods/{(await door.call('POST', '/goods', json=body))['id']}"
            for answer in ("ok", "500", "no_code"):
                if answer != "ok":
                    counter.lay(answer, times=1, seconds=0, sells=True, query=True)  # type: ignore[arg-type]
                await door.call("POST", f"{path}/supplier/try", json={"call": True})
            for supplier in (
                {"url": f"ftp://{CANARY}"}, {"url": f"https://{CANARY}@x.example/"},
                {"headers": {f"Bearer {CANARY}": "x"}},
                {"headers": {"X": f"{CANARY}\n"}}, {"body": f"{CANARY} {{nobody}}"}, {"method": CANARY},
                {"code_path": f"{CANARY}..x"}, {"query_url": f"{CANARY}:1"}, {"timeout_seconds": CANARY},
                CANARY, {"url": "https://elsewhere.example/"}, {"url": f"http://127.0.0.1:1/{CANARY}"},
            ):  # fmt: skip
                answer_ = await door.client.patch(path, json={"supplier": supplier})
                told.append(f"{answer_.status_code} {answer_.headers} {answer_.text}")
            told.append((await door.client.post(f"{path}/supplier/try", json={"call": True})).text)
            async with asyncio.timeout(60):
                heard: Sequence[Any] = ()
                while not any(isinstance(event, StockChanged) for event in heard):
                    heard = await subscription.take()
                    shown = [event for event in heard if not isinstance(event, AccessChanged)]
                    told.append(str([published(one, door.server.events.position_after(one)) for one in shown]))
        pages = ("/logs?lines=2000", "/history", "/security-log", path, f"{path}/history", "/cards", "/goods")
        told += [(await door.client.get(page)).text for page in pages]
        refusals = [line for line in told if line.startswith("422")]
        assert len(refusals) >= 10, "the mistakes were refused"

        def copied() -> bytes:
            source = sqlite3.connect(door.server.settings.data_dir / "shoal.db")
            backup = sqlite3.connect(tmp_path / "backup.db")
            source.backup(backup)
            dump = "\n".join(backup.iterdump())
            source.close()
            backup.close()
            return (tmp_path / "backup.db").read_bytes() + dump.encode()

        kept = await asyncio.to_thread(copied)
    written = capfd.readouterr()
    assert "supplier called" in written.out
    for text in (*told, written.out, written.err, caplog.text):
        assert CANARY not in text
    assert CANARY.encode() not in kept

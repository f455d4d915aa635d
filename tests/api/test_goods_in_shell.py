"""Goods from the shell: added, filled from a file, looked at, undone."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

from support.orders.suppliers import CANARY, served_supplier, settings_for
from support.servers.doors import in_shell, open_door, served


async def test_goods_are_added_filled_shown_and_undone_by_commands(tmp_path: Path) -> None:
    file = tmp_path / "codes.txt"
    await asyncio.to_thread(file.write_text, "AB12-0001\nAB12-0002\nAB12-0001\n", encoding="utf-8")
    async with open_door(tmp_path / "data") as door, served(door) as url:
        token = await door.server.sessions.open(1)

        async def said(*words: str) -> str:
            code, text = await in_shell(url, token, "goods", *words)
            assert code == 0, text
            return text

        assert "No goods yet" in await said("list")
        assert (await said("add", "月卡", "--low-at", "5")).strip() == "Added 月卡, with the ID 1."
        assert "Would take 2 units; 1 double, 0 lines refused" in await said("import", "1", str(file), "--dry-run")
        taken = await said("import", "1", str(file))
        assert "Batch 1: 2 units taken, 1 double, 0 lines refused." in taken
        assert "line 3: the same as line 1" in taken
        assert re.search(r"^1 +月卡 +stock +2 ! +0 +0 +–", await said("list"), re.MULTILINE)
        units = json.loads(await said("units", "1", "--state", "free", "--json"))
        assert [unit["masked"] for unit in units] == ["AB…01", "AB…02"]
        assert (await said("reveal", "1", str(units[0]["id"]), "--reason", "test")).strip() == "AB12-0001"
        assert (await said("void", "1", str(units[0]["id"]), "--reason", "burnt")).strip() == "Done."
        assert re.search(r" void +AB…01 ", await said("units", "1"))
        assert (await said("undo", "1", "1")).strip() == "Done."
        assert len(json.loads(await said("units", "1", "--json"))) == 1
        code, text = await in_shell(url, token, "goods", "import", "1", str(tmp_path / "none.txt"))
        assert (code, "cannot read" in text) == (2, True)


async def test_goods_of_a_supplier_are_added_shown_masked_and_tried_by_commands(tmp_path: Path) -> None:
    async with served_supplier() as (base, counter), open_door(tmp_path / "data") as door, served(door) as url:
        token = await door.server.sessions.open(1)
        file = tmp_path / "supplier.json"
        await asyncio.to_thread(file.write_text, json.dumps(settings_for(base)), encoding="utf-8")

        async def said(*words: str, typed: str = "") -> str:
            code, text = await in_shell(url, token, "goods", *words, typed=typed)
            assert (code, CANARY in text) == (0, False), text
            return text

        assert (await said("add-supplier", "代充", str(file))).strip() == "Added 代充, with the ID 1."
        changed = json.loads(await said("supplier", "1", "-", typed='{"timeout_seconds": 7}'))
        assert (changed["headers"], changed["timeout_seconds"]) == ({"Authorization": "***"}, 7)
        shown = await said("try", "1")
        assert "Authorization: ***" in shown
        assert "Nothing was sent." in shown
        assert counter.view()["calls"] == []
        assert "Answer 200: one unit was bought and is in stock: SU…01" in await said("try", "1", "--call")
        await said("add", "月卡")
        code, text = await in_shell(url, token, "goods", "supplier", "2")
        assert (code, "No supplier sells these goods" in text) == (1, True)

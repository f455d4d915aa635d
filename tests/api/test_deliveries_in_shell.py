"""``shoal deliveries``: rules from and to a file, the check, a rehearsal, and the three switches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shoal.accounts.account import Account
from shoal.clock import now_ms
from shoal.items.item_lists import ItemLists
from shoal.items.item_page_rows import store_page
from shoal.orders.order_store import OrderUpdate
from shoal.xianyu.item_page import ItemPage, SpecPrice
from support.servers.doors import Door, in_shell, served

RULES = [
    {"item_id": "1", "spec": "时长:月卡", "parts": [{"text": "月 {order_id}"}]},
    {"item_id": "2", "spec": "时长:月卡", "parts": [{"text": "码"}], "confirm": "yes"},
]


async def token_of(door: Door) -> str:
    """A sign-in of the administrator."""
    return await door.server.sessions.open(1, 3600)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of rules."""
    path = tmp_path / "rules.json"
    path.write_text(json.dumps({"rules": RULES}), encoding="utf-8")
    return path


async def test_rules_go_from_a_file_into_a_shop_and_back(door: Door, file: Path, tmp_path: Path) -> None:
    token = await token_of(door)
    async with served(door) as url:
        code, said = await in_shell(url, token, "deliveries", "put", "shop", str(file), "--dry-run")
        assert (code, door.account().deliveries) == (0, ())
        code, said = await in_shell(url, token, "deliveries", "put", "shop", str(file))
        assert (code, len(door.account().deliveries)) == (0, 2)
        code, said = await in_shell(url, token, "deliveries", "list", "shop", "--json")
        again = tmp_path / "again.json"
        again.write_text(said, encoding="utf-8")
        generation = door.account().generation
        assert (await in_shell(url, token, "deliveries", "put", "shop", str(again)))[0] == 0
        assert door.account().generation == generation
        code, said = await in_shell(url, token, "deliveries", "list", "shop")
        assert "月 {order_id}" in said
        again.write_text("no json", encoding="utf-8")
        assert (await in_shell(url, token, "deliveries", "put", "shop", str(again)))[0] == 2


async def test_the_check_and_a_rehearsal_tell_by_their_exit_code_what_stands_in_the_way(door: Door, file: Path) -> None:
    token = await token_of(door)
    async with served(door) as url:
        await in_shell(url, token, "deliveries", "put", "shop", str(file))
        code, said = await in_shell(url, token, "deliveries", "check", "shop")
        assert (code, "Not compared yet" in said, "月 {order_id}" in said) == (1, True, False)
        bought = OrderUpdate(order_id="1", source="detail", item_id="1", spec_name="时长", spec_value="月卡")
        await door.server.order_store.receive("shop", bought)
        code, said = await in_shell(url, token, "deliveries", "check", "shop")
        assert (code, "月 {order_id}" in said) == (1, True), "of item 2 nothing is known yet"
        code, said = await in_shell(url, token, "deliveries", "try", "shop", "1", "--spec", "时长：月卡")
        assert (code, said.strip()) == (0, "月 1000000000000000001")
        assert (await in_shell(url, token, "deliveries", "try", "shop", "1", "--spec", "x"))[0] == 1


async def test_g18_the_check_says_which_rule_a_value_alone_stands_for(door: Door) -> None:
    page = ItemPage(title="会员", has_specs=True, specs=(SpecPrice("时长:月卡", 2_500),))
    await door.server.database.write(
        lambda connection: store_page(connection, door.account(), "1", page, "", now_ms=now_ms())
    )
    rule = {"item_id": "1", "spec": "月卡", "parts": [{"text": "月"}]}
    await door.call("PUT", "/cookies/shop/deliveries", json={"rules": [rule]})
    token = await token_of(door)
    async with served(door) as url:
        code, said = await in_shell(url, token, "deliveries", "check", "shop")
    assert (code, "月 (by the rule for “月卡”)" in said) == (0, True)


async def test_the_switches_are_shown_and_switched(door: Door) -> None:
    token = await token_of(door)
    async with served(door) as url:
        before = (await in_shell(url, token, "deliveries", "switch", "shop"))[1]
        code, said = await in_shell(url, token, "deliveries", "switch", "shop", "--no-replies", "--auto-confirm")
    shop = door.account()
    assert (code, before != said) == (0, True)
    assert (shop.replies, shop.delivery, shop.auto_confirm) == (False, True, True)


async def test_g21_the_check_tells_the_item_that_the_next_command_wants(
    door: Door, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It told the title alone, and ``shoal deliveries try`` takes an item by its id."""

    async def titles(_lists: ItemLists, _account: Account) -> dict[str, str]:
        return {"1": "自动发货"}

    monkeypatch.setattr(ItemLists, "of", titles)
    token = await token_of(door)
    async with served(door) as url:
        await in_shell(url, token, "deliveries", "put", "shop", str(file))
        _, said = await in_shell(url, token, "deliveries", "check", "shop")
    (row,) = [line for line in said.splitlines() if "自动发货" in line]
    assert row.split()[:2] == ["自动发货", "1"]

"""A colleague who may operate a shop binds only goods that its owner has bound to that shop (G16)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.test_goods import some_goods
from shoal.auth.permission import Permission
from support.servers.doors import Door, another_person, client_of

REFUSED = "delivery_goods_not_shared"


@pytest.fixture
async def bob(door: Door) -> AsyncIterator[Door]:
    """A colleague with *operate* on the owner's shop."""
    async with another_person(door) as other:
        await door.server.authorization.give(door.account(), 2, Permission.OPERATE, given_by="user:admin")
        yield other


def rule(goods_id: int, item_id: str = "1", **more: Any) -> dict[str, Any]:
    return {"item_id": item_id, "goods_id": goods_id, "parts": [{"text": "{codes}"}], **more}


async def set_rules(door: Door, *rules: dict[str, Any], status: int = 200) -> Any:
    return await door.call("PUT", "/cookies/shop/deliveries", status, json={"rules": rules})


async def test_g16_a_colleague_binds_only_goods_that_the_owner_bound_to_that_shop(door: Door, bob: Door) -> None:
    shared, kept = await some_goods(door), await some_goods(door, name="礼品卡")
    await door.add("other", 2)
    await door.call("PUT", "/cookies/other/deliveries", json={"rules": [rule(kept)]})
    await set_rules(door, rule(shared))
    for goods_id in (kept, 999):  # whether there are such goods is not told
        refused = await set_rules(bob, rule(shared), rule(goods_id, "2"), status=403)
        assert (refused["code"], refused["params"]["goods"]) == (REFUSED, goods_id)
    await set_rules(bob, rule(shared, "2", count=2), rule(shared, "3"))
    await set_rules(bob)
    assert (await set_rules(bob, rule(shared), status=403))["code"] == REFUSED
    await set_rules(door, rule(shared), rule(kept, "2"))
    assert len((await set_rules(bob, rule(kept)))["rules"]) == 1


async def test_g16_no_other_way_leads_a_colleague_to_goods_of_the_owner(door: Door, bob: Door) -> None:
    kept = await some_goods(door)
    await set_rules(door, rule(kept))
    taken = (await set_rules(door))["rev"]
    await door.add("other", 2)
    await door.call("PUT", "/cookies/other/deliveries", json={"rules": [rule(kept)]})
    await door.server.authorization.give(door.account("other"), 2, Permission.READ, given_by="user:admin")
    for dry_run in (0, 1):
        query = f"?dry_run={dry_run}"
        undo = await bob.call("POST", f"/history/{taken}/undo{query}", 403)
        assert undo["code"] == REFUSED
        rows = await bob.call("POST", f"/history/undo{query}", 207, json={"revs": [taken]})
        assert rows["results"][0]["code"] == REFUSED
        copy = {"accounts": ["shop"], "deliveries": {"account": "other"}}
        rows = await bob.call("PUT", f"/cookies/batch{query}", 207, json=copy)
        assert rows["results"][0]["code"] == REFUSED
        row = f"{{item_id: '1', goods_id: {kept}, parts: [{{text: '{{{{codes}}}}'}}]}}"
        text = f"version: 1\naccounts: {{shop: {{deliveries: [{row}]}}}}\n"
        file = await bob.call("POST", f"/apply{query}", 400, json={"file": text})
        assert file["params"]["faults"][0]["code"] == REFUSED
        sheet = f"商品ID,标题包含,规格,货品ID,货品,每件数量,消息 1\n1,,,{kept},,1,{{codes}}\n"
        table = {"file": ("x.csv", sheet.encode(), "text/csv")}
        assert (await bob.call("POST", f"/cookies/shop/deliveries/file{query}", 403, files=table))["code"] == REFUSED
    assert door.account().deliveries == ()


async def test_g16_a_token_for_some_shops_is_a_colleague_and_one_for_all_is_the_owner(door: Door) -> None:
    kept = await some_goods(door)
    for accounts, status in ((["shop"], 403), (None, 200)):
        made = await door.call("POST", "/tokens", json={"name": "x", "scope": "operate", "accounts": accounts})
        async with client_of(door.app, made["token"]) as client:
            answer = await client.put("/cookies/shop/deliveries", json={"rules": [rule(kept)]})
            assert answer.status_code == status, answer.text


async def test_g16_goods_that_the_owner_takes_away_while_a_colleague_saves_are_not_bound_again(
    door: Door, bob: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = await some_goods(door)
    await set_rules(door, rule(shared))
    manager = door.server.manager
    save = manager.update_deliveries

    async def after_the_owner(*args: Any, **named: Any) -> Any:
        monkeypatch.setattr(manager, "update_deliveries", save)
        await set_rules(door)
        return await save(*args, **named)

    monkeypatch.setattr(manager, "update_deliveries", after_the_owner)
    assert (await set_rules(bob, rule(shared, count=2), status=403))["code"] == REFUSED
    assert door.account().deliveries == ()

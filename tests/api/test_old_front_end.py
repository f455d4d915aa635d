"""Forms of the older system's front end, sent as its page sends them, are served in its shapes (G15)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from api.test_compat_cards import a_card
from api.test_goods import sent
from shoal.auth.permission import Permission
from shoal.errors import NotApplied
from shoal.storage.assistant_tables import ai_providers
from support.files.picture_files import a_png
from support.servers.doors import Door, another_person, client_of

KEY = "sk-canary-of-the-old-form"
DASHSCOPE = "https://dashscope.aliyuncs.com/compatible-mode/v1"
FORM = {
    "ai_enabled": True, "model_name": "qwen-plus", "api_key": KEY, "base_url": DASHSCOPE, "max_discount_percent": 0,
    "max_discount_amount": 0, "max_bargain_rounds": 3, "custom_prompts": "",
}  # fmt: skip


async def save(door: Door, status: int = 200, **form: Any) -> Any:
    return await door.call("PUT", "/ai-reply-settings/shop", status, json={**FORM, **form})


async def shown(door: Door) -> Any:
    return await door.call("GET", "/ai-reply-settings/shop")


async def test_g15_the_form_of_the_model_is_opened_and_saved_while_nothing_is_set(door: Door) -> None:
    form = await shown(door)
    assert (form["model_name"], form["base_url"], form["api_key"]) == ("qwen-plus", DASHSCOPE, "")
    assert (await door.call("PUT", "/ai-reply-settings/shop", json=form))["changed"] is False
    assert await door.server.assistant.providers.list(1) == []


async def test_g15_a_key_in_the_form_makes_a_provider_and_is_never_shown(door: Door) -> None:
    assert (await save(door))["message"] == "AI回复设置更新成功"
    (made,) = await door.server.assistant.providers.list(1)
    assert (made.host, made.model, made.has_key) == ("dashscope.aliyuncs.com", "qwen-plus", True)
    assert made.has_consent, "its owner entered this very host and turned the model on"
    assert (await door.server.assistant.providers.target(1, made.id)).url == f"{DASHSCOPE}/chat/completions"
    assert (door.account().ai_mode, door.account().ai_provider_id, door.account().ai_turns_per_chat) == (
        "auto", made.id, 3,
    )  # fmt: skip
    form = await shown(door)
    assert (form["ai_enabled"], form["api_key"], form["base_url"]) == (True, "***", "https://dashscope.aliyuncs.com")
    again = await door.call("PUT", "/ai-reply-settings/shop", json=form)
    assert again["changed"] is False
    assert KEY not in json.dumps([form, again])
    kept = await door.server.database.read(lambda connection: str(connection.execute(select(ai_providers)).all()))
    assert KEY not in kept


async def test_g15_another_key_in_the_form_takes_the_place_of_the_first_at_the_same_address(door: Door) -> None:
    await save(door)
    form = await shown(door)
    await door.call("PUT", "/ai-reply-settings/shop", json={**form, "api_key": "sk-second", "max_bargain_rounds": 5})
    (kept,) = await door.server.assistant.providers.list(1)
    target = await door.server.assistant.providers.target(1, kept.id)
    assert (target.key, target.base_url, kept.has_consent) == ("sk-second", DASHSCOPE, True)
    await save(door, base_url="https://models.example.com/v1", model_name="other", api_key="sk-third")
    assert len(await door.server.assistant.providers.list(1)) == 2
    assert (await shown(door))["model_name"] == "other"


async def test_g15_a_key_that_is_saved_while_the_model_is_off_agrees_to_nothing(door: Door) -> None:
    await save(door, ai_enabled=False)
    (made,) = await door.server.assistant.providers.list(1)
    assert (made.has_key, made.has_consent, door.account().ai_mode) == (True, False, "off")
    assert (await save(door, 409, api_key="***"))["code"] == "no_consent"
    assert (await save(door, 422, base_url="", model_name="none"))["code"] == "provider_url"


async def test_g15_only_the_owner_enters_a_key(door: Door) -> None:
    token = (await door.call("POST", "/tokens", json={"name": "x", "scope": "manage"}))["token"]
    async with another_person(door) as bob, client_of(door.app, token) as script:
        await door.server.authorization.give(door.account(), 2, Permission.OPERATE, given_by="user:admin")
        for client in (bob.client, script):
            refused = await client.put("/ai-reply-settings/shop", json=FORM)
            assert (refused.status_code, refused.json()["code"]) == (403, "old_ai_key")
        await save(door)
        form = await shown(door)
        done = await bob.client.put("/ai-reply-settings/shop", json={**form, "max_bargain_rounds": 4})
        assert done.status_code == 200, done.text
    assert len(await door.server.assistant.providers.list(1)) == 1
    assert door.account().ai_turns_per_chat == 4


# ── delivery rules ──────────────────────────────────────────────────────────────────────────────────────────────────

RULE: dict[str, Any] = {"keyword": "会员", "delivery_count": 2, "enabled": True, "description": ""}


async def rules(door: Door) -> list[tuple[str, int, bool]]:
    rows = await door.call("GET", "/delivery-rules")
    return [(row["keyword"], row["delivery_count"], row["enabled"]) for row in rows]


async def test_g15_a_delivery_rule_is_switched_off_and_on_again_as_it_was(door: Door) -> None:
    await door.add("other", 2)
    card = await a_card(door, name="月卡", type="data", data_content="A-1")
    made = await door.call("POST", "/delivery-rules", json={**RULE, "card_id": card})
    path = f"/delivery-rules/{made['id']}"
    (rule,) = (await door.call("GET", "/cookies/shop/deliveries"))["rules"]
    sent_back = [{**rule, "confirm": "no"}]
    await door.call("PUT", "/cookies/shop/deliveries", json={"rules": sent_back})
    off = {**RULE, "card_id": card, "enabled": False}
    for _ in range(2):
        assert await door.call("PUT", path, json=off) == {"message": "发货规则更新成功"}
        assert await rules(door) == [("会员", 2, False)]
        assert (await door.call("GET", path))["enabled"] is False
        assert [door.account(name).deliveries for name in ("shop", "other")] == [(), ()]
    await door.call("PUT", path, json={**off, "delivery_count": 3})
    assert await rules(door) == [("会员", 3, False)]
    for _ in range(2):
        await door.call("PUT", path, json={**off, "enabled": True, "delivery_count": 2})
        assert await rules(door) == [("会员", 2, True)]
    assert (await door.call("GET", "/cookies/shop/deliveries"))["rules"] == sent_back
    assert len(door.account("other").deliveries) == 1


async def test_g15_a_rule_is_added_off_moved_while_it_is_off_and_deleted(door: Door) -> None:
    card, other = await a_card(door, name="月卡", type="data"), await a_card(door, name="年卡", type="data")
    made = await door.call("POST", "/delivery-rules", json={**RULE, "card_id": card, "enabled": False})
    assert door.account().deliveries == ()
    await door.call(
        "PUT", f"/delivery-rules/{made['id']}", json={**RULE, "keyword": "年", "card_id": other, "enabled": False}
    )
    ((keyword, _, enabled),) = await rules(door)
    assert (keyword, enabled) == ("年", False)
    await door.call("GET", f"/delivery-rules/{made['id']}", 404)
    (moved,) = await door.call("GET", "/delivery-rules")
    assert moved["card_id"] == other
    await door.call("DELETE", f"/delivery-rules/{moved['id']}")
    assert await rules(door) == []
    await door.call("DELETE", f"/delivery-rules/{moved['id']}", 404)
    async with another_person(door) as bob:
        await door.call("POST", "/delivery-rules", json={**RULE, "card_id": card, "enabled": False})
        assert await bob.call("GET", "/delivery-rules") == []


async def test_g15_a_rule_whose_switch_is_cut_off_is_on_or_off_and_never_lost(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = await a_card(door, name="月卡", type="data")
    made = await door.call("POST", "/delivery-rules", json={**RULE, "card_id": card})
    path, manager = f"/delivery-rules/{made['id']}", door.server.manager

    async def fail(*_: object, **__: object) -> None:
        raise NotApplied("the disk is full")

    for enabled in (False, True):
        body = {**RULE, "card_id": card, "enabled": enabled}
        with monkeypatch.context() as patched:
            patched.setattr(manager, "update_deliveries_of", fail)
            await door.call("PUT", path, 503, json=body)
        assert await rules(door) == [("会员", 2, not enabled)]
        await door.call("PUT", path, json=body)
        assert await rules(door) == [("会员", 2, enabled)]


# ── the type of a card ──────────────────────────────────────────────────────────────────────────────────────────────


def card_form(**more: Any) -> dict[str, Any]:
    """What the page sends of a card, whatever was changed of it."""
    return {
        "name": "卡", "description": "", "delay_seconds": 0, "enabled": True, "is_multi_spec": False, "spec_name": None,
        "spec_value": None, **more,
    }  # fmt: skip


API = {"url": "https://cards.example.com/take", "method": "GET", "timeout": 10, "headers": "{}", "params": "{}"}


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ({"type": "text", "text_content": "a"}, {"type": "data", "data_content": "U-1\nU-2"}, "stock"),
        ({"type": "data"}, {"type": "text", "text_content": "b"}, "fixed"),
        ({"type": "text", "text_content": "a"}, {"type": "api", "api_config": API}, "supplier"),
        ({"type": "api", "api_config": API}, {"type": "data", "data_content": "U-1"}, "stock"),
        (
            {"type": "image", "image_url": "https://img.alicdn.com/a.png"},
            {"type": "text", "text_content": "b"},
            "fixed",
        ),
    ],
)
async def test_g15_a_card_changes_its_type_and_its_rules_follow(
    door: Door, before: dict[str, Any], after: dict[str, Any], kind: str
) -> None:
    card = await a_card(door, **card_form(**before))
    await door.call("POST", "/delivery-rules", json={**RULE, "card_id": card, "delivery_count": 1})
    for _ in range(2):
        assert await door.call("PUT", f"/cards/{card}", json=card_form(**after)) == {"message": "卡券更新成功"}
        shown = await door.call("GET", f"/cards/{card}")
        assert (shown["type"], shown["text_content"]) == (after["type"], after.get("text_content"))
        assert shown["free"] == len(after.get("data_content", "").split())
    assert (await door.call("GET", f"/goods/{card}"))["kind"] == kind
    assert [rule.goods_id for rule in door.account().deliveries] == [card]


async def test_g15_a_text_card_gets_a_picture(door: Door) -> None:
    card = await a_card(door, **card_form(type="text", text_content="a"))
    refused = await door.call("PUT", f"/cards/{card}", 422, json=card_form(type="image"))
    assert refused["code"] == "card_picture_missing"
    assert (await door.call("GET", f"/cards/{card}"))["type"] == "text"
    form = {name: str(value) for name, value in card_form(type="image").items() if value is not None}
    answer = await door.client.put(f"/cards/{card}/image", data=form, files={"image": ("a.png", a_png(), "image/png")})
    assert answer.status_code == 200, answer.text
    assert (await door.call("GET", f"/cards/{card}"))["type"] == "image"
    stock = await a_card(door, **card_form(type="data"))
    answer = await door.client.put(f"/cards/{stock}/image", data=form, files={"image": ("a.png", a_png(), "image/png")})
    assert answer.status_code == 200, answer.text
    assert (await door.call("GET", f"/cards/{stock}"))["type"] == "image"


async def test_g15_a_card_with_units_keeps_its_type_and_says_why(door: Door) -> None:
    card = await a_card(door, **card_form(type="data"))
    await sent(door, card, ["U-1"])
    refused = await door.call("PUT", f"/cards/{card}", 409, json=card_form(type="text", text_content="b", name="neu"))
    assert refused["code"] == "card_has_units"
    shown = await door.call("GET", f"/cards/{card}")
    assert (shown["type"], shown["name"], shown["free"]) == ("data", "卡", 1)


# ── notices ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_g15_the_notices_of_an_account_are_deleted_twice(door: Door) -> None:
    body = {"name": "n", "type": "bark", "config": '{"device_key": "k"}'}
    channel = (await door.call("POST", "/notification-channels", json=body))["id"]
    await door.call("POST", "/message-notifications/shop", json={"channel_id": channel, "enabled": True})
    for _ in range(2):
        done = await door.call("DELETE", "/message-notifications/account/shop")
        assert done == {"msg": "account notifications deleted"}
        assert await door.call("GET", "/message-notifications/shop") == []
    assert (await door.call("DELETE", "/message-notifications/account/nobody", 403))["code"] == "unknown_account"

"""The settings of a model as scripts for the older system know them: no key goes out, nothing is called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shoal.accounts.change_path import Caller
from support.models.model_steps import served_model, settings_for
from support.servers.doors import Door, another_person, open_door

URL = "https://models.example.com/v1"
FIRST = "https://dashscope.aliyuncs.com/compatible-mode/v1"
PATH = "/ai-reply-settings/shop"


@pytest.fixture
async def door(tmp_path: Path) -> Any:
    async with open_door(tmp_path / "data") as opened:
        await opened.add("shop", 1)
        yield opened


async def provider(door: Door, *, model: str = "m", url: str = URL, agreed: bool = True) -> int:
    values = {"name": model, "kind": "openai", "base_url": url, "key": "sk-canary", "model": model}
    made = await door.server.assistant.providers.create(1, values)
    if agreed:
        await door.server.assistant.providers.change(1, made.id, {"consented_host": made.host})
    return made.id


async def put(door: Door, code: int = 200, **body: Any) -> Any:
    answer = await door.client.put(PATH, json=body)
    assert answer.status_code == code, answer.text
    return answer.json()


async def shown(door: Door) -> Any:
    one = await door.call("GET", PATH)
    assert (await door.call("GET", "/ai-reply-settings"))["shop"] == one
    return one


async def test_a_shop_without_a_model_is_off_and_offers_no_discount(door: Door) -> None:
    assert await shown(door) == {
        "ai_enabled": False, "model_name": "qwen-plus", "api_key": "", "base_url": FIRST, "max_discount_percent": 0,
        "max_discount_amount": 0, "max_bargain_rounds": 6, "custom_prompts": "",
    }  # fmt: skip


async def test_a_model_is_on_only_with_a_provider_to_which_its_owner_agreed(door: Door) -> None:
    assert (await put(door, 409, ai_enabled=True))["code"] == "no_provider"
    refused = await put(door, 409, ai_enabled=True, base_url=URL, model_name="m")
    assert (refused["code"], refused["params"]["host"]) == ("old_ai_provider", "models.example.com")
    number = await provider(door, agreed=False)
    refused = await put(door, 409, ai_enabled=True, base_url=URL, model_name="m", custom_prompts="热情")
    assert (refused["code"], refused["params"]["host"]) == ("no_consent", "models.example.com")
    assert (door.account().ai_mode, door.account().ai_provider_id, door.account().ai_persona) == ("off", 0, "")
    assert (await put(door, ai_enabled=False, base_url=URL))["message"] == "AI回复设置更新成功"
    assert (door.account().ai_mode, door.account().ai_provider_id) == ("off", number)
    await door.server.assistant.providers.change(1, number, {"consented_host": "models.example.com"})
    await put(door, ai_enabled=True)
    assert door.account().ai_mode == "auto"
    assert await shown(door) == {
        "ai_enabled": True, "model_name": "m", "api_key": "***", "base_url": "https://models.example.com",
        "max_discount_percent": 0, "max_discount_amount": 0, "max_bargain_rounds": 6, "custom_prompts": "",
    }  # fmt: skip
    await put(door, ai_enabled=False)
    assert door.account().ai_mode == "off"


async def test_what_is_shown_can_be_sent_back_and_changes_nothing(door: Door) -> None:
    number = await provider(door)
    await provider(door, model="other")
    await put(door, ai_enabled=True, base_url=URL, model_name="m", max_bargain_rounds=2, custom_prompts="热情")
    before = door.account()
    assert (before.ai_provider_id, before.ai_turns_per_chat, before.ai_persona) == (number, 2, "热情")
    assert (await put(door, **await shown(door)))["changed"] is False
    assert door.account() == before
    await put(door, ai_enabled=True, model_name="other")
    assert door.account().ai_provider_id != number


async def test_of_two_providers_with_one_host_and_model_a_shop_keeps_its_own(door: Door) -> None:
    numbers = {await provider(door), await provider(door)}
    for number in numbers:
        await door.server.manager.update_settings("shop", {"ai_provider_id": number}, caller=Caller(actor="user:1"))
        await put(door, ai_enabled=True, base_url=URL, model_name="m", max_bargain_rounds=number)
        assert door.account().ai_provider_id == number


async def test_drafts_stay_drafts_when_a_script_turns_the_model_on(door: Door) -> None:
    await provider(door)
    await put(door, ai_enabled=False, base_url=URL)
    await door.server.manager.update_settings(
        "shop", {"ai_mode": "draft"}, caller=Caller(actor="user:admin", op_id="d")
    )
    await put(door, ai_enabled=True)
    assert door.account().ai_mode == "draft"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"api_key": "sk-canary"}, "provider_url"),
        ({"max_discount_percent": 10}, "old_ai_discount"),
        ({"max_discount_amount": -1}, "old_ai_discount"),
        ({"max_discount_percent": True}, "invalid_body"),
        ({"max_bargain_rounds": "3"}, "invalid_body"),
        ({"max_bargain_rounds": 101}, "invalid_body"),
        ({"custom_prompts": "长" * 2_001}, "text_too_long"),
        ({"base_url": "ftp://x"}, "provider_url"),
        ({"custom_prompts": None}, "invalid_body"),
    ],
)
async def test_what_has_no_meaning_here_is_refused_and_nothing_is_stored(
    door: Door, said: dict[str, Any], code: str
) -> None:
    before = door.account()
    answer = await put(door, 422, ai_enabled=False, **said)
    assert answer["code"] == code
    assert "canary" not in json.dumps(answer)
    assert door.account() == before


async def test_prompts_of_the_older_system_become_the_persona(door: Door) -> None:
    await put(
        door, ai_enabled=False, custom_prompts=json.dumps({"classify": "分类", "price": "不议价", "default": "热情"})
    )
    assert door.account().ai_persona == "热情\n\n不议价"
    await put(door, ai_enabled=False)
    assert door.account().ai_persona == "热情\n\n不议价", "what is left out stays"


async def test_a_provider_of_another_user_is_none_of_this_shop(door: Door) -> None:
    async with another_person(door) as bob:
        await bob.add("bobs", 2)
        await provider(door)
        answer = await bob.client.put("/ai-reply-settings/bobs", json={"ai_enabled": True, "base_url": URL})
        assert (answer.status_code, answer.json()["code"]) == (409, "old_ai_provider")
        await door.server.manager.update_settings(
            "bobs", {"ai_provider_id": 1}, caller=Caller(actor="user:admin", op_id="p")
        )
        assert (await bob.call("GET", "/ai-reply-settings/bobs"))["base_url"] == FIRST
        answer = await bob.client.put("/ai-reply-settings/bobs", json={"ai_enabled": True})
        assert (answer.status_code, answer.json()["code"]) == (409, "no_provider")
        assert set(await bob.call("GET", "/ai-reply-settings")) == {"bobs"}


async def test_a_provider_that_was_removed_is_shown_as_none(door: Door) -> None:
    number = await provider(door)
    await put(door, ai_enabled=True, base_url=URL)
    await put(door, ai_enabled=False)
    await door.server.assistant.providers.remove(1, number)
    assert ((await shown(door))["model_name"], (await shown(door))["base_url"]) == ("qwen-plus", FIRST)


async def test_a_trial_asks_the_provider_once_and_says_only_what_passes_every_check(tmp_path: Path) -> None:
    reply = {"action": "reply", "text": "80元可以", "offered_fen": 8_000, "facts": []}
    async with served_model() as (base, model), open_door(tmp_path / "data", allow_private_targets="all") as door:
        await door.add("shop", 1)
        question = {"message": "最低多少", "item_title": "月卡", "item_price": 80, "item_desc": "当天可用"}
        refused = await door.client.post("/ai-reply-test/shop", json=question)
        assert (refused.status_code, refused.json()["code"]) == (409, "no_provider")
        made = await door.server.assistant.providers.create(1, settings_for(base, agreed=False))
        await put(door, ai_enabled=False, model_name="tiny")
        refused = await door.client.post("/ai-reply-test/shop", json=question)
        assert (refused.status_code, refused.json()["code"]) == (409, "no_consent")
        assert not model.calls.after(0)
        await door.server.assistant.providers.change(1, made.id, {"consented_host": made.host})
        model.script([reply], cycles=True)
        said = await door.call("POST", "/ai-reply-test/shop", json=question)
        assert said == {"message": "AI回复测试成功", "reply": "80元可以", "decision": "reply", "why": ""}
        said = await door.call("POST", "/ai-reply-test/shop", json={**question, "item_price": "¥100.00"})
        assert (said["reply"], said["decision"], said["why"]) == ("", "blocked", "below_price")
        assert len(model.calls.after(0)) == 2
        assert door.account().ai_mode == "off"

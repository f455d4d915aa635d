"""The settings of a shop's model over the API, and trials with a real provider on a socket."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from shoal.sandbox.model_provider import ModelProvider
from shoal.storage.assistant_tables import ai_provider_states
from support.models.model_steps import KEY, served_model, settings_for
from support.servers.doors import Door, another_person, open_door

EN = {"Accept-Language": "en"}
REPLY = {"action": "reply", "text": "满 30 元包邮", "offered_fen": None, "facts": [1]}
FACTS = [{"question": "包邮吗", "answer": "满 30 元包邮"}]


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A shop that drafts with a provider."""

    door: Door
    model: ModelProvider
    base: str

    async def ai(self, status: int = 200, **values: Any) -> Any:
        return await self.door.call("PUT", "/cookies/shop/ai", status, json=values, headers=EN)

    async def tried(self, text: str = "包邮吗", status: int = 200, **more: Any) -> Any:
        return await self.door.call(
            "POST", "/cookies/shop/ai/try", status, json={"text": text, **more}, headers=EN
        )  # fmt: skip


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with served_model() as (base, model), open_door(tmp_path / "data", allow_private_targets="all") as door:
        await door.add()
        prices: dict[str, Any] = {"price_in_fen": 1_000, "price_out_fen": 2_000}
        provider = await door.server.assistant.providers.create(1, settings_for(base, **prices))
        desk = Desk(door=door, model=model, base=base)
        await desk.ai(ai_mode="draft", ai_provider_id=provider.id, ai_facts=FACTS)
        yield desk


async def test_settings_are_changed_in_one_change_shown_and_undone(desk: Desk) -> None:
    before = await desk.door.call("GET", "/cookies/shop/ai")
    facts = [*before["ai_facts"], {"question": " 多久发货 ", "answer": "当天"}]
    changed = await desk.ai(ai_persona="简短", ai_facts=facts, ai_hours="1-5 09:00-18:00", ai_turns_per_chat=2)
    assert changed["changed"] is True
    shown = await desk.door.call("GET", "/cookies/shop/ai")
    assert shown == {name: changed[name] for name in shown}
    assert shown["ai_facts"] == [
        {"id": 1, "question": "包邮吗", "answer": "满 30 元包邮"}, {"id": 2, "question": "多久发货", "answer": "当天"},
    ]  # fmt: skip
    assert (shown["ai_mode"], shown["ai_persona"], shown["ai_turns_per_chat"]) == ("draft", "简短", 2)
    await desk.door.call("POST", f"/history/{changed['rev']}/undo")
    assert await desk.door.call("GET", "/cookies/shop/ai") == before


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"ai_mode": "on"}, "invalid_body"),
        ({"ai_facts": [{"question": "", "answer": "x"}]}, "invalid_body"),
        ({"ai_facts": [{"question": " ", "answer": "x"}]}, "bad_ai_facts"),
        ({"ai_facts": [{"question": "x", "answer": "y"}] * 201}, "invalid_body"),
        ({"ai_persona": "x" * 2_001}, "text_too_long"),
        ({"ai_hours": "always"}, "bad_opening_hours"),
        ({"ai_turns_per_chat": -1}, "bad_ai_number"),
        ({"ai_provider_id": -1}, "bad_ai_number"),
        ({"ai_provider_id": 2**63}, "bad_ai_number"),
        ({"ai_disclosure": 1}, "invalid_body"),
        ({"mode": "auto"}, "invalid_body"),
    ],
)
async def test_what_cannot_be_is_refused_and_changes_nothing(desk: Desk, values: dict[str, Any], code: str) -> None:
    before = await desk.door.call("GET", "/cookies/shop/ai")
    assert (await desk.ai(422, **values))["code"] == code
    assert await desk.door.call("GET", "/cookies/shop/ai") == before


async def test_no_model_is_switched_on_without_a_provider_whose_owner_agreed(desk: Desk) -> None:
    await desk.ai(ai_mode="off", ai_provider_id=0)
    assert (await desk.ai(409, ai_mode="auto"))["code"] == "no_provider"
    assert (await desk.tried(status=409))["code"] == "no_provider"
    silent = await desk.door.server.assistant.providers.create(1, settings_for(desk.base, agreed=False))
    assert (await desk.ai(409, ai_mode="auto", ai_provider_id=silent.id))["code"] == "no_consent"
    await desk.ai(ai_provider_id=silent.id)
    refused = await desk.tried(status=409)
    assert refused["code"] == "no_consent"
    async with another_person(desk.door) as bob:
        user = (await bob.call("GET", "/me"))["id"]
    theirs = await desk.door.server.assistant.providers.create(user, settings_for(desk.base))
    assert (await desk.ai(409, ai_mode="auto", ai_provider_id=theirs.id))["code"] == "no_provider"
    await desk.ai(ai_provider_id=theirs.id)
    resting = update(ai_provider_states).where(ai_provider_states.c.provider_id == theirs.id)
    await desk.door.server.database.write(lambda one: one.execute(resting.values(resting_until_ms=2**52)))
    assert (await desk.door.call("GET", "/cookies/shop/ai"))["resting_until"] is None, "no word of another's provider"
    assert desk.model.view()["calls"] == [], "no packet left"


async def test_a_trial_shows_prompt_output_each_check_and_what_it_cost(desk: Desk) -> None:
    desk.model.script([REPLY], cycles=False)
    tried = await desk.tried(turns=[{"is_buyer": True, "text": "在吗"}])
    assert (tried["decision"], tried["text"], tried["why"]) == ("reply", "满 30 元包邮", "")
    assert tried["output"] == REPLY
    assert all(rail["passed"] for rail in tried["rails"])
    assert [message["role"] for message in tried["prompt"]] == ["system", "user"]
    assert "在吗" in tried["prompt"][1]["content"]
    assert tried["cost_microfen"] == tried["tokens_in"] * 1_000 + tried["tokens_out"] * 2_000
    (call,) = desk.model.view()["calls"]
    assert json.loads(call["body"])["messages"] == tried["prompt"], "what is shown is what was sent"
    shown = await desk.door.call("GET", "/cookies/shop/ai")
    assert shown["tokens_today"] == tried["tokens_in"] + tried["tokens_out"]
    (used,) = (await desk.door.call("GET", "/ai-usage"))["items"]
    assert (used["calls"], used["cost_microfen"]) == (1, tried["cost_microfen"])
    assert (await desk.door.call("GET", "/ai-runs"))["items"] == [], "a trial is of no chat"


async def test_a_trial_says_which_check_holds_a_reply_back(desk: Desk) -> None:
    desk.model.script([{"action": "reply", "text": "加我微信聊"}], cycles=False)
    await desk.door.call("PATCH", "/cookies/shop/settings", json={"filter_contacts": True})
    tried = await desk.tried("怎么联系")
    assert (tried["decision"], tried["text"], tried["why"]) == ("blocked", "", "filtered")
    (rail,) = [rail for rail in tried["rails"] if not rail["passed"]]
    assert rail["rail"] == "filter"
    assert tried["output"]["text"] == "加我微信聊"


async def test_other_facts_stand_in_place_of_the_shops(desk: Desk) -> None:
    tried = await desk.tried(facts=[{"question": "发票", "answer": "可以开"}])
    told = tried["prompt"][0]["content"]
    assert "可以开" in told
    assert "满 30 元包邮" not in told


@pytest.mark.parametrize(
    ("fault", "why"),
    [("500", "status"), ("429", "busy"), ("401", "key"), ("half_json", "not_json"), ("redirect", "redirect")],
)
async def test_a_provider_without_an_answer_fails_the_trial_and_says_why(desk: Desk, fault: Any, why: str) -> None:
    desk.model.lay(fault, times=1, seconds=0)
    tried = await desk.tried()
    assert (tried["decision"], tried["why"], tried["output"], tried["text"]) == ("failed", why, None, "")
    assert KEY not in str(tried)


async def test_an_output_that_cannot_be_read_is_asked_for_once_more_and_costs_twice(desk: Desk) -> None:
    desk.model.lay("not_json", times=2, seconds=0)
    tried = await desk.tried()
    assert (tried["decision"], tried["output"], tried["rails"]) == ("failed", None, [])
    assert len(desk.model.view()["calls"]) == 2
    (used,) = (await desk.door.call("GET", "/ai-usage"))["items"]
    assert (used["calls"], used["cost_microfen"]) == (2, tried["cost_microfen"])


async def test_without_budget_or_room_in_the_minute_nothing_is_asked(desk: Desk) -> None:
    await desk.ai(ai_tokens_per_day=100)
    spent = await desk.tried()
    assert (spent["decision"], spent["why"], spent["cost_microfen"]) == ("budget", "tokens", 0)
    assert spent["prompt"], "what would have been asked is shown"
    await desk.ai(ai_tokens_per_day=100_000)
    await desk.door.server.assistant.providers.change(1, 1, {"calls_per_minute": 1})
    await desk.tried()
    assert (await desk.tried())["decision"] == "busy"
    assert len(desk.model.view()["calls"]) == 1


async def test_the_floor_is_in_no_prompt(desk: Desk) -> None:
    await desk.door.call("PATCH", "/cookies/shop/settings", json={"price_floor_fen": 77_713})
    await desk.door.call("PUT", "/cookies/shop/items/700000000001", json={"facts": "防水", "floor_fen": 88_817})
    tried = await desk.tried(item_id="700000000001")
    sent = str(desk.model.view()["calls"])
    assert "防水" in tried["prompt"][0]["content"]
    for secret in ("777", "888"):
        assert secret not in sent


async def test_the_rule_trial_says_when_the_model_would_be_asked_and_asks_nobody(desk: Desk) -> None:
    await desk.door.call("PUT", "/default-replies/shop", json={"enabled": True, "reply_content": "在的"})
    rule = {"words": ["包邮"], "parts": [{"text": "包"}]}
    await desk.door.call("POST", "/cookies/shop/rules", json=rule)

    async def asks(message: str, **more: str) -> tuple[bool, str | None]:
        tried = await desk.door.call("POST", "/cookies/shop/try", json={"message": message, **more})
        return tried["asks_model"], tried["source"]

    assert await asks("多久发货") == (True, "default_reply")
    assert await asks("包邮吗") == (False, "general_rule")
    await desk.ai(ai_hours="1-5 09:00-18:00")
    assert await asks("多久发货", at="2026-01-03T12:00:00+08:00") == (False, "default_reply"), "a Saturday"
    assert await asks("多久发货", at="2026-01-05T12:00:00+08:00") == (True, "default_reply")
    await desk.ai(ai_mode="off")
    assert await asks("多久发货", at="2026-01-05T12:00:00+08:00") == (False, "default_reply")
    assert desk.model.view()["calls"] == []

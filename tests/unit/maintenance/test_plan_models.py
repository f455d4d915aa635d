"""What an import makes of settings of answers by a model: provider without consent, persona, floors; all of it off."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.accounts.account import Account
from shoal.accounts.model_settings import MAX_PERSONA_CHARACTERS, ModelMode
from shoal.accounts.shop_settings import AssistantSettings, declared_by
from shoal.api.schemas.imports import oddity_sentence
from shoal.assistant.old_prompts import persona_of, prompts_of
from shoal.auth.users import Role
from shoal.language.choice import Language
from shoal.maintenance.moving.old_files import read_old_file
from shoal.maintenance.moving.old_shop import Fate
from shoal.maintenance.moving.plan import Here, Kind, Plan
from shoal.maintenance.moving.plan_models import fen_of, floor_fen
from shoal.maintenance.moving.whole_plan import make_plan
from support.moving.old_database import Rows, an_old_shop, write_sqlite
from unit.maintenance.test_plan import a_user

URL = "https://models.example.com/v1"
WHOLE: dict[str, Any] = {
    "cookie_id": "afu", "ai_enabled": 1, "model_name": "qwen-plus", "api_key": "sk-canary", "base_url": URL,
    "max_discount_percent": 10, "max_discount_amount": 5, "max_bargain_rounds": 3,
    "custom_prompts": json.dumps({"classify": "分类", "price": "可以小刀", "tech": "说参数", "default": "热情"}),
}  # fmt: skip
ITEMS = [
    {"id": 1, "cookie_id": "afu", "item_id": "10001", "item_title": "月卡", "item_price": "¥100.00"},
    {"id": 2, "cookie_id": "afu", "item_id": "10002", "item_title": "年卡", "item_price": "9.9"},
    {"id": 3, "cookie_id": "afu", "item_id": "10003", "item_title": "面谈", "item_price": "面议"},
]


def planned(
    tmp_path: Path, *ai: dict[str, Any], me: str = "admin", items: list[dict[str, Any]] | None = None, **rows: Any
) -> Plan:
    old: Rows = an_old_shop()
    (tmp_path / "old.db").unlink(missing_ok=True)
    old["ai_reply_settings"] = list(ai)
    old["item_info"] = ITEMS if items is None else items
    for table, more in rows.items():
        old[table] = [*old.get(table, []), *more]
    user = a_user(me, Role.ADMIN)
    here = Here(caller=user, users={me: user}, emails=frozenset(), accounts={}, taken={})
    return make_plan(read_old_file(write_sqlite(tmp_path / "old.db", old)), here)


def shop(plan: Plan, name: str = "afu") -> Account:
    return next(one.draft for one in plan.accounts if one.draft.id == name)


def told(plan: Plan) -> dict[str, Fate]:
    return {odd.code: odd.fate for odd in plan.oddities if odd.table == "ai_reply_settings"}


def test_the_model_of_a_shop_comes_off_with_persona_floors_and_a_provider_without_consent(tmp_path: Path) -> None:
    plan = planned(tmp_path, WHOLE)
    afu = shop(plan)
    assert (afu.ai_mode, afu.ai_persona, afu.ai_turns_per_chat) == (ModelMode.OFF, "热情\n\n说参数\n\n可以小刀", 3)
    assert {item.item_id: (item.floor_fen, item.reply) for item in afu.items} == {
        "10001": (9500, "现货"), "10002": (891, "")
    }  # fmt: skip
    (provider,) = plan.providers
    assert provider.values == {
        "name": "models.example.com qwen-plus", "kind": "openai", "base_url": URL, "key": "sk-canary",
        "model": "qwen-plus",
    }  # fmt: skip
    assert [one.provider for one in plan.accounts] == [provider.key, "", ""]
    assert told(plan) == {
        "ai_was_on": Fate.TAKEN, "prompt_sorts": Fate.SKIPPED, "rounds_are_turns": Fate.CHANGED,
        "floors_set": Fate.TAKEN, "floors_unknown": Fate.CHANGED,
    }  # fmt: skip
    assert (plan.counts[Kind.AI], plan.counts[Kind.PROVIDERS]) == ({"changed": 1}, {"taken": 1})
    assert not plan.waiting
    assert "canary" not in repr(plan)
    for name, one in declared_by(AssistantSettings).items():
        value = getattr(afu, name)
        assert one.checked(value, name) == value


def test_a_discount_of_0_is_no_discount(tmp_path: Path) -> None:
    for said in ({"max_discount_percent": 0}, {"max_discount_amount": 0}, {"max_discount_percent": -5}):
        afu = shop(planned(tmp_path, {**WHOLE, **said}))
        assert {item.item_id: item.floor_fen for item in afu.items} == {"10001": 10_000, "10002": 990}


@given(
    st.integers(1, 10**8),
    st.none() | st.decimals(-10, 200, places=1),
    st.none() | st.decimals(-10, 10**6, places=2),
)
def test_a_floor_is_never_lower_than_either_discount_allows(
    price_fen: int, percent: Decimal | None, yuan: Decimal | None
) -> None:
    if percent is None and yuan is None:
        return
    floor = floor_fen(price_fen, percent, yuan)
    assert 0 <= floor <= price_fen
    if percent is not None:
        assert price_fen - floor <= max(price_fen * percent / 100, Decimal(0))
    if yuan is not None:
        assert price_fen - floor <= max(yuan * 100, Decimal(0))


@pytest.mark.parametrize(
    ("text", "fen"),
    [("¥9.90", 990), ("￥ 12", 1200), ("12.5元", 1250), ("面议", None), ("10-30", None), ("1.2万", None), ("0", None),
     ("", None), ("1e3", None), ("-5", None), ("9.999", None)],
)  # fmt: skip
def test_a_price_is_read_only_where_it_is_one(text: str, fen: int | None) -> None:
    assert fen_of(text) == fen


@pytest.mark.parametrize(
    ("said", "persona"),
    [
        ("直接写的一段", "直接写的一段"),
        ('["a"]', '["a"]'),
        ('{"default": "甲", "price": "甲", "tech": 3, "extra": "乙"}', "甲\n\n乙"),
        ('{"classify": "分类"}', ""),
        ("[" * 100_000, "[" * 100_000),
        ({"tech": "说参数"}, "说参数"),
        ("", ""),
        (7, ""),
    ],
)
def test_prompts_become_one_persona(said: Any, persona: str) -> None:
    assert persona_of(prompts_of(said)) == persona


def test_a_long_prompt_is_cut_and_said_so(tmp_path: Path) -> None:
    plan = planned(tmp_path, {**WHOLE, "custom_prompts": "长" * 3_000})
    assert shop(plan).ai_persona == "长" * MAX_PERSONA_CHARACTERS
    assert told(plan)["persona_cut"] is Fate.CHANGED


def test_what_makes_no_provider_is_said_and_a_key_is_kept(tmp_path: Path) -> None:
    plan = planned(
        tmp_path,
        {"cookie_id": "afu", "ai_enabled": 0, "api_key": "sk-canary", "base_url": "ftp://x", "model_name": "m"},
        {"cookie_id": "bei", "base_url": URL, "model_name": "m"},
    )
    assert plan.providers == ()
    assert told(plan) == {
        "ai_was_off": Fate.TAKEN, "provider_refused": Fate.WAITING, "provider_without_key": Fate.CHANGED
    }  # fmt: skip
    assert [one["account_id"] for one in plan.waiting["accounts"]] == ["afu"]
    assert plan.waiting["accounts"][0]["settings"]["api_key"] == "sk-canary"
    assert all(one.draft.ai_mode == ModelMode.OFF for one in plan.accounts)


def test_shops_with_the_same_model_share_a_provider_and_owners_do_not(tmp_path: Path) -> None:
    plan = planned(tmp_path, WHOLE, {**WHOLE, "cookie_id": "bei"}, {**WHOLE, "cookie_id": "lan1"})
    keys = [one.provider for one in plan.accounts]
    assert len(set(keys)) == 1, "the key says which model it is, not whose"
    assert sorted(one.owner for one in plan.providers) == ["admin", "lan"]


def test_the_key_of_the_system_is_given_to_no_other_user(tmp_path: Path) -> None:
    system = [{"key": "ai_api_key", "value": "sk-canary"}, {"key": "ai_base_url", "value": URL},
              {"key": "ai_model", "value": "qwen-max"}]  # fmt: skip
    mine = {"cookie_id": "afu", "ai_enabled": 1}
    plan = planned(tmp_path, mine, {"cookie_id": "lan1", "ai_enabled": 1}, system_settings=system)
    assert [(one.owner, one.values["model"]) for one in plan.providers] == [("admin", "qwen-max")]
    assert "system_ai_waits" not in {odd.code for odd in plan.oddities}
    alone = planned(tmp_path, {"cookie_id": "lan1", "ai_enabled": 1}, system_settings=system)
    assert alone.providers == ()
    assert alone.waiting["system"]["ai_api_key"] == "sk-canary"


def test_everything_that_is_said_of_a_model_has_a_sentence_in_both_languages(tmp_path: Path) -> None:
    many = [{**WHOLE, "cookie_id": "afu", "base_url": "ftp://x", "custom_prompts": "长" * 3_000},
            {"cookie_id": "bei", "base_url": URL}]  # fmt: skip
    for odd in planned(tmp_path, *many).oddities:
        for language in Language:
            sentence = oddity_sentence(odd, language)
            assert sentence
            assert "{" not in sentence, odd
            assert "canary" not in sentence

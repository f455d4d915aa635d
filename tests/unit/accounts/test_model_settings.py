"""The settings of the language model's answers: stored in one form, refused beyond their bounds, off unless set."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.accounts import edits
from shoal.accounts.account import Account, Answers
from shoal.accounts.item_setting import ItemSetting
from shoal.accounts.journal import JournalEntry, fold, projection
from shoal.accounts.model_settings import facts_of
from shoal.errors import InvalidInput

SHOP = Account(id="shop", owner_id=1, unb="2200000000001", cookie="unb=2200000000001; cookie2=s")
NOON_MS = 1_764_302_400_000
"""A Friday, 12:00 in Shanghai."""


def test_a_shop_asks_no_model_unless_both_mode_and_provider_are_set() -> None:
    assert not SHOP.asks_model
    assert not edits.settings({"ai_mode": "auto"})(SHOP).asks_model
    asking = edits.settings({"ai_mode": "draft", "ai_provider_id": 3})(SHOP)
    assert (asking.asks_model, asking.asks_model_at(NOON_MS), asking.answers) == (True, True, Answers.MESSAGES)
    assert not edits.settings({"ai_mode": "off"})(asking).asks_model


def test_hours_say_when_the_model_is_asked_in_the_zone_of_the_shop() -> None:
    asking = edits.settings({"ai_mode": "auto", "ai_provider_id": 3, "ai_hours": "1-5 9:00-13:00"})(SHOP)
    assert asking.ai_hours == "1-5 09:00-13:00"
    assert asking.asks_model_at(NOON_MS)
    assert not asking.asks_model_at(NOON_MS + 2 * 3_600_000)
    assert not edits.settings({"timezone": "Europe/Paris"})(asking).asks_model_at(NOON_MS)


def test_facts_have_one_stored_form_and_are_numbered_by_their_place() -> None:
    longest = ["啊" * 200, "是" * 500]
    pairs = [[" 包邮吗 ", "包邮"], ["几成新", "九成"], longest]
    stored = edits.settings({"ai_facts": pairs})(SHOP).ai_facts
    assert facts_of(stored) == (("包邮吗", "包邮"), ("几成新", "九成"), tuple(longest))
    assert edits.settings({"ai_facts": stored})(SHOP).ai_facts == stored
    assert edits.settings({"ai_facts": []})(SHOP) is SHOP


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("ai_mode", "on", "bad_ai_mode"),
        ("ai_mode", None, "bad_ai_mode"),
        ("ai_provider_id", True, "bad_ai_number"),
        ("ai_provider_id", -1, "bad_ai_number"),
        ("ai_turns_per_chat", 101, "bad_ai_number"),
        ("ai_tokens_per_day", 1.5, "bad_ai_number"),
        ("ai_disclosure", 1, "not_a_flag"),
        ("ai_persona", "啊" * 2_001, "text_too_long"),
        ("ai_hours", "9-18", "bad_opening_hours"),
        ("ai_facts", [["q", "a"]] * 201, "bad_ai_facts"),
        ("ai_facts", [["q" * 201, "a"]], "bad_ai_facts"),
        ("ai_facts", [["q", "a" * 501]], "bad_ai_facts"),
        ("ai_facts", [["q", ""]], "bad_ai_facts"),
        ("ai_facts", [["q"]], "bad_ai_facts"),
        ("ai_facts", [["q", 1]], "bad_ai_facts"),
        ("ai_facts", "[", "bad_ai_facts"),
        ("ai_facts", "1", "bad_ai_facts"),
        ("ai_facts", {"q": "a"}, "bad_ai_facts"),
    ],
)
def test_what_cannot_be_used_is_refused(name: str, value: Any, code: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        edits.settings({name: value})(SHOP)
    assert caught.value.code == code


def test_an_item_keeps_its_facts_and_floor_when_its_other_settings_change() -> None:
    shop = edits.item("1", {"facts": "九成新", "floor_fen": 0, "paid_message": "谢谢"})(SHOP)
    shop = edits.item("1", {"paid_message": "", "reply": "在"})(shop)
    shop = edits.no_item_replies(["1"])(shop)
    assert shop.items == (ItemSetting(item_id="1", facts="九成新", floor_fen=0),)
    with pytest.raises(InvalidInput, match="floor_fen is 0 to"):
        edits.item("1", {"floor_fen": -1})


def test_an_item_of_an_older_version_folds_to_what_is_stored_of_it_today() -> None:
    old = {"item_id": "1", "reply": "x", "paid_message": "", "nothing_to_send": False}
    entry = JournalEntry(
        rev=1, account_id="shop", owner_id=1, generation=1, changes={"owner_id": [None, 1], "items": {"added": [old]}},
        actor="user:ann", op_id="op", at_ms=1_000,
    )  # fmt: skip
    assert (
        fold([entry])["shop"]["items"] == projection(SHOP.evolve(items=(ItemSetting(item_id="1", reply="x"),)))["items"]
    )

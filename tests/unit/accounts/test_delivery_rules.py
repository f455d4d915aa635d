"""What buyers get: rules, the old settings that show the simple ones, and how the journal has both."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shoal.accounts import edits
from shoal.accounts.account import Account, Answers
from shoal.accounts.delivery_edits import MAX_DELIVERY_RULES, merged, replaced
from shoal.accounts.delivery_rule import DeliveryRule, folded_spec, in_order
from shoal.accounts.item_setting import ItemSetting
from shoal.accounts.journal import Baseline, JournalEntry, changes_between, changes_from, fold, projection
from shoal.accounts.undo import undo
from shoal.errors import Conflict, InvalidInput
from shoal.rules.rule import Part

SHOP = Account(id="shop", owner_id=1, unb="2200000000001", cookie="unb=2200000000001; cookie2=s")
MONTH = DeliveryRule(item_id="1", spec="时长:月卡", goods_id=7, parts=(Part(text="{codes}"),), confirm="yes")

item_ids = st.sampled_from(["1", "2", "3"])
texts = st.sampled_from(["", "货", "网盘"])
rules = st.builds(
    DeliveryRule,
    item_id=st.sampled_from(["", "1", "2", "3"]),
    spec=st.sampled_from(["", "时长:月卡"]),
    goods_id=st.sampled_from([None, 7]),
    parts=st.lists(st.builds(Part, text=st.sampled_from(["货", "网盘"])), max_size=2).map(tuple),
    nothing_to_send=st.booleans(),
    confirm=st.sampled_from([None, "yes", "no", 2]),
)
settings = st.builds(
    ItemSetting, item_id=item_ids, reply=st.sampled_from(["", "在"]), paid_message=texts, nothing_to_send=st.booleans()
)
change = st.one_of(
    st.fixed_dictionaries({"paid_message": texts}),
    st.lists(settings, unique_by=lambda item: item.item_id).map(
        lambda found: {"items": tuple(sorted(found, key=lambda item: item.item_id))}
    ),
    st.lists(rules, unique_by=lambda rule: rule.place).map(lambda found: {"deliveries": tuple(found)}),
    st.fixed_dictionaries({"remark": st.sampled_from(["", "x"])}),
)


def entry_of(old: Account | None, new: Account) -> JournalEntry:
    """The entry of a change, as it comes out of a database."""
    changes = json.loads(json.dumps(changes_between(old, new)))
    return JournalEntry(
        rev=new.rev, account_id="shop", owner_id=1, generation=new.generation, changes=changes, actor="user:ann",
        op_id="op", at_ms=1_000,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("时长:月卡", "时长：月卡", True),
        ("颜色:红;尺码:XL", " 尺码 : ｘｌ ； 颜色:红 ", True),
        ("月卡", "时长:月卡", False),
        ("时长:月卡", "时长:年卡", False),
        ("颜色:红;颜色:红", "颜色:红", True),
        (" ; : ;", "", True),
    ],
)
def test_a_spec_is_the_same_in_any_order_and_width(one: str, other: str, alike: bool) -> None:
    assert (folded_spec(one) == folded_spec(other)) is alike
    assert folded_spec(folded_spec(one)) == folded_spec(one)


@given(st.lists(change, min_size=1, max_size=6))
def test_rules_and_settings_always_agree_and_the_journal_folds_to_them(changes: list[dict[str, Any]]) -> None:
    now = SHOP.evolve(generation=1, rev=1)
    entries = [entry_of(None, now)]
    for values in changes:
        new = now.evolve(**values)
        if new == now:
            continue
        new = new.evolve(generation=now.generation + 1, rev=now.rev + 1)
        entries.append(entry_of(now, new))
        back = undo(entries[-1])(new)
        assert (back.deliveries, back.paid_message, back.items) == (now.deliveries, now.paid_message, now.items)
        again = new.evolve(deliveries=new.deliveries)
        assert (again.paid_message, again.items) == (new.paid_message, new.items)
        assert again.evolve(paid_message=new.paid_message, items=new.items).deliveries == new.deliveries
        now = new
    assert fold(entries) == {"shop": projection(now)}
    assert changes_from(fold(entries)["shop"], now) == {}


def test_a_setting_is_the_rule_that_says_the_same() -> None:
    shop = SHOP.evolve(paid_message="货", items=(ItemSetting(item_id="1", paid_message="x", nothing_to_send=True),))
    assert shop.deliveries == (
        DeliveryRule(item_id="1", parts=(Part(text="x"),), nothing_to_send=True),
        DeliveryRule(parts=(Part(text="货"),)),
    )
    assert Account(id="s", owner_id=1, unb="1", cookie="c", paid_message="货").deliveries == shop.deliveries[1:]
    now = shop.evolve(deliveries=(MONTH, *shop.deliveries[1:]))
    assert (now.paid_message, now.items) == ("货", ())
    assert now.evolve(paid_message="").deliveries == (MONTH,)


def test_a_text_that_is_set_takes_the_place_of_a_rule_for_the_same_orders() -> None:
    shop = SHOP.evolve(deliveries=(DeliveryRule(item_id="1", parts=(Part(text="a"), Part(text="b"))),))
    assert shop.items == ()
    now = edits.item("1", {"paid_message": "c"})(shop)
    assert now.deliveries == (DeliveryRule(item_id="1", parts=(Part(text="c"),)),)
    assert edits.item("1", {"reply": "在"})(shop).deliveries == shop.deliveries


def test_a_baseline_from_before_there_were_rules_folds_to_todays_account() -> None:
    now = SHOP.evolve(paid_message="货", items=(ItemSetting(item_id="1", nothing_to_send=True),), generation=4, rev=9)
    old = {name: value for name, value in projection(now).items() if name not in {"deliveries", "replies", "delivery"}}
    before = Baseline(account_id="shop", rev=9, generation=4, projection=old)
    assert fold([], [before]) == {"shop": projection(now)}
    new = now.evolve(deliveries=(*now.deliveries, MONTH), generation=5, rev=10)
    assert fold([entry_of(now, new)], [before]) == {"shop": projection(new)}


def test_an_edit_that_changes_nothing_is_none_and_what_stays_is_the_same_rule() -> None:
    wanted = [{"item_id": "1", "spec": "时长：月卡", "goods_id": 7, "parts": [{"text": "{codes}"}], "confirm": "yes"}]
    shop = edits.deliveries(wanted)(SHOP)
    assert shop.deliveries == (MONTH,)
    assert edits.deliveries(wanted)(shop) is shop
    more = edits.deliveries([{"title_contains": "月卡", "parts": [{"text": "x"}]}], merge=True)(shop)
    assert more.deliveries[0] is shop.deliveries[0]
    assert [rule.title_contains for rule in more.deliveries] == ["", "月卡"]


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ([{"item_id": "1"}, {"item_id": "1"}], "delivery_twice"),
        ([{"title_contains": "ABC"}, {"title_contains": "ａｂｃ"}], "delivery_twice"),
        ([{"item_id": "1", "title_contains": "x"}], "delivery_item_or_title"),
        ([{"item_id": "a/b"}], "bad_item_id"),
        ([{"title_contains": "x" * 101}], "bad_delivery_title"),
        ([{"title_contains": "a\nb"}], "bad_delivery_title"),
        ([{"title_contains": "  "}], "bad_delivery_title"),
        ([{"title_contains": "\u200b"}], "bad_delivery_title"),
        ([{"item_id": " "}], "bad_item_id"),
        ([{"spec": " ："}], "bad_delivery_spec"),
        ([{"spec": "x" * 201}], "bad_delivery_spec"),
        ([{"goods_id": 0}], "bad_delivery_goods"),
        ([{"goods_id": 1, "count": 201}], "bad_delivery_count"),
        ([{"count": 2}], "delivery_count_without_goods"),
        ([{"parts": [{"text": "卡密：{codes}"}]}], "delivery_codes_without_goods"),
        ([{"parts": [{"text": "x"}] * 11}], "too_many_parts"),
        ([{"parts": [{"text": "x", "image_url": "/a.png"}]}], "bad_part"),
        ([{"parts": [{"text": "x" * 4_001}]}], "text_too_long"),
        ([{"delay_seconds": 86_401}], "bad_delivery_delay"),
        ([{"confirm": 241}], "bad_delivery_confirm"),
        ([{"confirm": True}], "bad_delivery_confirm"),
        ([{"item_id": str(number)} for number in range(MAX_DELIVERY_RULES + 1)], "too_many_deliveries"),
    ],
)
def test_what_cannot_be_a_rule_is_refused_with_its_reason(wanted: list[dict[str, Any]], code: str) -> None:
    for edit in (replaced, merged):
        with pytest.raises(InvalidInput) as refused:
            edit((), wanted)
        assert refused.value.code == code


def test_rules_of_items_stand_first_then_those_of_titles_then_the_shops() -> None:
    shop, title, item = DeliveryRule(), DeliveryRule(title_contains="a"), DeliveryRule(item_id="9")
    assert in_order([shop, title, item]) == (item, title, shop)
    assert replace(item).nothing_to_send, "a rule without goods and parts sends nothing"


def test_what_a_shop_answers_follows_its_switches() -> None:
    shop = SHOP.evolve(paid_message="货", default_reply="在", default_reply_enabled=True)
    assert shop.answers is Answers.MESSAGES
    assert shop.evolve(replies=False).answers is Answers.ORDERS
    assert shop.evolve(replies=False, delivery=False).answers is Answers.NOTHING


@pytest.mark.parametrize(
    ("first", "undone", "since", "named"),
    [
        ({"paid_message": "货"}, {"paid_message": ""}, {"deliveries": (DeliveryRule(goods_id=7),)}, "*"),
        (
            {"items": (ItemSetting(item_id="1", paid_message="货"),)}, {"items": ()},
            {"deliveries": (DeliveryRule(item_id="1", goods_id=7),)}, "1",
        ),
        (
            {"deliveries": (DeliveryRule(item_id="1", goods_id=7),)}, {"deliveries": ()},
            {"items": (ItemSetting(item_id="1", paid_message="货"),)}, "1",
        ),
    ],
)  # fmt: skip
def test_an_undo_takes_the_place_of_no_rule_that_was_made_since(
    first: dict[str, Any], undone: dict[str, Any], since: dict[str, Any], named: str
) -> None:
    before = SHOP.evolve(**first)
    after = before.evolve(**undone, rev=1)
    with pytest.raises(Conflict) as caught:
        undo(entry_of(before, after))(after.evolve(**since))
    assert caught.value.params["fields"] == [f"deliveries: {named}"]

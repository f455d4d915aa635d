"""Undoing puts back what one entry changed, and nothing that was changed since."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shoal.accounts.account import Account
from shoal.accounts.item_setting import ItemSetting
from shoal.accounts.journal import JournalEntry, changes_between
from shoal.accounts.undo import undo
from shoal.errors import Conflict, InvalidInput
from shoal.rules.rule import MatchMode, Part, Rule, WordMode
from shoal.rules.schedule import Span

A, B, C = (
    Rule.simple(id=name, keyword=name, reply=f"reply of {name}", position=place) for place, name in enumerate("abc")
)
RICH: dict[str, Any] = {
    "words": ("x", "y"), "word_mode": WordMode.ALL, "match_mode": MatchMode.REGEX, "item_ids": ("1", "2"),
    "priority": -3, "schedule": (Span(weekdays=(6, 7), start="22:00", end="06:00"),),
    "parts": (Part(text="1"), Part(image_url="/a.png", width=3, height=4)), "delay_seconds": (0.5, 2.0),
    "cooldown_seconds": 60, "active": False, "position": 7,
}  # fmt: skip
ITEM, OTHER = ItemSetting(item_id="1", reply="x"), ItemSetting(item_id="2", paid_message="y")
SHOP = Account(
    id="shop", owner_id=1, unb="2200000000001", cookie="unb=2200000000001; cookie2=s", remark="old",
    keywords=(A, B), items=(ITEM,), generation=5, rev=50,
)  # fmt: skip


def entry_of(old: Account | None, new: Account | None) -> JournalEntry:
    """The entry of a change, as it comes out of a database."""
    return JournalEntry(
        rev=51, account_id="shop", owner_id=1, generation=6, changes=json.loads(json.dumps(changes_between(old, new))),
        actor="user:ann", op_id="op", at_ms=1_000,
    )  # fmt: skip


def conflicts(entry: JournalEntry, now: Account) -> list[str]:
    with pytest.raises(Conflict) as caught:
        undo(entry)(now)
    assert caught.value.code == "undo_conflict"
    found: list[str] = caught.value.params["fields"]
    return found


@pytest.mark.parametrize(
    "changed",
    [
        {"remark": "new"},
        {"ai_mode": "auto", "ai_provider_id": 3, "ai_facts": '[["q","a"]]', "ai_disclosure": False},
        {"items": (ItemSetting(item_id="1", reply="x", facts="九成新", floor_fen=5),)},
        {"enabled": False, "auto_confirm": True, "debounce_seconds": 2.0},
        {"keywords": (A, B, C)},
        {"keywords": (B,)},
        {"keywords": (replace(A, parts=(Part(text="other"),)), B)},
        {"keywords": (C,), "items": ()},
        {"keywords": (replace(A, **RICH), B), "timezone": "Europe/Paris"},
        {"items": (dataclasses.replace(ITEM, reply="z"), OTHER)},
        {"remark": "new", "keywords": (), "items": (OTHER,)},
    ],
)
def test_an_undo_leads_back_and_its_own_undo_forth_again(changed: dict[str, Any]) -> None:
    new = SHOP.evolve(**changed)
    entry = entry_of(SHOP, new)
    back = undo(entry)(new)
    assert back == SHOP
    assert undo(entry)(back) is back, "the second time there is nothing to do"
    assert undo(entry_of(new, back))(back) == new


def test_what_else_was_changed_since_stays() -> None:
    entry = entry_of(SHOP, SHOP.evolve(remark="new", keywords=(A,)))
    now = SHOP.evolve(remark="new", pause_duration=3, keywords=(A, C), items=(ITEM, OTHER))
    assert undo(entry)(now) == now.evolve(remark="old", keywords=(A, B, C))


def test_a_field_that_was_changed_since_refuses_the_whole() -> None:
    entry = entry_of(SHOP, SHOP.evolve(remark="new", pause_duration=3))
    assert conflicts(entry, SHOP.evolve(remark="newer", pause_duration=3)) == ["remark"]
    assert conflicts(entry, SHOP.evolve(remark="newer", pause_duration=4)) == ["remark", "pause_duration"]


@pytest.mark.parametrize(
    ("then", "now", "named"),
    [
        ((A, B, C), (A, B, replace(C, parts=(Part(text="mine"),))), "c"),  # added, then edited
        ((A,), (A, replace(B, parts=(Part(text="mine"),))), "b"),  # removed, and there is one of that id again
        ((A,), (A, replace(B, id="n")), "b"),  # removed, and its keyword was given to another rule
        ((replace(A, parts=(Part(text="x"),)), B), (replace(A, parts=(Part(text="y"),)), B), "a"),  # edited twice
        ((replace(A, parts=(Part(text="x"),)), B), (B,), "a"),  # edited, then removed
        ((replace(A, words=("k",)), B), (replace(A, words=("k",)), B, replace(A, id="n")), "a"),
    ],
)
def test_a_rule_that_was_changed_since_refuses_the_whole(
    then: tuple[Rule, ...], now: tuple[Rule, ...], named: str
) -> None:
    entry = entry_of(SHOP, SHOP.evolve(keywords=then))
    assert conflicts(entry, SHOP.evolve(keywords=now)) == [f"keywords: {named}"]


def test_an_added_rule_that_is_gone_already_needs_nothing() -> None:
    entry = entry_of(SHOP, SHOP.evolve(keywords=(A, B, C), remark="new"))
    assert undo(entry)(SHOP.evolve(remark="new")) == SHOP


def test_an_item_that_was_changed_since_is_named() -> None:
    entry = entry_of(SHOP, SHOP.evolve(items=()))
    assert conflicts(entry, SHOP.evolve(items=(dataclasses.replace(ITEM, reply="mine"),))) == ["items: 1"]


def test_counters_are_never_put_back() -> None:
    new = SHOP.evolve(enabled=False, restart_nonce=3)
    back = undo(entry_of(SHOP, new))(new)
    assert (back.enabled, back.restart_nonce) == (True, 3)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, SHOP),
        (SHOP, None),
        (SHOP, SHOP.evolve(cookie="unb=1; cookie2=t", cookie_version=2)),
        (SHOP, SHOP.evolve(restart_nonce=1)),
        (SHOP, SHOP.evolve(proxy="http://ann:secret@h:1", remark="new")),
    ],
)
def test_what_has_no_old_value_is_not_undoable(old: Account | None, new: Account | None) -> None:
    with pytest.raises(InvalidInput) as caught:
        undo(entry_of(old, new))
    assert caught.value.code == "not_undoable"


def test_a_change_of_an_earlier_account_of_that_id_is_not_undoable() -> None:
    edit = undo(entry_of(SHOP, SHOP.evolve(remark="new")))
    with pytest.raises(InvalidInput):
        edit(SHOP.evolve(remark="new", created_at_ms=1_001))


def test_no_more_rules_come_back_than_an_account_may_have() -> None:
    entry = entry_of(SHOP, SHOP.evolve(keywords=()))
    many = tuple(Rule.simple(id=f"n{number}", keyword=f"n{number}", position=number) for number in range(4_999))
    with pytest.raises(InvalidInput, match="at most"):
        undo(entry)(SHOP.evolve(keywords=many))


_replies = st.sampled_from(["", "x", "y"])
_rules = st.lists(st.tuples(st.sampled_from("abcdef"), _replies), unique_by=lambda pair: pair[0]).map(
    lambda pairs: tuple(
        Rule.simple(id=name, keyword=name, reply=reply, position=ord(name)) for name, reply in sorted(pairs)
    )
)
_accounts = st.builds(
    lambda remark, enabled, rules: SHOP.evolve(remark=remark, enabled=enabled, keywords=rules),
    _replies, st.booleans(), _rules,
)  # fmt: skip


@given(old=_accounts, new=_accounts, now=_accounts)
def test_an_undo_touches_what_its_entry_changed_and_nothing_else(old: Account, new: Account, now: Account) -> None:
    entry = entry_of(old, new)
    if not entry.changes:
        return
    assert undo(entry)(new) == old
    try:
        back = undo(entry)(now)
    except Conflict:
        return
    for name in ("remark", "enabled"):
        assert getattr(back, name) == getattr(old if name in entry.changes else now, name)
    touched = {rule.id for rule in {*old.keywords} ^ {*new.keywords}}
    assert {rule for rule in back.keywords if rule.id in touched} == {r for r in old.keywords if r.id in touched}
    assert {r for r in back.keywords if r.id not in touched} == {r for r in now.keywords if r.id not in touched}

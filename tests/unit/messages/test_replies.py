"""Which rule answers, and with what words."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from shoal.accounts.account import Account
from shoal.accounts.item_setting import ItemSetting
from shoal.messages.replies import LONGEST_RECEIVED, Asked, choose, choose_answer, explain, fill, joined
from shoal.rules.matcher import Matcher
from shoal.rules.rule import MAX_REPLY_CHARACTERS, VARIABLES, MatchMode, Part, Rule
from shoal.rules.schedule import Moment


def asked(text: str = "在吗", item_id: str | None = None) -> Asked:
    return Asked(text=text, chat_id="c1", buyer_id="b1", buyer_name="小鱼", item_id=item_id)


def shop(*rules: Rule) -> Account:
    return Account(id="shop", owner_id=1, unb="2200000000001", cookie="unb=2200000000001", keywords=rules)


@pytest.mark.parametrize(("text", "image_url"), [("", ""), ("x", "/a.png")])
def test_a_part_is_either_a_text_or_a_picture(text: str, image_url: str) -> None:
    with pytest.raises(ValueError, match="either"):
        Part(text=text, image_url=image_url)


@pytest.mark.parametrize(
    "rule",
    [
        Rule.simple(id="r", keyword="在吗", reply=""),
        Rule.simple(id="r", keyword="在吗", reply="{item_id}"),
        Rule.simple(id="r", keyword="在吗"),
    ],
)
def test_a_rule_that_has_nothing_to_say_fires_and_says_nothing(rule: Rule) -> None:
    answer = choose_answer(shop(rule, Rule.simple(id="later", keyword="在", reply="x", position=1)), asked())
    assert answer is not None
    assert (answer.rule_id, answer.is_silent) == ("r", True)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{a} {b}", "1 {a}"), ("{c}", "{c}"), ("{", "{"), ("}{", "}{"), ("{}", "{}"), ("{{a}}", "{1}"),
        ("{ a }", "{ a }"),
        ("{a.b} {a!r} {a:>9} {0} {a[0]}", "{a.b} {a!r} {a:>9} {0} {a[0]}"), ("%s {A}", "%s {A}"), ("{a", "{a"),
    ],
)  # fmt: skip
def test_variables_are_filled_in_once_and_literally_and_other_braces_stay(template: str, said: str) -> None:
    assert fill(template, {"a": "1", "b": "{a}"}) == said


def test_every_variable_has_a_value() -> None:
    rule = Rule.simple(id="r", keyword="在吗", reply="|".join(f"{{{name}}}" for name in VARIABLES))
    answer = choose_answer(shop(rule), asked(item_id="700"))
    assert answer is not None
    assert answer.parts == (Part(text="小鱼|b1|在吗|700"),)


def test_an_answer_is_no_longer_than_a_reply_may_be_whatever_was_said() -> None:
    rule = Rule.simple(id="r", keyword="在吗", reply="{send_message}" * 280)
    answer = choose_answer(shop(rule), asked("在吗" * 100_000))
    assert answer is not None
    assert len(answer.parts[0].text) == MAX_REPLY_CHARACTERS


def test_f4_a_general_rule_comes_before_the_items_reply_and_that_before_the_default() -> None:
    rule = Rule.simple(id="r", keyword="在吗", reply="rule")
    bound = Rule.simple(id="b", keyword="在吗", reply="bound", item_id="7")
    item = ItemSetting(item_id="7", reply="item")
    account = shop(rule).evolve(items=(item,), default_reply="default", default_reply_enabled=True)
    asked_about = replace(asked(), item_id="7")
    wanted = [
        (account.evolve(keywords=(rule, bound)), "bound"), (account, "rule"), (account.evolve(keywords=()), "item"),
        (account.evolve(keywords=(), items=()), "default"),
    ]  # fmt: skip
    for world, said in wanted:
        answer, explained = choose_answer(world, asked_about), explain(world, asked_about).answer
        assert answer is not None
        assert (answer.parts[0].text, explained) == (said, answer)


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (["a", "b"], "a\nb"), (["a"], "a"), (["x" * LONGEST_RECEIVED, "b"], "b"),
        (["a", "x" * (LONGEST_RECEIVED + 9)], None),
        (["a" * (LONGEST_RECEIVED - 2), "b"], "a" * (LONGEST_RECEIVED - 2) + "\nb"),
        (["a" * (LONGEST_RECEIVED - 1), "b"], "b"),
    ],
)  # fmt: skip
def test_a_burst_is_joined_whole_unless_it_is_longer_than_anybody_writes(texts: list[str], whole: str | None) -> None:
    assert joined(texts) == (texts[-1] if whole is None else whole)
    assert len(asked(joined(texts)).text) <= LONGEST_RECEIVED


async def test_slow_patterns_are_looked_for_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    words = tuple(f"[a-z].{{20}}{number}" for number in range(9))
    account = shop(Rule(id="r", words=(*words, "在吗"), match_mode=MatchMode.REGEX, parts=(Part(text="hi"),)))
    where: list[int] = []
    first = Matcher.first

    def noted(self: Matcher, text: str, item_id: str | None, moment: Moment) -> Rule | None:
        where.append(threading.get_ident())
        return first(self, text, item_id, moment)

    monkeypatch.setattr(Matcher, "first", noted)
    for text in ("x" * 5_000 + "在吗", "在吗"):
        answer = (await choose(account, asked(text))).answer
        assert answer is not None
        assert answer.rule_id == "r"
    assert [thread == threading.get_ident() for thread in where] == [False, True]

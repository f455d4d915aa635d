"""Warnings about rules that can never fire: each is true, and the plain cases are found."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shoal.rules.matcher import Matcher
from shoal.rules.rule import MatchMode, Part, Rule, WordMode
from shoal.rules.rule_lint import WarningCode, warnings_of
from shoal.rules.schedule import Moment, Span

NIGHT = (Span(start="22:00", end="06:00"),)
LATE = (Span(start="23:00", end="01:00"),)


def rule(*words: str, name: str = "later", position: int = 1, **values: object) -> Rule:
    return Rule(id=name, words=words, position=position, **values)  # type: ignore[arg-type]


def first(*words: str, **values: object) -> Rule:
    return rule(*words, name="first", position=0, **values)


EXACT, WHOLE, REGEX = MatchMode.EXACT, MatchMode.WHOLE_WORD, MatchMode.REGEX


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (first("包邮"), rule("包邮吗")),
        (first("ＰＲＩＣＥ"), rule("price?")),
        (first("x", "包邮"), rule("包邮吗", "包邮么")),
        (first("包", "邮", word_mode=WordMode.ALL), rule("包邮")),
        (first("包邮"), rule("包邮吗", "快递", word_mode=WordMode.ALL)),
        (first("包邮"), rule("包邮", match_mode=EXACT)),
        (first("包邮"), rule("包邮", match_mode=WHOLE)),
        (first("在吗", match_mode=EXACT), rule(" 在吗 ", match_mode=EXACT)),
        (first("xl", match_mode=WHOLE), rule("size xl", match_mode=WHOLE)),
        (first("xl", match_mode=WHOLE), rule("size xl", match_mode=EXACT)),
        (first("xl", match_mode=WHOLE), rule("is xl ok")),
        (first("a.c", match_mode=REGEX), rule("a.c", match_mode=REGEX)),
        (first("a", item_ids=("1", "2")), rule("a", item_ids=("2",))),
        (first("a", schedule=NIGHT), rule("a", schedule=LATE)),
        (rule("a", name="first", priority=1, position=5), rule("a")),
    ],
)
def test_a_rule_behind_one_that_always_comes_first_is_found(before: Rule, after: Rule) -> None:
    (warning,) = warnings_of((after, before))
    assert (warning.rule_id, warning.code, warning.before) == ("later", WarningCode.NEVER_FIRES, "first")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (first("包邮吗"), rule("包邮")),
        (first("包", "快", word_mode=WordMode.ALL), rule("包邮")),
        (first("包邮", match_mode=EXACT), rule("包邮")),
        (first("xl", match_mode=WHOLE), rule("xl")),
        (first("xl", match_mode=WHOLE), rule("xxl", match_mode=WHOLE)),
        (first("a.c", match_mode=REGEX), rule("abc")),
        (first("abc"), rule("abc", match_mode=REGEX)),
        (first("a"), rule("a", item_ids=("1",))),
        (first("a", item_ids=("1",)), rule("a")),
        (first("a", item_ids=("1",)), rule("a", item_ids=("1", "2"))),
        (first("a", schedule=LATE), rule("a", schedule=NIGHT)),
        (first("a", schedule=NIGHT), rule("a")),
        (first("a", active=False), rule("a")),
        (first("a"), rule("a", active=False)),
        (first("a"), rule("b")),
    ],
)
def test_a_rule_that_has_its_chance_is_not_warned_about(before: Rule, after: Rule) -> None:
    assert warnings_of((before, after)) == []


def test_a_single_word_that_does_nothing_is_named() -> None:
    (warning,) = warnings_of((first("包邮"), rule("运费", "包邮吗")))
    assert (warning.code, warning.word, warning.before) == (WarningCode.WORD_NEVER_FIRES, "包邮吗", "first")


def test_a_variable_that_nobody_knows_is_named_once() -> None:
    parts = (Part(text="{send_user_nmae}{send_user_nmae} {send_message} {} {1} { item_id }"), Part(text="{Name}"))
    found = warnings_of([replace(rule("a"), parts=parts), replace(rule("b", active=False), parts=parts)])
    assert [(one.code, one.word) for one in found] == [
        (WarningCode.UNKNOWN_VARIABLE, name) for name in ("{send_user_nmae}", "{ item_id }", "{Name}")
    ]


def test_a_word_of_which_nothing_is_left_neither_hides_others_nor_is_hidden() -> None:
    assert warnings_of((first("\u200b"), rule("a", "\ufeff"))) == []


words = st.text(alphabet="ab1 在", min_size=1, max_size=3).filter(str.strip)
texts = st.text(alphabet="ab1 在\n", max_size=8)
some = st.lists(
    st.builds(
        Rule,
        id=st.just(""),
        words=st.lists(words, min_size=1, max_size=2).map(tuple),
        word_mode=st.sampled_from(WordMode),
        match_mode=st.sampled_from([MatchMode.CONTAINS, EXACT, WHOLE]),
        item_ids=st.lists(st.sampled_from("12"), max_size=2, unique=True).map(tuple),
        schedule=st.sampled_from([(), NIGHT, LATE]),
        priority=st.integers(-1, 1),
    ),
    min_size=2,
    max_size=5,
).map(lambda rules: tuple(replace(one, id=str(place)) for place, one in enumerate(rules)))


@given(some, texts, st.sampled_from([None, "1", "2"]), st.sampled_from([0, 720, 1400]))
def test_no_rule_that_is_said_never_to_fire_ever_fires(
    rules: tuple[Rule, ...], text: str, item: str | None, minute: int
) -> None:
    never = {warning.rule_id for warning in warnings_of(rules) if warning.code is WarningCode.NEVER_FIRES}
    fired = Matcher(rules).first(text, item, Moment(2, minute))
    assert fired is None or fired.id not in never


@pytest.mark.parametrize("seed", range(5))
def test_warnings_about_one_rule_are_those_that_all_have(seed: int) -> None:
    rng = Random(seed)
    words = ["包邮", "邮", "包邮吗", "运费", "a", "ab", "\u200b", "a b "]
    rules = [
        replace(
            first(*rng.sample(words, rng.randint(1, 3))), id=f"r{place}", position=place,
            match_mode=rng.choice(list(MatchMode)), word_mode=rng.choice(list(WordMode)), active=rng.random() < 0.9,
        )
        for place in range(40)
    ]  # fmt: skip
    every = warnings_of(rules)
    assert len(every) > 10
    for one in rules:
        assert warnings_of(rules, {one.id}) == [warning for warning in every if warning.rule_id == one.id]

"""Which rule answers, and why the others do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shoal.errors import InvalidInput
from shoal.language.folding import folded
from shoal.rules import matcher
from shoal.rules.matcher import MANY_WORDS, MAX_PATTERNS, WHY_NOT, Matcher, has_whole_word
from shoal.rules.rule import MatchMode, Part, Rule, WordMode
from shoal.rules.schedule import Moment, Span

NOON = Moment(3, 720)


def rule(*words: str, name: str = "r", **values: object) -> Rule:
    return Rule(id=name, words=words, parts=(Part(text="x"),), **values)  # type: ignore[arg-type]


def fires(one: Rule, text: str, item_id: str | None = None, moment: Moment = NOON) -> bool:
    return Matcher((one,)).first(text, item_id, moment) is one


FILLER = tuple(rule(f"filler {number}", name=f"f{number}", priority=-9) for number in range(MANY_WORDS))


def first_id(rules: tuple[Rule, ...], text: str, item_id: str | None = None, moment: Moment = NOON) -> str:
    """The id of the rule that answers, the same with few words as with many."""
    found = Matcher(rules).first(text, item_id, moment)
    among_many = Matcher((*rules, *FILLER)).first(text, item_id, moment)
    assert found is among_many
    return found.id if found else ""


@pytest.mark.parametrize(
    ("mode", "word", "text", "found"),
    [
        ("contains", "在吗", "老板在吗？", True),
        ("contains", "PRICE", "what's the Price", True),
        ("contains", "ｐｒｉｃｅ１２", "price12", True),
        ("contains", "price12", "ＰＲＩＣＥ１２", True),
        ("contains", "straße", "STRASSE", True),
        ("contains", "é", "e\u0301", True),
        ("contains", "①", "1", True),
        ("contains", "在吗", "在 吗", False),
        ("exact", "在吗", " 在吗 ", True),
        ("exact", " 在吗 ", "在吗", True),
        ("exact", "在吗", "在吗？", False),
        ("exact", "在吗", "你好\n在吗\n多少钱", True),
        ("exact", "a\nb", "a\nb", True),
        ("exact", "在吗", "老板在吗", False),
        ("whole_word", "xl", "有 XL 吗", True),
        ("whole_word", "xl", "有XL吗", True),
        ("whole_word", "xl", "有XXL吗", False),
        ("whole_word", "xl", "xl2", False),
        ("whole_word", "xl", "xxl, xl", True),
        ("whole_word", "xl", "my_xl", False),
        ("whole_word", "12", "3.12!", True),
        ("whole_word", "多少钱", "这个多少钱呀", True),
        ("whole_word", "naïve", "so naïve!", True),
        ("whole_word", "+5", "4+5", True),
        ("regex", r"\d+ ?元", "卖１００元吗", True),
        ("regex", "PRICE|价格", "Price?", True),
        ("regex", "^在吗$", "你好\n在吗", True),
        ("regex", "^在吗$", "你在吗", False),
        ("regex", "包邮？$", "包邮？", True),
        ("regex", "[？！]", "好!", True),
        ("regex", r"a\？b", "A?B", True),
        ("regex", "（小）", "(小)", True),
        ("regex", r"\p{Han}{3}", "多少钱", True),
        ("regex", "É", "é", True),
        ("contains", "在吗", "在\u200b吗", True),
        ("contains", "在\ufeff吗", "在吗", True),
        ("contains", "❤", "❤\ufe0f", True),
        ("contains", "👩\u200d👧", "👨\u200d👩\u200d👧", True),
        ("exact", "在吗", "\u202e在吗\u202c", True),
        ("whole_word", "xl", "x\u00adl", True),
        ("whole_word", "xl", "x\u200bxl", False),
        ("regex", "^在\u200b吗$", "在\u2060吗", True),
        ("regex", "[❤\ufe0f]", "❤", True),
        ("contains", "שלום", "\u200fשלום", True),
    ],
)
def test_each_mode_finds_what_it_says(mode: str, word: str, text: str, found: bool) -> None:
    one = rule(word, match_mode=MatchMode(mode))
    assert fires(one, text) is found
    assert (first_id((one,), text) == "r") is found


@pytest.mark.parametrize(("word_mode", "found"), [(WordMode.ANY, True), (WordMode.ALL, False)])
@pytest.mark.parametrize("mode", [MatchMode.CONTAINS, MatchMode.WHOLE_WORD, MatchMode.REGEX])
def test_any_word_is_enough_or_all_are_needed(word_mode: WordMode, mode: MatchMode, found: bool) -> None:
    one = rule("color", "size", match_mode=mode, word_mode=word_mode)
    assert fires(one, "which size") is found
    assert fires(one, "size or color")
    assert not fires(one, "price")


def test_rules_of_the_item_come_before_general_ones_whatever_their_priority() -> None:
    general = rule("在吗", name="general", priority=9)
    bound = rule("在吗", name="bound", item_ids=("1", "2"), priority=-9)
    assert first_id((general, bound), "在吗", "2") == "bound"
    assert first_id((general, bound), "在吗", "3") == "general"
    assert first_id((general, bound), "在吗") == "general"
    assert first_id((bound,), "在吗") == ""


def test_the_highest_priority_comes_first_then_the_position_then_the_id() -> None:
    low, early, late = (
        rule("a", name="low", priority=-1, position=0),
        rule("a", name="early", position=1),
        rule("a", name="late", position=2),
    )
    high, twin = rule("a", name="high", priority=1, position=9), rule("a", name="early0", position=1)
    rules: tuple[Rule, ...] = (late, low, twin, high, early)
    order = []
    while rules:
        order.append(first_id(rules, "a"))
        rules = tuple(one for one in rules if one.id != order[-1])
    assert order == ["high", "early", "early0", "late", "low"]


def test_patterns_and_words_stand_in_one_order() -> None:
    pattern = rule("a.c", name="pattern", match_mode=MatchMode.REGEX, position=1)
    before, after = rule("abc", name="before", position=0), rule("abc", name="after", position=2)
    assert first_id((pattern, after), "abc") == "pattern"
    assert first_id((pattern, before), "abc") == "before"
    assert first_id((pattern, after), "axc") == "pattern"


def test_a_rule_counts_in_its_hours_only_and_another_one_outside_them() -> None:
    day = rule("在吗", name="day", schedule=(Span(weekdays=(3,), start="09:00", end="18:00"),))
    night = rule("在吗", name="night", position=1)
    assert first_id((day, night), "在吗") == "day"
    assert first_id((day, night), "在吗", moment=Moment(3, 18 * 60)) == "night"
    assert first_id((day, night), "在吗", moment=Moment(4, 720)) == "night"


def test_a_rule_that_is_switched_off_does_not_count() -> None:
    assert first_id((rule("a", active=False), rule("a", name="on", position=1)), "a") == "on"


def test_each_rule_says_why_it_does_not_fire() -> None:
    rules = (
        rule("a", name="off", active=False),
        rule("a", name="elsewhere", item_ids=("9",)),
        rule("a", name="off elsewhere", item_ids=("9",), active=False),
        rule("z", name="unsaid", position=1),
        rule("a", "z", name="half said", word_mode=WordMode.ALL, position=2),
        rule("a", name="asleep", schedule=(Span(start="00:00", end="01:00"),), position=3),
        rule("a", name="fires", position=4),
        rule("a", name="late", position=5),
        rule("y", name="late and unsaid", position=6),
    )
    considered = Matcher(rules).consider("a", "1", NOON)
    found = {one.rule.id: one.why_not for one in considered}
    assert found == {
        "off": "inactive", "elsewhere": "other_item", "off elsewhere": "inactive", "unsaid": "no_word",
        "half said": "missing_word", "asleep": "outside_schedule", "fires": "", "late": "comes_later",
        "late and unsaid": "no_word",
    }  # fmt: skip
    assert {why for why in found.values() if why} == set(WHY_NOT)


@pytest.mark.parametrize("pattern", ["(", r"(a)\1", "(?=a)", "(?<!a)b", "a{1001}", "[", "(?P<x", "\\"])
def test_a_pattern_that_cannot_compile_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Matcher((rule("fine", name="f"), rule(pattern, match_mode=MatchMode.REGEX)))
    assert (caught.value.code, caught.value.params["pattern"]) == ("bad_pattern", pattern)
    assert caught.value.params["why"]


def test_too_many_patterns_are_refused() -> None:
    words = tuple(f"a{number}" for number in range(MAX_PATTERNS))
    Matcher((rule(*words, match_mode=MatchMode.REGEX),))
    with pytest.raises(InvalidInput) as caught:
        Matcher((rule(*words, match_mode=MatchMode.REGEX), rule("b", name="s", match_mode=MatchMode.REGEX)))
    assert caught.value.code == "too_many_patterns"


def test_patterns_that_take_too_much_memory_together_are_refused() -> None:
    words = tuple(f"({number}|\\pL){{300}}" for number in range(50))
    with pytest.raises(InvalidInput) as caught:
        Matcher((rule(*words, match_mode=MatchMode.REGEX),))
    assert caught.value.code == "patterns_too_large"


def test_patterns_that_take_too_long_for_each_letter_are_refused() -> None:
    words = tuple(f"[a-{chr(98 + number)}]\\PM{{60}}{number}" for number in range(20))
    with pytest.raises(InvalidInput) as caught:
        Matcher((rule(*words, match_mode=MatchMode.REGEX),))
    assert caught.value.code == "patterns_too_large"


def test_a_long_text_and_large_patterns_take_long_and_nothing_else_does() -> None:
    words = tuple(f"[a-z].{{20}}{number}" for number in range(MAX_PATTERNS // 20))
    slow = Matcher((rule(*words, match_mode=MatchMode.REGEX),))
    assert slow.takes_long("x" * 4_000)
    assert not slow.takes_long("x" * 10)
    assert not Matcher((rule("x"),)).takes_long("x" * 4_000)


@pytest.mark.parametrize("mode", [MatchMode.CONTAINS, MatchMode.EXACT, MatchMode.WHOLE_WORD])
@pytest.mark.parametrize("word_mode", list(WordMode))
def test_a_word_that_nobody_can_see_is_never_said(mode: MatchMode, word_mode: WordMode) -> None:
    unseen = rule("\u200b", "\ufeff\u00ad", match_mode=mode, word_mode=word_mode)
    for text in ("", "在吗", "\u200b"):
        assert first_id((unseen,), text) == ""


def test_one_pattern_may_stand_in_many_rules() -> None:
    rules = tuple(rule("a.c", "x", name=f"r{place}", match_mode=MatchMode.REGEX, position=place) for place in range(3))
    assert first_id(rules, "abc") == "r0"
    assert [one.why_not for one in Matcher(rules).consider("abc", None, NOON)] == ["", "comes_later", "comes_later"]


def test_a_pattern_that_others_choke_on_takes_no_time() -> None:
    one = rule("(a+)+(a+)+(a+)+$", "(x|xx)*y", match_mode=MatchMode.REGEX)
    assert not fires(one, "a" * 20_000 + "b" + "x" * 20_000)


@pytest.mark.parametrize("text", ["\ud800 在吗", "在吗\udfff", "\x00在吗"])
@pytest.mark.parametrize("mode", list(MatchMode))
def test_half_a_letter_in_a_message_stops_nothing(text: str, mode: MatchMode) -> None:
    assert (first_id((rule("在吗", match_mode=mode),), text) == "r") is (mode is not MatchMode.EXACT)


texts = st.text(alphabet="abAß在吗①１1 \n?？é\u0301", max_size=12)
words = st.text(alphabet="abAß在吗①１1?？é\u0301", min_size=1, max_size=3)
some_rules = st.lists(
    st.builds(
        Rule,
        id=st.just(""),
        words=st.lists(words, min_size=1, max_size=3).map(tuple),
        word_mode=st.sampled_from(WordMode),
        match_mode=st.sampled_from([MatchMode.CONTAINS, MatchMode.EXACT, MatchMode.WHOLE_WORD]),
        item_ids=st.lists(st.sampled_from("12"), max_size=2, unique=True).map(tuple),
        priority=st.integers(-1, 1),
        position=st.integers(0, 3),
        active=st.booleans(),
    ),
    max_size=6,
).map(lambda rules: tuple(replace(one, id=str(place)) for place, one in enumerate(rules)))


def said(one: Rule, text: str) -> bool:
    """The definition, word by word, without any of the matcher's speed."""
    text = folded(text)
    lines = [text, *text.split("\n")]

    def found(word: str) -> bool:
        word = folded(word)
        if one.match_mode is MatchMode.EXACT:
            return word.strip() in [line.strip() for line in lines]
        return has_whole_word(text, word) if one.match_mode is MatchMode.WHOLE_WORD else word in text

    every = [found(word) for word in one.words]
    return all(every) if one.word_mode is WordMode.ALL else any(every)


@given(some_rules, texts, st.sampled_from([None, "1", "2"]))
def test_the_matcher_finds_what_asking_rule_by_rule_finds(rules: tuple[Rule, ...], text: str, item: str | None) -> None:
    ordered = sorted(rules, key=lambda one: (not one.item_ids, -one.priority, one.position, one.id))
    mine = [one for one in ordered if one.active and (not one.item_ids or item in one.item_ids)]
    expected = next((one for one in mine if said(one, text)), None)
    assert first_id(rules, text, item) == (expected.id if expected else "")
    fired = [one.rule for one in Matcher(rules).consider(text, item, NOON) if not one.why_not]
    assert fired == ([expected] if expected else [])


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert folded(folded(text)) == folded(text)


def test_the_automaton_and_the_plain_search_are_both_in_use() -> None:
    assert Matcher(FILLER)._index.automaton is not None
    assert Matcher(FILLER[:-1])._index.automaton is None
    assert matcher.NO_RULES.first("在吗", None, NOON) is None

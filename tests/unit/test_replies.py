"""Which rule answers, and with what words."""

from __future__ import annotations

import pytest

from shoal.account import Account
from shoal.replies import Asked, choose_answer
from shoal.rule import Part, Rule


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

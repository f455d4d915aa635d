"""Hand-off words: found as a whole wish, and not where they are part of another one."""

from __future__ import annotations

import pytest

from shoal.rules.handoff_words import DEFAULT_WORDS, asks_for_person


@pytest.mark.parametrize(
    "text",
    [
        "人工", "转人工", "人工！", "我要人工客服", "有人工吗", "你好，转人工", "多少钱 人工", "在吗\n人工",
        "我想转人工谢谢", "人工在吗？", "能不能转人工", "麻烦帮我转接人工服务", "【人工】",
    ],
)  # fmt: skip
def test_a_wish_for_a_person_is_heard(text: str) -> None:
    assert asks_for_person(DEFAULT_WORDS, text)


@pytest.mark.parametrize(
    "text",
    [
        "人工智能这本书有吗", "是人工发货吗", "不要人工", "人工费多少", "纯人工手写的吗", "你是人工还是机器人",
        "转人工智能的课", "这是人工合成的", "", "包邮吗",
    ],
)  # fmt: skip
def test_the_word_inside_another_wish_is_not_heard(text: str) -> None:
    assert not asks_for_person(DEFAULT_WORDS, text)


def test_a_word_in_letters_must_be_the_whole_wish_of_its_line() -> None:
    assert asks_for_person("human", "I want a HUMAN please")
    assert asks_for_person("human", "hello\nhuman!")
    assert not asks_for_person("human", "is this human hair")
    assert asks_for_person("live agent", "talk to a live agent")


def test_without_a_word_nobody_is_asked_for_and_signs_are_taken_literally() -> None:
    assert not asks_for_person("", "人工")
    assert asks_for_person("真人(店主)", "真人(店主)")
    assert not asks_for_person("真.", "真人")


def test_a_long_text_takes_no_long_time() -> None:
    assert not asks_for_person(DEFAULT_WORDS, "我要我想" * 2_500 + "x")

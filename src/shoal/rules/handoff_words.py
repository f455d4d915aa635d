"""Hand-off words: with them a buyer asks for a person. Found as a whole wish, not inside other words.

"人工" alone, "转人工", "我要人工客服" and "有人工吗" ask for a person; "人工智能", "是人工发货吗" and "不要人工"
do not.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import re2

from shoal.language.folding import folded, folded_word

MAX_WORDS: Final = 50
MAX_WORD_CHARACTERS: Final = 50
DEFAULT_WORDS: Final = "人工\n转人工"
"""The hand-off words of a new shop."""
DEFAULT_REPLY: Final = "已为您转接人工，店主看到后会尽快回复您。"
"""What a new shop says at a hand-off."""

_BEFORE = (
    "你好|您好|亲亲?|哈喽|在吗|在不在|在么|请问?|麻烦|帮我|帮忙|给我|我要|我想要?|我找|我需要|需要|想要|能不能|能否|"
    "可以|可否|能|可不可以|有没有|有|要|找|叫|喊|转接?|换|接|联系|呼叫|召唤|切换?到?|连接|一下|下|个|位|真的|直接|马上|快点?|"
    "please|pls|hi|hello|i|want|need|to|talk|speak|with|connect|me|get|a|an|the|can|could|you|let"
)
_AFTER = (
    "客服|服务|坐席|老板|店主|卖家|接待|来|在吗|在不在|在么|在线吗|有吗|可以吗|行吗|好吗|吗|嘛|么|呢|吧|啊|呀|哈|哦|啦|了|一下|下|"
    "谢谢|谢了|多谢|拜托|急|快点?|回复?|聊聊?|沟通|处理|please|pls|thanks|now|service|support|agent"
)
_SIGNS = r"!-/:-@\[-`{-~。，、；：？！…~～·（）《》“”‘’「」【】"
_BREAK = rf"[\s{_SIGNS}]"
_HAN = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff]")


def words_of(text: str) -> tuple[str, ...]:
    """Return the words of a text, one a line, each once."""
    return tuple(dict.fromkeys(line.strip() for line in text.split("\n") if line.strip()))


def asks_for_person(words: str, text: str) -> bool:
    """Return whether a buyer's text asks for a person by one of the words, which are on the lines of ``words``."""
    pattern = _pattern(words)
    return pattern is not None and pattern.search(folded(text)) is not None


@lru_cache(2_048)
def _pattern(words: str) -> Any:
    """Return the words as one RE2 pattern; ``None`` without a word.

    A blank ends a wish in Chinese. A word in letters must be all that its line says, but for what goes before and
    after a wish: its sentence has blanks.
    """
    mine = [folded_word(word).strip() for word in words_of(words)]
    han = "|".join(re2.escape(word) for word in mine if word and _HAN.search(word))
    other = "|".join(re2.escape(word) for word in mine if word and not _HAN.search(word))
    found = []
    if han:
        found.append(rf"(?:^|{_BREAK})(?:{_BEFORE})*(?:{han})(?:{_AFTER})*(?:$|{_BREAK})")
    if other:
        gap = rf"[^\S\n]|[{_SIGNS}]"
        before, after = rf"(?:(?:{_BEFORE})(?:{gap})+)*", rf"(?:(?:{gap})+(?:{_AFTER}))*"
        found.append(rf"^(?:{gap})*{before}(?:{other}){after}(?:{gap})*$")
    options = re2.Options()
    options.log_errors = False
    return re2.compile("(?m)" + "|".join(found), options) if found else None

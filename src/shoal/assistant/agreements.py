"""Agreements: whether a model's plain text says yes to what may be a low price of the buyer's. Pure."""

from __future__ import annotations

import re
from typing import Final

_YES: Final = re.compile(
    r"可以|行(?!李|货|业)|(?<![您你])好(?:的|吧|呀|啊|嘞|哒|滴|$|[，。！,!.])|成交|没问题|没事|同意|答应|嗯|中$|拍(?:吧|下|就)|直接拍|下单|"
    r"(?:卖(?:给)?|给|依|按)[你您]|"
    r"(?<![a-z])(?:ok|okay|sure|deal|yes|yep|yeah|fine|agreed|alright|of course|no problem|go ahead|sounds good|works)"
    r"(?![a-z])"
)
_NO: Final = re.compile(
    r"不(?!好意思|客气|用客气)|没办法|没法|无法|抱歉|对不起|不好意思|最低|拒绝|谢绝|低了|亏|"
    r"(?<![a-z])(?:sorry|cannot|can't|unable|no(?! problem)|not|too low|fixed)(?![a-z])"
)


def contains_agreement(text: str) -> bool:
    """Return whether a plain text holds a word of agreement, whatever stands beside it."""
    return _YES.search(text) is not None


def agrees(text: str) -> bool:
    """Return whether a plain text says yes and nowhere no."""
    return _YES.search(text) is not None and _NO.search(text) is None

"""Which messages are emojis alone: they ask nothing, so nobody waits for an answer to them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, and_

from shoal.storage.schema import messages

_TEXTS: Final = ("1", "text")
"""The kinds of a message that has words of its own; those of a picture are the site's, such as `[图片]`."""
_SYMBOLS: Final = r"\s\u200d\ufe0f\u2600-\u2752\u2756-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
_EMOJIS: Final = rf"\A(?:\[[^\[\]\s]{{1,8}}\]|[{_SYMBOLS}])+\Z"
"""The site's own, such as `[旺柴]`, and those of Unicode but the marks of a question (U+2753 to U+2755). Both databases
read it alike."""


def is_lone_emoji() -> ColumnElement[bool]:
    """Select whether a row of ``messages`` has emojis and nothing else."""
    return and_(messages.c.content_type.in_(_TEXTS), messages.c.text.regexp_match(_EMOJIS))

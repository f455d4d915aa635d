"""Folds texts for comparison: case, width, other forms of the same letters and invisible characters do not count."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_SURROGATES = re.compile(r"[\ud800-\udfff]")
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
"""Unicode's Default_Ignorable_Code_Point: zero-width blanks and joiners, direction marks, variation selectors."""
_ODD = re.compile(f"{_SURROGATES.pattern}|{_IGNORABLE.pattern}")
_FOLDED = re.compile(r"[\u4e00-\u9fff\x00-@\[-\x7f\u3001\u3002]*")
"""Han, digits, small letters and signs that are their own folded form: most of what buyers write."""


def folded(text: str) -> str:
    """Return the text for comparison: NFKC_Casefold of the Unicode standard; a lone surrogate becomes U+FFFD."""
    if text.isascii():
        return text.casefold()
    if _FOLDED.fullmatch(text):
        return text
    if not _ODD.search(text):  # neither form makes an ignorable character of others
        return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    text = unicodedata.normalize("NFKC", _SURROGATES.sub("\ufffd", text)).casefold()
    return unicodedata.normalize("NFKC", _IGNORABLE.sub("", text))


folded_word = lru_cache(8_192)(folded)
"""Folds a word of a rule: a change folds each of them when it is checked, indexed, and searched for rules before it."""


class _Shapes(dict[int, str]):
    """What a person reads in each character: filled when a character first comes, for at most so many."""

    MOST = 16_384

    def __missing__(self, code: int) -> str:
        shape = _shape(chr(code))
        if len(self) < self.MOST:
            self[code] = shape
        return shape


def _shape(char: str) -> str:
    kind, name = unicodedata.category(char), unicodedata.name(char, "")
    if kind in ("Nd", "Nl", "No") and char != "〇" and (number := unicodedata.numeric(char, 0.5)).is_integer():
        return str(int(number))  # circled, roman, of any script
    if " LETTER" in name and re.search(" [A-Z]$", name):
        return name[-1].lower()  # flags, letters in squares and circles
    base = unicodedata.normalize("NFKD", char)
    if kind in ("So", "Sk", "Mn", "Me", "Cf"):
        return ""
    is_marked = len(base) > 1 and all(unicodedata.category(mark) == "Mn" for mark in base[1:])
    return base[0].lower() if is_marked and base[0].isascii() else char


_SHAPES = _Shapes()
_USUAL = re.compile(r"[\x00-\]_a-\x7f\u4e00-\u9fff·—‘’“”…\u3001-\u3003\u3008-\u3011\uff01-\uff3d\uff3f\uff41-\uff5e]*")
"""Characters that a person reads as they are folded: most texts have no others."""


def views_of(text: str) -> tuple[str, ...]:
    """Return the folded text and, where it differs, the text as a person reads it: without pictures and marks."""
    plain = folded(text)
    if _USUAL.fullmatch(text):
        return (plain,)
    read = folded(text.translate(_SHAPES))
    return (plain,) if read == plain else (plain, read)


def is_blank(text: str) -> bool:
    """Return whether nothing but blanks is left of a text when it is folded."""
    if "!" <= text[:1] <= "~" or "\u4e00" <= text[:1] <= "\u9fff":  # most words: no need to fold them
        return False
    return not folded_word(text).strip()


def seen(text: str) -> str:
    """Return the text without invisible characters."""
    return text if text.isascii() else _IGNORABLE.sub("", text)

"""The languages of a buyer's and of a model's text, as far as the rails need them: by alphabet. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_HAN: Final = re.compile(r"[\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_WORD: Final = re.compile(r"[A-Za-z]{2,}")
_NAMES: Final = re.compile(r"[A-Z][A-Za-z]*[0-9]*|[a-z]{1,3}[0-9]+")
MOST_FOREIGN_SHARE: Final = 0.6
"""A Chinese text in which more of the letters are Latin is not Chinese: names of things are short."""


def scripts_of(text: str) -> frozenset[str]:
    """Return the alphabets of the letters in a text: HAN, LATIN, CYRILLIC and so on."""
    found = set()
    for sign in text:
        if _HAN.match(sign):
            found.add("HAN")
        elif sign.isascii():
            if sign.isalpha():
                found.add("LATIN")
        elif unicodedata.category(sign)[0] == "L":
            found.add(_script(sign))
    return frozenset(found)


def _script(sign: str) -> str:
    whole = unicodedata.normalize("NFKC", sign)
    if whole.isascii() and whole.isalpha():
        return "LATIN"
    first = unicodedata.name(sign, "UNKNOWN").split()[0]
    return {"BOPOMOFO": "HAN", "CJK": "HAN", "KANGXI": "HAN", "CIRCLED": "HAN", "PARENTHESIZED": "HAN"}.get(
        first, first
    )


def wrong_language(text: str, buyer_text: str) -> str:
    """Return why the text is not in the buyer's language; empty: it is."""
    theirs, ours = scripts_of(buyer_text), scripts_of(text)
    if strange := ours - theirs - {"HAN", "LATIN"}:
        return f"alphabet {min(strange).lower()}"
    if not ours:
        return ""
    if theirs == {"LATIN"}:
        is_english = len(_WORD.findall(buyer_text)) > 1  # "ok" and "iPhone13" are said by everybody
        is_other = is_english and len(_HAN.findall(text)) > len(_WORD.findall(text))
    elif "HAN" in theirs or not theirs:
        latin = sum(len(word) for word in _WORD.findall(_NAMES.sub(" ", text)))
        mostly_latin = latin > MOST_FOREIGN_SHARE * (latin + len(_HAN.findall(text)))
        is_other = "LATIN" not in theirs and ("HAN" not in ours or mostly_latin)
    else:
        is_other = not ours & theirs
    return "not the buyer's language" if is_other else ""

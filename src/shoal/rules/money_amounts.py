"""Amounts of money in a folded text, in fen: digits or Chinese numerals with a sign or word of money."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any, Final

import re2

_FEN: Final = 100
_VALUES: Final = {
    **dict(zip("零一二三四五六七八九", range(10), strict=True)),
    **dict(zip("〇壹贰叁肆伍陆柒捌玖", range(10), strict=True)),
    "两": 2, "幺": 1, "俩": 2,
}  # fmt: skip
_UNITS: Final = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1_000, "仟": 1_000}
_TIMES: Final = {"": 1, "百": 100, "千": 1_000, "k": 1_000, "万": 10_000, "w": 10_000}
_HAN_DIGIT = "".join(_VALUES)
_HAN = rf"[{_HAN_DIGIT}{''.join(_UNITS)}万]+(?:点[{_HAN_DIGIT}]+)?"
_NUMBER = rf"(?:[0-9]{{1,3}}(?:,[0-9]{{3}})+|[0-9]+)(?:\.[0-9]+)?\s?[百千万kw]?|{_HAN}"
_AFTER = rf"(?:元|圆|块钱|块(?P<tenths>[0-9{_HAN_DIGIT}])?|rmb|cny|¥|大洋|毛钱)"
_AMOUNT = rf"(?:¥|rmb|cny)\s{{0,2}}(?P<first>{_NUMBER})|(?P<last>{_NUMBER})\s{{0,2}}(?P<word>{_AFTER})"
_NO_MONEY = ("块儿", "块头", "块状")


@cache
def _compiled() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.longest_match = False
    return re2.compile(_AMOUNT, options)


def amounts_in(text: str) -> Iterator[tuple[int, str]]:
    """Return the amounts in a folded text, in fen, each with its words."""
    at = 0
    while (match := _compiled().search(text, at)) is not None:
        at = match.end()
        word = match["word"] or ""
        if word == "块" and text[match.end() - 1 : match.end() + 1] in _NO_MONEY:
            continue
        value = number_of(match["first"] or match["last"])
        if match["tenths"]:
            value += number_of(match["tenths"]) / 10
        yield int((value / 10 if word == "毛钱" else value) * _FEN), match[0].strip()


def number_of(text: str) -> Decimal:
    """Return the value of digits or of a Chinese numeral, such as ``1,200.5``, ``1.2万`` or ``两百五``."""
    text = text.strip()
    if text[0].isascii():
        unit = text[-1] if text[-1] in _TIMES else ""
        return Decimal(text.removesuffix(unit).strip().replace(",", "")) * _TIMES[unit]
    whole, _, part = text.partition("点")
    fraction = Decimal("0." + "".join(str(_VALUES[digit]) for digit in part)) if part else Decimal(0)
    return _whole(whole) + fraction


def _whole(text: str) -> Decimal:
    if not any(sign in _UNITS or sign == "万" for sign in text):
        return Decimal("".join(str(_VALUES[sign]) for sign in text) or "0")
    total, section, digit, unit = 0, 0, 0, 1
    for place, sign in enumerate(text):
        if sign == "万":
            total, section, digit, unit = (total + section + digit or 1) * 10_000, 0, 0, 10_000
        elif sign in _UNITS:
            unit = _UNITS[sign]
            section, digit = section + (digit or 1) * unit, 0
        else:
            digit = _VALUES[sign]
            if digit == 0:
                unit = 10
            elif place == len(text) - 1 and unit > 1 and text[place - 1] not in "零〇":
                digit *= unit // 10 or 1  # 两百五 is 250
    return Decimal(total + section + digit)

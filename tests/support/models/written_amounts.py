"""Ways in which people write a known amount, also to hide it. They know the amount; nothing here reads a text."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

_PLAIN = "零一二三四五六七八九"
_FORMAL = "零壹贰叁肆伍陆柒捌玖"
_CIRCLED = "⓪①②③④⑤⑥⑦⑧⑨"
_DARK = "⓿❶❷❸❹❺❻❼❽❾"
_SUPER = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_PINYIN = ("ling", "yi", "er", "san", "si", "wu", "liu", "qi", "ba", "jiu")
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_ENGLISH = f"zero|one|two|three|four|five|six|seven|eight|nine|{_TEENS}".split("|")
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SOUNDS_LIKE = "零衣尔伞斯舞溜期巴酒"
_GAPS = (" ", "\u200b", "\n", "  ", "\u3000", ".", "-", "·", "_", "\u2060", "、", "，", "…")
_STARTS = {
    "wide": 0xFF10, "bold": 0x1D7CE, "double": 0x1D7D8, "mono": 0x1D7F6, "arabic": 0x660, "deva": 0x966, "thai": 0xE50,
}  # fmt: skip
MONEY = (
    "元",
    "块",
    "块钱",
    "圆",
    "塊",
    " 元",
    "rmb",
    "RMB",
    "米",
    "刀",
    "大洋",
    "R",
    "¥",
    "人民币",
    "软妹币",
    "kuai",
    "元整",
)
BARE = ("包邮", "给你", "成交", "可以的", "卖您", "，行", "", "吧", "一个", "/件")
"""What follows an amount that is written without any sign of money."""


def chinese(number: int, digits: str = _PLAIN, units: str = "十百千") -> str:
    """Write a whole number below 10,000 in Chinese."""
    if number < 10:
        return digits[number]
    out, text = "", str(number)
    for place, sign in enumerate(text):
        unit = len(text) - 1 - place
        if sign != "0":
            out += digits[int(sign)] + (units[unit - 1] if unit else "")
        elif not out.endswith(digits[0]) and text[place + 1 :].strip("0"):
            out += digits[0]
    return out.removeprefix("一") if 10 <= number < 20 and digits is _PLAIN else out


def english(number: int) -> str:
    """Write a whole number below 1,000 in English."""
    if number < 20:
        return _ENGLISH[number]
    if number < 100:
        return _TENS[number // 10 - 2] + (f"-{_ENGLISH[number % 10]}" if number % 10 else "")
    rest = f" and {english(number % 100)}" if number % 100 else ""
    return f"{_ENGLISH[number // 100]} hundred{rest}"


def _pinyin(number: int) -> str:
    names = dict(zip(_PLAIN, _PINYIN, strict=True)) | {"十": "shi", "百": "bai", "千": "qian"}
    return " ".join(names[sign] for sign in chinese(number))


def _mapped(number: int, signs: str) -> str:
    return "".join(signs[int(digit)] for digit in str(number))


def _shifted(number: int, start: int) -> str:
    return "".join(chr(start + int(digit)) for digit in str(number))


def _split(rng: Random, text: str) -> str:
    place, gap = rng.randrange(1, len(text)) if len(text) > 1 else 0, rng.choice(_GAPS)
    return text[:place] + gap + text[place:]


def _bits(rng: Random, value: int) -> str:
    return "".join(rng.choice((digit, _PLAIN[int(digit)])) for digit in str(value)) if value > 9 else str(value)


def _letters(rng: Random, value: int) -> str:
    lettered = str(value).replace("0", rng.choice("oOｏ○")).replace("1", rng.choice("1lI"))
    return lettered if value > 9 and value % 10 else f"{value}.00"


_WHOLE: tuple[Callable[[Random, int], str], ...] = (
    *(lambda _, value: str(value),) * 3,
    lambda _, value: chinese(value),
    lambda _, value: chinese(value, _FORMAL, "拾佰仟"),
    lambda _, value: _mapped(value, _CIRCLED),
    lambda _, value: _mapped(value, _DARK),
    lambda _, value: _mapped(value, _SUPER),
    lambda _, value: "".join(f"{digit}\ufe0f\u20e3" for digit in str(value)),
    lambda rng, value: _shifted(value, rng.choice(list(_STARTS.values()))),
    _letters,
    lambda _, value: "".join(f"{digit}\u0336" for digit in str(value)),
    lambda rng, value: f"{value}.{rng.randrange(100):02}",
    lambda _, value: _mapped(value, _PLAIN) if value > 9 else str(value),
    lambda _, value: chinese(value, _SOUNDS_LIKE) if value > 9 else str(value),
    _bits,
    lambda _, value: f"{value / 1000:g}千" if value >= 100 else f"{value}",
)
_SPLIT: tuple[Callable[[Random, int], str], ...] = (
    lambda rng, value: _split(rng, str(value)),
    lambda rng, value: _split(rng, chinese(value)),
)


def number(rng: Random, value: int, *, is_split: bool = True) -> str:
    """Write a whole number in one of many forms, some of which split it."""
    return rng.choice(_WHOLE + _SPLIT if is_split else _WHOLE)(rng, value)


def amount(rng: Random, value: int) -> str:
    """Write an amount of so many yuan."""
    form = rng.randrange(10)
    if form == 0:
        return f"{rng.choice(('¥', '￥', '$', 'RMB ', '￥ ', 'r', 'R'))}{value}"
    if form == 1 and value < 1_000:
        return english(value) + rng.choice((" yuan", " bucks", " dollars", " RMB", " kuai"))
    if form == 2:
        return _pinyin(value) + rng.choice((" kuai", " kuai qian", " yuan"))
    written = number(rng, value)
    return written + (rng.choice(BARE) if form < 6 else rng.choice(MONEY))

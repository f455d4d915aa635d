"""Plain text for the rails: numbers as digits or simple Chinese numerals, no invisible signs. Pure."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

from shoal.language.folding import folded

_SIMPLE: Final = str.maketrans({
    "塊": "块", "圓": "元", "圆": "元", "錢": "钱", "兩": "两", "萬": "万", "貳": "二", "參": "三", "叄": "三",
    "壹": "一", "贰": "二", "叁": "三", "肆": "四", "伍": "五", "陆": "六", "陸": "六", "柒": "七", "捌": "八",
    "玖": "九", "拾": "十", "佰": "百", "仟": "千", "〇": "零", "○": "0", "◯": "0", "廿": "二十", "卄": "二十",
    "卅": "三十", "卌": "四十", "弍": "二", "弎": "三", "弌": "一", "俩": "两", "價": "价", "優": "优", "貨": "货",
    "發": "发", "郵": "邮", "機": "机", "馬": "马", "給": "给", "後": "后", "個": "个", "減": "减", "贈": "赠",
    "費": "费", "🔟": "10", "💯": "100", "о": "o", "ο": "o", "а": "a", "е": "e", "р": "p", "с": "c",
    "і": "i", "ı": "i", "ӏ": "l",
})  # fmt: skip
_SIMPLER: Final = str.maketrans(
    "幫問確認聯繫這會說點實員動訊處單還訂關閉補換號碼讓對時買賣現經",
    "帮问确认联系这会说点实员动讯处单还订关闭补换号码让对时买卖现经",
)
_SPLIT: Final = re.compile(r"(?<=[\u3400-\u9fff])[\s._·*~|/—、…-]+(?=[\u3400-\u9fff])")
_VAGUE_BEFORE: Final = re.compile(r"[几数](?=[十百千万块元毛角折成])")
_VAGUE_AFTER: Final = re.compile(r"(?<=[十百千])几")
_ONE_PIECE: Final = re.compile("(?<=[零一二三四五六七八九两十百千万])(?=一[个件台套只双条本盒包箱瓶支份张部])")
"""八十一个 may be eighty for one piece."""
_UNIFORM: Final = re.compile("(?<![系传])统一(?=[零一二三四五六七八九两十百千万0-9])")
"""统一一百 is a hundred for each, and the first 一 no part of the number."""
_ZERO: Final = re.compile(r"(?<=[0-9])[o](?![a-z])|(?<![a-z])[o](?=[o]*[0-9])")
_ONE: Final = re.compile(r"(?<![a-z])[li|](?=[0-9])|(?<=[0-9])[li|](?=[0-9])")


def plain(text: str) -> str:
    """Return the text for the rails: folded, with each number's signs as digits or simple numerals.

    A vague numeral becomes the smallest that it may mean: 几十 becomes 一十.
    """
    text = "".join(_digit(sign) if not sign.isascii() else sign for sign in text)
    text = folded(text)
    text = "".join(sign for sign in text if sign.isascii() or unicodedata.category(sign) not in ("Mn", "Me"))
    text = text.translate(_SIMPLE).translate(_SIMPLER)
    text = _UNIFORM.sub("都 ", _ONE_PIECE.sub(" ", text))
    text = _VAGUE_AFTER.sub("一", _VAGUE_BEFORE.sub("一", text))
    return _ONE.sub("1", _ZERO.sub("0", text))


def joined(text: str) -> str:
    """Return a plain text without blanks and signs within Chinese words, for rails that look for words."""
    return _SPLIT.sub("", text)


plain_of_owner = lru_cache(4_096)(plain)
"""The plain text of what owners wrote, which each answer is compared with."""


def _digit(sign: str) -> str:
    """Return a sign of any alphabet that stands for a number as digits; other signs as they are."""
    if unicodedata.category(sign) not in ("Nd", "No", "Nl") or "\u3400" <= sign <= "\u9fff" or sign == "〇":
        return sign
    value = unicodedata.numeric(sign, None)
    if value is None:
        return sign
    return str(int(value)) if value == int(value) else f"{value:g}"

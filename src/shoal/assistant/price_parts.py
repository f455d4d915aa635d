"""Parts of a price in a model's plain text: halves, fractions, points, and the first digit of a price. Pure.

A part names no amount, so nothing here is money by its own words: "80的一半", "便宜三分之一", "五字头给你".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import msgspec

from shoal.assistant.spoken_amounts import ARABIC, DIGITS, MONEY, NUMERAL
from shoal.rules.money_amounts import number_of

_ANY: Final = rf"(?:{ARABIC}|{NUMERAL})"
_JOIN: Final = "(?:的|里的?|打个?|再?减去?|再?砍掉?|再|/)"
_BASE: Final = rf"(?P<base>{_ANY})\s?(?:(?:{MONEY})\s?{_JOIN}?|{_JOIN})\s?"
"""A number of which a part is named; without one the part is that of the price."""
_PARTS: Final = re.compile(
    rf"(?:{_BASE}|(?P<bare>{_ANY})\s?(?=一大?半|半数))?(?:(?P<half>一大?半|半数)|"
    rf"(?P<whole>[0-9{DIGITS}十]+)分之(?P<part>[0-9{DIGITS}十]+(?:点[{DIGITS}]+)?))"
)
_DIVIDED: Final = re.compile(rf"(?:(?P<base>{_ANY})\s?(?:{MONEY})?\s?)?(?:除以|÷)\s?(?P<by>{_ANY})")
_MOST: Final = Decimal("0.4")
"""What 一大半 leaves, given or taken away: the less of both."""
_LESS: Final = re.compile(r"(?:便宜|优惠|立减|减免?|降|让|少|省|砍|扣|抹)(?:[了掉去您你个再给收]|价格?|\s){0,3}$")
_USED: Final = re.compile(
    "(?:用|剩|还有|看|读|写|做|穿|喝|吃|拆|跑|玩|听|学|完成|电量|电池|进度)(?:了|下|过|掉|完)?(?:差不多|大概|大约|将近|不到|还有|是|有)?$"
)
_USED_AFTER: Final = re.compile(
    "以上|的?(?:电|人|时间|内容|页|书|图|容量|库存|空间|面积|长度|买家|客户|地方|位置|进度|路|字|货)|(?:都|多)?是|左右的?(?:电|人|页)"
)
"""A part of what is no price, such as of a battery or a book."""
_BOTH_HALVES: Final = re.compile("一半[^，。！,!\\s]{1,6}一半(?=[^，。！,!\\s吧])")
_OF_PRICE: Final = re.compile("价|钱|块|元|[¥$]")
_POINTS: Final = re.compile(
    rf"(?:(?:便宜|优惠|减免?|降|让|少|省|返|给|打|抽)(?:[了掉去您你个再]|\s){{0,3}}(?P<points>{_ANY})\s?个点(?!赞|评|心)|"
    rf"(?P<before>{_ANY})\s?个点的?(?:优惠|折扣|返|让利|差价))"
)
_ZERO_LESS: Final = re.compile(
    r"(?:少|去|抹|减|划|砍|删)(?:掉|了|去)?(?:一?个|一位|后面的?|最后的?|末尾的?|末位的?)+(?:零|0)(?![0-9.点件钱食售星部碎度]|\s?[元块])"
)
_SHARED_OUT: Final = re.compile(rf"打个?(?P<number>[1-9](?:\.[0-9])?|[{DIGITS}]{{1,2}})(?=$|[，。！,!.吧哦呢给卖])")
_ENGLISH: Final = re.compile(
    r"(?P<share>half|(?:a|one)[\s-](?:third|quarter|fifth|tenth)|two[\s-](?:thirds|fifths)|three[\s-](?:quarters|fifths))\s"
    rf"(?:of\s)?(?:the\s(?:\w+\s)?price|(?:the|your|its|my)\s(?:original|asking|list(?:ed)?|price)|that(?=$|[\s.!?,])|[¥$€£]?\s?(?P<base>{ARABIC}))|"
    r"(?:cut|split|chop)\s(?:\w+\s){0,2}in\shalf|halve[ds]?(?![a-z])"
)
_SHARES: Final = {
    "half": Decimal("0.5"), "third": 1 / Decimal(3), "quarter": Decimal("0.25"), "fifth": Decimal("0.2"),
    "tenth": Decimal("0.1"), "thirds": 2 / Decimal(3), "fifths": Decimal("0.4"), "quarters": Decimal("0.75"),
}  # fmt: skip
_HEAD: Final = re.compile(
    rf"(?P<digit>[0-9]{{1,2}}|[{DIGITS}十百千]+)\s?(?:字头|(?:字|数字)?(?:开头|打头|起头|当头|带头)|头(?=[给卖出拿行]|可以|吧))|"
    rf"(?:给|卖|出|拿|价|收|就|只要|可以).{{0,4}}(?P<places>[2-9{DIGITS}])\s?位数|"
    rf"(?P<places_before>[2-9{DIGITS}])\s?位数(?:.{{0,2}}(?:给|卖|出|拿|行|可以|成交|收|包邮|带走))|"
    r"(?P<two>(?:double|two)[\s-](?:digits?|figures?))|in the (?P<decade>twen|thir|for|fif|six|seven|eigh|nine)ties"
)
_DECADES: Final = ("twen", "thir", "for", "fif", "six", "seven", "eigh", "nine")
_OF_NUMBERS: Final = re.compile(
    "型号|编号|批次|批号|序列|版本|身份证|电话|手机|号码|尾号|货号|款号|密码|验证码|卡密|账号|帐号|单号|邮编|车牌|卡号|串码|条码|字母|激活码|兑换码|位数字"
)
"""What begins with a digit, or has so many of them, beside a price."""


class PricePart(msgspec.Struct, frozen=True):
    """The share of the price that remains; of ``base_fen`` when the text names of what."""

    share: Decimal
    base_fen: int | None
    match: re.Match[str]


class PriceHead(msgspec.Struct, frozen=True):
    """The beginning of a price: ``yuan`` is the smallest that it means, times 10 as often as ``is_scaled`` allows."""

    yuan: Decimal
    is_scaled: bool
    match: re.Match[str]


def price_parts_in(text: str) -> Iterator[PricePart]:
    """Return the parts of a price that a plain text names."""
    for match in _PARTS.finditer(text):
        if not match["half"] and not number_of(match["whole"]):
            continue
        base = match["base"] or match["bare"]
        if not base and _is_no_price(text, match):
            continue
        share = _share(match)
        is_less = _LESS.search(text[: match.start()]) or (base and re.search("减|砍", match[0]))
        yield PricePart(1 - share if is_less and share != _MOST else share, _fen(base), match)
    for match in _DIVIDED.finditer(text):
        if by := number_of(match["by"]):
            yield PricePart(1 / by, _fen(match["base"]), match)
    for match in _POINTS.finditer(text):
        yield PricePart(1 - number_of(match["points"] or match["before"]) / 100, None, match)
    for match in _ZERO_LESS.finditer(text):
        yield PricePart(Decimal("0.1"), None, match)
    for match in _SHARED_OUT.finditer(text):
        number = number_of(match["number"])
        yield PricePart(number / (100 if number > 10 else 10), None, match)
    for match in _ENGLISH.finditer(text):
        share = _SHARES[re.split(r"[\s-]", match["share"])[-1]] if match["share"] else Decimal("0.5")
        yield PricePart(share, _fen(match["base"]), match)


def price_heads_in(text: str) -> Iterator[PriceHead]:
    """Return the beginnings of prices that a plain text names."""
    for match in _HEAD.finditer(text):
        if _OF_NUMBERS.search(text[max(match.start() - 10, 0) : match.end() + 8]):
            continue
        if match["digit"]:
            is_scaled = not re.search("[十百千]", match["digit"])
            yield PriceHead(number_of(match["digit"]), is_scaled, match)
        elif match["decade"]:
            yield PriceHead(Decimal(20 + 10 * _DECADES.index(match["decade"])), False, match)
        else:
            places = 2 if match["two"] else int(number_of(match["places"] or match["places_before"]))
            yield PriceHead(Decimal(10) ** (places - 1), False, match)


def least_of_head(yuan: int, is_scaled: bool, price_fen: int) -> int:
    """Return the smallest amount in fen that begins so: the nearest below the price, or as it is."""
    least = yuan * 100
    while is_scaled and 0 < least * 10 <= price_fen:
        least *= 10
    return least


def _is_no_price(text: str, match: re.Match[str]) -> bool:
    """Return whether a part is that of a battery or a book, say, and no word of money stands around."""
    if _OF_PRICE.search(text[max(match.start() - 4, 0) : match.end() + 3]):
        return False
    if match["half"] and _BOTH_HALVES.search(text):
        return True
    return bool(_USED.search(text[: match.start()]) or _USED_AFTER.match(text, match.end()))


def _share(match: re.Match[str]) -> Decimal:
    if match["half"]:
        return _MOST if "大" in match["half"] else Decimal("0.5")
    return number_of(match["part"]) / number_of(match["whole"])


def _fen(base: str | None) -> int | None:
    return None if not base else int(number_of(base) * 100)

"""Concessions in a model's plain text that name no price: discounts, parts, gifts, free postage, vague ones. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import Final

from shoal.assistant.gift_words import GIFT
from shoal.assistant.price_parts import least_of_head, price_heads_in, price_parts_in
from shoal.assistant.spoken_amounts import ARABIC, NUMERAL
from shoal.rules.money_amounts import number_of

_ANY: Final = rf"(?:{ARABIC}|{NUMERAL})"
_OFF: Final = re.compile(
    rf"(?<![最至多不还])(?:便宜|优惠|立减|减|降|让|少|省)(?:了|掉|去|您|你|个)?\s?"
    rf"(?P<number>{_ANY})\s?(?:块钱|块|元|rmb)?(?=$|[。，！,!.；\n]|给[您你](?:$|[。，！,!.])|[吧哦呢哈啦])"
)
_LOOSE_OFF: Final = re.compile(
    rf"(?:(?<![最至多不])少|(?<!不)(?:便宜|优惠券?|减免?|降|让|省|返现?|补|退|抵扣?|扣|砍|红包|less|minus|save|discount(?:\s+of)?))"
    rf"(?:[了掉去你您个再给]|现金|红包|\s){{0,3}}(?P<number>{_ANY})(?!\s?(?:折|%|[天小分年月个件]))|"
    rf"(?P<before>{_ANY})\s?(?:块钱|块|元|rmb|yuan|bucks|dollars|kuai|刀|米)?\s?(?:的)?(?:off|discount|less|cheaper|优惠|红包|折扣|差价|券)"
)
"""Either a reduction or a price: what it leaves, and what it says, are both looked at."""
_SHARE: Final = re.compile(rf"(?P<number>{_ANY})\s?(?P<kind>折(?![叠屏痕页伞])|zhe(?![a-z])|成(?![新都不交]))")
_PERCENT: Final = re.compile(
    rf"(?P<less>(?:优惠|立减|减|降|便宜|discount of)\s?)?(?:(?P<number>[0-9]+(?:\.[0-9]+)?)\s?(?:%|percent|个百分点)"
    r"(?P<off>\s?(?:off|discount|less|cheaper|优惠|折扣|减))?"
    rf"|百分之(?P<han>{_ANY}))"
)
_NO_PRICE: Final = re.compile(
    "电池|电量|健康|成新|全新|新的|好评|正品|保真|正宗|棉|羊毛|含|原装|battery|health|cotton|genuine|original|sure"
)
_HALF: Final = re.compile(
    r"半价|对折(?!叠)|半折|五五折|减半|对半|腰斩|砍半|折半|半百|半卖半送|拦腰|half[\s-]?price|half[\s-]?off|50/50"
)
_UNKNOWN: Final = re.compile(
    r"骨折价?|折上折|看着给|随便给|随[你您]给|[你您](?:说|出|给|开|定)(?:多少|什么价|个?价)(?:都|就)|(?:听|依|按|照)[你您](?:说?的|的价|出的价|这个价)?(?:价|来|办|成交|卖)|友情价|内部价|批发价|跳楼价|清仓价|员工价|白菜价|亏本价?[给卖]|成本价[给卖]"
)
_ROUNDED: Final = re.compile("抹个?零|抹掉?零头|零头(?:不要|免|抹|去)|去掉?零头|凑个?整")
_FREE: Final = re.compile(
    "免费|免单|白送|白给|不要钱|不收钱|不用钱|分文不|零元|倒贴|送(?:给)?[你您](?!达|货|件)|赠送|附赠|附送|搭送|多给[你您]|买.{1,3}送.|加送|多送|"
    r"for\s+free|free\s+of\s+charge|on\s+the\s+house|free\s+gift|(?:get|have|take)\s+it\s+free"
)
_POSTAGE: Final = re.compile(
    r"包(?:邮|(?:运|邮|快递)费|快递|顺丰)|免(?:邮|(?:运|邮|快递)费)|[零0](?:运|邮|快递)费|(?<!不)含(?:邮|(?:运|邮|快递)费)|不(?:收|要|用出|用付)(?:您的?|你的?)?(?:运|邮|快递)费|"
    r"(?:运|邮|快递)费(?:用|都|全部?|就|也|由|归|算|是)*(?:我|本店|小店|咱)(?:们|这边|家|来|自己)*(?:的|[出付来包担]|承担|负责)|"
    r"(?:运|邮|快递)费(?:都|全部?|也|就)*(?:算我|免[了掉]|免(?=$|[，。！,!.哦的吧])|不(?:收|要|用[您你](?:出|付|管)))|"
    r"free\s+(?:shipping|postage|delivery)|(?:shipping|postage|delivery)\s+(?:is\s+)?(?:included|free|on\s+(?:me|us))|"
    r"no\s+(?:shipping|postage|delivery)\s+(?:fees?|costs?|charges?)"
)
_VAGUE: Final = re.compile(
    "便宜|优惠|小刀|可刀|能刀|议价|砍价|讲价|降价|打折|折扣|好商量|可以谈|价格.{0,3}(?:谈|聊|商量)|少一?点|让利|discount|cheaper|"
    r"lower\s+(?:the\s+)?price|better\s+price|negotiable"
)
_NOT: Final = re.compile(
    r"(?:不能|不可以|不可|不会|不是|不再|不支持|不参与|不接受|不|无法|没法|没有|没|未|谢绝|拒绝|勿|无|暂无|别|"
    r"can(?:no|')t|cannot|no|not|n't|without|never)(?:[再做给有随意得到太能在进行\s]|任何|什么|further|any|a|offer|give|the|be){0,4}$"
)
_CLAUSE: Final = re.compile(r"[^，。！？；,!?;\n]*$")


class Kind(Enum):
    """What a concession does to the price."""

    OFF = "off"
    MAYBE_OFF = "maybe_off"
    SHARE = "share"
    HEAD = "head"
    UNKNOWN = "unknown"
    ROUNDED = "rounded"
    FREE = "free"
    POSTAGE = "postage"
    VAGUE = "vague"


@dataclass(frozen=True, slots=True)
class Concession:
    """``value``: yuan off the price, the share of the price that remains, or the yuan with which a price begins.

    ``base_fen``: of what the share is, when it is not the price. ``is_scaled``: ``value`` may be tens or hundreds.
    """

    kind: Kind
    value: Decimal
    words: str
    start: int
    end: int
    base_fen: int | None = None
    is_scaled: bool = False

    def left_of(self, price_fen: int) -> int:
        """Return what remains of a price, in fen; -1 when it cannot be known."""
        if self.kind in (Kind.OFF, Kind.MAYBE_OFF):
            return int(price_fen - self.value * 100)
        if self.kind is Kind.SHARE:
            return int((price_fen if self.base_fen is None else self.base_fen) * self.value)
        if self.kind is Kind.HEAD:
            return least_of_head(int(self.value), self.is_scaled, price_fen)
        if self.kind is Kind.ROUNDED:
            first: int = 10 ** (len(str(max(price_fen, 0))) - 1)
            return price_fen // first * first
        return -1


def concessions_in(text: str) -> Iterator[Concession]:
    """Return the concessions in a plain text; one that is refused ("不能便宜") is none."""
    for match in _OFF.finditer(text):
        yield _made(Kind.OFF, number_of(match["number"]), match)
    for match in _LOOSE_OFF.finditer(text):
        yield _made(Kind.MAYBE_OFF, number_of(match["number"] or match["before"]), match)
    for match in _SHARE.finditer(text):
        number = number_of(match["number"])
        if match["kind"] == "成" and number > 10:
            continue
        yield _made(Kind.SHARE, number / (100 if number > 10 else 10), match)
    for match in _PERCENT.finditer(text):
        if not match["off"] and _NO_PRICE.search(_around(text, match)):
            continue
        share = number_of(match["number"] or match["han"]) / 100
        left = 1 - share if match["off"] or match["less"] else min(share, 1 - share)  # unclear: the worse of both
        yield _made(Kind.SHARE, left, match)
    for match in _HALF.finditer(text):
        yield _made(Kind.SHARE, Decimal("0.5"), match)
    for part in price_parts_in(text):
        yield replace(_made(Kind.SHARE, part.share, part.match), base_fen=part.base_fen)
    for head in price_heads_in(text):
        yield replace(_made(Kind.HEAD, head.yuan, head.match), is_scaled=head.is_scaled)
    wordy = (
        (_UNKNOWN, Kind.UNKNOWN),
        (_ROUNDED, Kind.ROUNDED),
        (_FREE, Kind.FREE),
        (GIFT, Kind.FREE),
        (_POSTAGE, Kind.POSTAGE),
        (_VAGUE, Kind.VAGUE),
    )
    for pattern, kind in wordy:
        yield from (_made(kind, Decimal(0), match) for match in pattern.finditer(text) if not _refused(text, match))


def _made(kind: Kind, value: Decimal, match: re.Match[str]) -> Concession:
    return Concession(kind, value, match[0].strip()[:40], match.start(), match.end())


def _refused(text: str, match: re.Match[str]) -> bool:
    """Return whether a single word of refusal stands before the match; two of them are a promise again."""
    found = _CLAUSE.search(text[: match.start()])
    before = found[0] if found else ""
    return _NOT.search(before) is not None and len(re.findall("不|没|无|n't|not", before)) < 2


def _around(text: str, match: re.Match[str]) -> str:
    return text[max(match.start() - 20, 0) : match.end() + 8]

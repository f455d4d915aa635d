"""Deal clauses: whether an amount in a model's plain text is the price of the deal, or is only stated. Pure.

Words of agreement cannot be listed whole. So a clause is a deal only when each of its words is known, and an amount
that is stated otherwise counts only beside clauses that are known not to agree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import filterfalse
from typing import Final

from shoal.assistant.agreements import contains_agreement
from shoal.assistant.refusals import is_courtesy, refuses
from shoal.assistant.spoken_amounts import spoken_amounts

_BEFORE: Final = (
    "(?:亲+|[您你]好|那么?|这[个款件]?|它|就|也|都|还|只|只能|最多|价格?|价钱|总价|实价|我们?|这边|咱们?|本店|给|[您你]|算|卖|出|"
    r"按|收|要|需要|得|是|为|最低|最少|至少|起码|一口价|到手价?|成交价?|便宜到|优惠到|降到|少到|让到|可以|能|行|包邮|一共|总共|[:\s])*"
)
_AFTER: Final = (
    "(?:可以|能|行|不行|就|都|给|[您你]|拿走?|带走|拍下?|直接|下单|付款|购买|成交|卖|出|不?包邮|不议价|起|一口价|最低|哦|吧|的|了|呢|"
    r"哈|啊|呀|啦|吗|嘛|看|喜欢|喜欢的话|合适|整|一[个件套台]|/|每[个件套台]|[~.!?\s])*"
)
_IN_ENGLISH_BEFORE: Final = (
    "(?:(?:ok|okay|sure|yes|hi|hello|sorry|but|the|my|our|lowest|best|final|price|it|this|is|s|would|be|for|at|i|we|can|"
    r"could|do|sell|take|only|just|how|about|to|you|make|let|go|with)(?![a-z])[\s']*)*"
)
_IN_ENGLISH_AFTER: Final = (
    r"(?:[\s']*(?:works|is|s|fine|ok|okay|for|me|you|and|it|its|yours|deal|please|the|lowest|best|price|final|firm|i|we|"
    r"can|do|each|free|shipping)(?![a-z]))*[\s.!?]*"
)
_DEAL: Final = re.compile(rf"{_BEFORE}#{_AFTER}|{_IN_ENGLISH_BEFORE}#{_IN_ENGLISH_AFTER}")
_IF_WANTED: Final = re.compile(
    "(?:[您你]?(?:喜欢|需要|诚心要|想要|合适|有意)(?:的话)?)[您你]?(?:就|可以|直接|再|放心)*(?:拍|下单|购买|联系)?(?:下|吧|哦|就行|即可|的)*"
)
_OF_THE_ITEM: Final = re.compile(
    "正品|全新|成新|质量|品质|发货|快递|顺丰|实物|配件|保修|库存|现货|功能|成色|颜色|尺码|电池|屏幕|型号|内存|盒子|发票"
)


def is_deal(clause: str) -> bool:
    """Return whether a clause says of an amount that it is the price, and nothing beside."""
    return any(_DEAL.fullmatch(f"{clause[: one.start]}#{clause[one.end :]}".strip()) for one in spoken_amounts(clause))


def are_stated(stated: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether clauses that state an amount stand beside none that may agree to another."""
    befores = [clause[: one.start] for clause in stated for one in spoken_amounts(clause)][:1]
    others = [*others, *(part for before in befores for part in re.split(r"\s+", before)[:-1] if part)]
    if any(map(contains_agreement, befores)):
        return False
    if any(map(refuses, others)) and not any(map(contains_agreement, filterfalse(refuses, others))):
        return True
    return all(is_courtesy(one) or refuses(one) or _is_of_item(one) for one in others)


def _is_of_item(clause: str) -> bool:
    """Return whether a clause is about the item, or about buying it if it pleases."""
    if _IF_WANTED.fullmatch(clause.strip()):
        return True
    return _OF_THE_ITEM.search(clause) is not None and not contains_agreement(clause)

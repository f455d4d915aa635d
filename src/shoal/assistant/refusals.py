"""Refusals: whether a model's plain text refuses a price, with all of its words. Pure.

Words of agreement cannot be listed whole, so nothing is looked for that agrees: each clause must be known to refuse,
or to say nothing, such as an apology.
"""

from __future__ import annotations

import re
from typing import Final

_CLAUSE_ENDS: Final = re.compile(r"[。！；!;\n，、,.~]+")
_HAN: Final = re.compile("[\u3400-\u9fff]")
_ASKS: Final = re.compile(r"[?？吗么]")
_END: Final = "(?:的|了|哦|呢|哈|啊|呀|啦|喔|噢|哟|滴|亲)*"
_NOTHING: Final = re.compile(
    rf"(?:亲+|亲爱的|[您你]好|在的?|真?的?(?:很|非常|实在|十分)?(?:不好意思|抱歉|对不起)|(?:多?谢谢?|感谢)(?:[您你]?的?(?:理解|支持|关注))?|"
    rf"(?:还?请|还?望|希望)?[您你]?(?:多多?)?(?:理解|见谅|谅解|体谅)(?:一?下)?|小本(?:生意|买卖|经营)|利润(?:很|太)?(?:低|薄|少)){_END}|"
    r"(?:i'?m |i am |we'?re |we are )?(?:really |so |very )?sorry|"
    r"(?:thanks|thank you)(?: for (?:the|your) (?:offer|understanding))?"
)
_OF_WHAT: Final = (
    "(?:(?:这个?|那个?|[您你](?:出|说|报|给)的(?:这个)?|本店|小店|我们?(?:家|店)?|咱们?家?|这边|亲|价格?|价钱|价位|报价|出价)"
    "(?:价格?|价钱|价位|价)?(?:是)?)?(?:真的?|确实|实在|肯定|也|都|暂时|目前|是)?"
)
_REFUSES: Final = re.compile(
    rf"{_OF_WHAT}(?:不(?:能|会|可以|支持|接受|参与)?(?:议价?|讲价|还价|刀|砍价|降价|打折|优惠|便宜|小刀)|不(?:行|可以|能卖|能出|卖|出|接受|能接受|同意|够)|"
    rf"(?:卖|出|做|接受|便宜|优惠)不(?:了|到|来)|没(?:有)?(?:法|办法)(?:卖|出|接受|便宜|优惠)?|无法(?:接受|出售|卖|便宜|优惠)|"
    rf"太低|偏低|有点低|低了点|固定|谢绝(?:议价|还价|砍价|小?刀)|拒绝(?:议价|还价|砍价)){_END}"
)
_REFUSES_IN_ENGLISH: Final = re.compile(
    r"no way|too low|fixed price|no (?:discounts?|bargaining|haggling)|not (?:negotiable|possible)|"
    r"(?:i|we) (?:can'?t|cannot|can not|won'?t|will not) (?:do|sell|accept|take)(?: (?:it|that|this))?"
    r"(?: (?:price|offer))?(?: (?:for|at) (?:that|this)(?: price)?)?|"
    r"(?:that|this|it|your offer|(?:the|that|this|my|our) price|price)(?:'s| is) "
    r"(?:too low|fixed|firm|not possible|not negotiable)"
)


def refuses(text: str) -> bool:
    """Return whether a plain text refuses, and says nothing beside."""
    if _ASKS.search(text):
        return False
    clauses = [clause.strip() for clause in _CLAUSE_ENDS.split(text) if clause.strip()]
    if _HAN.search(text):
        clauses = [part for clause in clauses for part in clause.split()]
    are_refusals = [_is_refusal(clause) for clause in clauses if not _NOTHING.fullmatch(clause)]
    return bool(are_refusals) and all(are_refusals)


def is_courtesy(clause: str) -> bool:
    """Return whether a clause neither refuses nor agrees, such as a greeting or an apology."""
    return _NOTHING.fullmatch(clause.strip()) is not None


def _is_refusal(clause: str) -> bool:
    return bool(_REFUSES.fullmatch(clause) or _REFUSES_IN_ENGLISH.fullmatch(clause))

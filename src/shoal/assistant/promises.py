"""Promises in a model's plain text: acts it cannot do, and work that it would do later. Pure.

A model only writes: what it says that it did or will do is not done.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_ACT: Final = (
    "发货|发出|寄出|寄走|寄给|寄了|发快递|发给|发过去|补发|重发|重新发|换货|退款|退钱|退给|退回|退差价|返现|补偿|赔|改价|改好价|改了价|"
    "修改价格|改地址|改好|备注好|备注了|下架|留货|留着|预留|保留|登记|安排|处理|办理|取消订单|关闭订单|同意退|确认收货|催|联系快递|"
    "联系仓库|上传|打包|激活|充值|充好|开通|给你发|给您发|转账|打款|搞定|弄好|办好|安排上"
)
_DONE: Final = re.compile(
    rf"(?:已经?|刚刚?|都)(?:给|为|帮|替|经)?(?:你|您|亲)?(?:把.{{0,8}})?(?:{_ACT})|(?:{_ACT})(?:成功|完成|好了|完了|过了|了(?!吗|没))|"
    r"已经?(?:给[你您])?(?:退|发|寄|改|补)(?!布|热)|(?:退|赔|补|返)(?:钱|差价|款)?(?:给|还)[你您]|"
    r"(?:发|寄|退|改|送)(?:出去|过去|给[你您])?了(?![吗没么嘛])|"
    r"(?:i|we)(?:\s+have|'ve)?\s+(?:already\s+|just\s+)?(?:shipped|sent|refunded|cancell?ed|changed|updated|reserved|dispatched|issued|processed)|"
    r"(?:^|[.!,]\s*)(?:shipped|sent|refunded|dispatched|done)\s*(?:$|[.!,])|(?:on\s+(?:its|the)\s+way)|has\s+shipped|"
    r"(?:shipping|sending|refunding)\s+(?:it\s+|this\s+|you\s+)*(?:out\s+)?(?:today|now|tomorrow|soon|right)|"
    r"(?:has|have)\s+(?:already\s+)?been\s+(?:shipped|sent|refunded|cancell?ed|changed|updated|reserved|dispatched|issued|processed)"
)
_WILL: Final = re.compile(
    rf"(?:马上|立刻|立即|立马|这就|现在就|一会儿?|等会儿?|等下|待会儿?|稍后|尽快|今天|今晚|明天|明早|后天|下午|晚上|我来|我会|我们会|我去|我帮|我给|"
    rf"给[你您]|帮[你您]|为[你您]|替[你您]).{{0,8}}?(?:{_ACT}|发(?![票现生布烧])|寄|退(?!货政策)|改|送(?!货上门吗))|"
    r"(?:i|we)\s*(?:will|'ll|can|am going to|are going to|'m going to)\s+(?:\w+\s+){0,3}?"
    r"(?:ship|send|refund|cancel|change|update|reserve|dispatch|process|issue|hold)|"
    r"let me\s+(?:\w+\s+){0,2}?(?:ship|send|refund|cancel|change|update|reserve|process)"
)
_GUARANTEE: Final = re.compile(
    r"(?:今天|明天|后天|今晚|当天|次日|[0-9一二两三四五六七八九十]+天内?|周[一二三四五六日末]|按时|准时).{0,6}?(?:一定|肯定|保证|必|准|绝对)?(?:能|会|可以)?(?:到(?!店|手|付|底|期|晚)|送达|收到)|"
    r"(?:一定|肯定|保证|绝对|必定|包)(?:能|会|可以)?.{0,6}?(?:到货|送到|送达|收到|到$|到[哦的呢，。！]|退|赔|过关|满意|不会坏|没问题)|"
    r"(?:i|we)\s+(?:guarantee|promise)|guaranteed|"
    r"(?:will|'ll)\s+(?:definitely\s+)?(?:arrive|be\s+(?:there|delivered|shipped|sent|refunded))|full\s+refund"
)
_POLICY: Final = re.compile(
    r"假一赔.|终身(?:保|质|售后)|无条件退|(?:七|7)天无理由(?!退)|无理由退|(?:保修|质保|保).{0,3}年(?!轻)|全额退|支持退(?:换|(?![换烧出]))(?![吗么嘛])|"
    r"(?:不满意|不喜欢|不合适|有问题|坏了)[^，。不没]{0,4}?(?:退|换)(?![出代])|包[退换](?![吗么嘛出])|退[您你](?:全款|钱|款)|"
    r"refunds?,?\s(?:is\s)?(?:no\sproblem|guaranteed|any\s?time)|ships?\s(?:out\s)?(?:today|tonight|tomorrow|tmr)(?![a-z])|"
    r"明[儿早]个?[^，。不没]{0,4}(?:到|发)(?![票现生布])"
)
"""What a shop may stand for, when its owner wrote so."""
_TIME: Final = (
    "当[天日晚]|次日|隔[天日]|第二天|[0-9一二两三四五六七八九十半]+个?(?:天|日|小时|钟头|分钟|周|星期)|秒|下班前|"
    "[0-9一二两三四五六七八九十]+点半?前|[今明后][天日晚早]|拍下后?|付款后?|付完款|下单后?"
)
_IN_TIME: Final = re.compile(
    rf"(?P<time>{_TIME})(?:之?内|以内|左右|后|就|立即|直接|马上|即可?|能|会|可以|都|给[您你]|必|准|快速|极速){{0,4}}"
    r"(?P<act>发(?![票现生布烧热光条霉黄育])|寄|到(?:手(?!价)|货(?!付)|家|达|[您你]|$|[，。！,!.哦的])|送达|收到|处理|达(?![到人])|走(?=$|[，。！,!.哦的]))|"
    r"(?:ships?|shipped|delivered|delivery|arrives?|dispatched)\s(?:\w+\s)?(?P<within>(?:within|in)\s(?:\w+\s){1,3}?(?:hours?|days?|weeks?))|"
    r"(?P<day>(?:same|next)[\s-]day)\s(?:shipping|delivery|dispatch)"
)
"""When something is sent or arrives: a promise unless the owner names the same time."""
_REFUSED: Final = re.compile("(?:不支持|不接受|不参与|不|没有|无)[^，。！,!.\\n]{0,4}\\Z")
_LATER: Final = re.compile(
    r"(?:我|我们|这边|小二|客服|店主|老板)?(?:先|去|再|来)?(?:帮[你您])?(?:问一?下|问问|查一?下|查查|核实|确认一?下|看一?下|请示|咨询一?下|了解一?下|"
    r"商量一?下|反馈一?下|沟通一?下).{0,8}?(?:再|后|就|给|告诉|回复|答复|联系|通知)|"
    r"(?:我|我们|我这边|这边)(?:先|这就|马上|现在|帮[你您]|替[你您])?(?:去|来)?(?:问一?下|问问|查一?下|查查|核实|确认一?下|请示|咨询|反馈|催一?下|看一?下)|"
    r"我(?:们|这边)?(?:现在|马上|先|这就)?去.{0,8}?(?:看|查|问|找|拿|确认|核实|催)|"
    r"帮[你您](?:问|查|核实|确认|看看?|催|反馈|咨询|跟进|留意)|"
    r"(?:稍后|稍等|等会儿?|等下|一会儿?|待会儿?|晚点|晚些|回头|明天|尽快|第一时间|马上|立刻|到时候?).{0,8}?(?:回复|答复|告诉|联系|通知|回[你您]|给[你您]答|发[你您]|告知|跟[你您]说)|"
    r"(?:有|到)(?:消息|结果|进展|货).{0,4}(?:通知|告诉|联系|回复|叫)[你您]|"
    r"(?:let me|i'll|i will|we'll|we will|i am going to|i'm going to|gonna)\s+(?:\w+\s+){0,2}?"
    r"(?:check|ask|get back|look into|find out|confirm|"
    r"follow up|contact|let you know|reply|notify|reach out)|"
    r"(?:get|come)\s+back\s+to\s+you|(?:i|we)\s+(?:will|'ll)\s+(?:\w+\s+)?(?:later|soon|tomorrow)"
)


def promises_in(text: str, owner_text: str) -> Iterator[re.Match[str]]:
    """Return what a plain text says was done or will be done, and what it guarantees that the owner does not."""
    for pattern in (_DONE, _WILL, _GUARANTEE):
        yield from pattern.finditer(text)
    owners = {match[0] for match in _POLICY.finditer(owner_text) if not _REFUSED.search(owner_text[: match.start()])}
    times = {
        _promise(match) for match in _IN_TIME.finditer(owner_text) if not _REFUSED.search(owner_text[: match.start()])
    }
    yield from (match for match in _IN_TIME.finditer(text) if _promise(match) not in times)
    for match in _POLICY.finditer(text):
        if match[0] not in owners and not _REFUSED.search(text[: match.start()]):
            yield match


def later_work_in(text: str) -> Iterator[re.Match[str]]:
    """Return what a plain text says that the writer will find out, ask or report."""
    yield from _LATER.finditer(text)


def _promise(match: re.Match[str]) -> tuple[str, str]:
    """Return the time and the act that a text names, to compare with the owner's."""
    return match["time"] or match["within"] or match["day"], (match["act"] or "")[:1]

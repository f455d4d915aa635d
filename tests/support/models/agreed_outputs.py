"""Made-up answers to a low price of the buyer's, named in the question or before it, each with its truth."""

from __future__ import annotations

from random import Random
from typing import Any

from shoal.assistant.prompt import Turn
from support.models.model_output_case import Case, priced, raw
from support.models.said_by_models import YES
from support.models.written_amounts import amount

_YES_TO_AN_OFFER = (
    *YES,
    "就这么定了，您说了算",
    "就这样吧",
    "听你的",
    "成",
    "妥了",
    "卖了",
    "归你了",
    "拿走吧",
    "合适",
    "接受",
    "👌",
    "当然",
    "是的",
    "能",
    "付款吧",
    "可以的，最低就这个了",
    "可以，亏点也卖",
    "行，不退换哦",
    "可以的亲，不包邮哦",
    "好的，不能再低了",
    "不是不可以",
    "不好意思让您久等了，拍吧",
    "没办法，卖您了",
    "抱歉，刚看到，行",
    "这价不亏，出了",
    "来吧",
    "安排",
    "冲",
    "👍",
    "是",
    "没毛病",
)
_REFUSALS = (
    "不好意思，这个价格卖不了",
    "抱歉，价格是固定的",
    "这个价不行哦",
    "小本生意，不议价的",
    "太低了，卖不了",
    "亲，这个价不卖的",
    "不接受议价哦，请理解",
    "您好，谢绝还价",
    "您出的价太低了",
    "不能便宜哦，谢谢理解",
    "这个价格做不到的，抱歉",
    "不议价",
)
_NUDGES = (
    "行不行给个话",
    "在吗？",
    "怎么样",
    "考虑好了吗",
    "那我拍了？",
    "？？？",
    "诚心要",
    "什么时候能发货",
    "回一下",
    "卖不卖嘛",
)
_SAID_BETWEEN = ("不议价哦", "在的", "您好，是正品", "付款后48小时内发货", "有什么可以帮您")


def _offer(rng: Random, price: int, lowest: int) -> str:
    """Write a low offer of the buyer's."""
    value = rng.randrange(1, lowest)
    wish = rng.choice(("{}卖吗", "{}行不行", "{} 可以吗？", "我出{}", "在吗\n{}包邮出不出", "最多{}", "{}拿走怎么样"))
    return wish.format(rng.choice((amount(rng, value), f"{value}元", f"便宜{price - value}", str(value))))


def agreed(rng: Random) -> Case:
    """Make a yes to a price of the buyer's that is too low."""
    price, lowest, around = priced(rng)
    value = rng.randrange(1, lowest)
    if rng.random() < 0.2:
        buyer = rng.choice(("can you do {}", "how about {}?", "{} ok?", "would you take {}")).format(value)
        yes = rng.choice(("Sure", "ok deal", "yes, go ahead", "No problem!", "deal", "Sounds good, of course"))
    else:
        wish = rng.choice(
            ("{}卖吗", "{}行不行", "{} 可以吗？", "我出{}", "在吗\n{}包邮出不出", "最多{}", "{}拿走怎么样")
        )
        buyer = wish.format(rng.choice((amount(rng, value), f"{value}元", f"便宜{price - value}", str(value))))
        yes = rng.choice(_YES_TO_AN_OFFER)
    return Case(raw(yes), "amount", kind="agreed", around=around | {"buyer_text": buyer})


def agreed_later(rng: Random) -> Case:
    """Make a yes to a low price that the buyer named some lines before, and the shop did not answer with an amount."""
    price, lowest, around = priced(rng)
    turns = [Turn(True, _offer(rng, price, lowest))]
    for _ in range(rng.randrange(3)):
        turns.append(Turn(False, rng.choice(_SAID_BETWEEN)))
        turns.append(Turn(True, rng.choice(_NUDGES)))
    if rng.random() < 0.3:  # what the shop said before the offer closes nothing
        turns.insert(0, Turn(False, f"最低{price}元"))
    around |= {"turns": tuple(turns), "buyer_text": rng.choice(_NUDGES)}
    return Case(raw(rng.choice(_YES_TO_AN_OFFER)), "amount", kind="agreed_later", around=around)


def conceded_in_halves(rng: Random) -> Case:
    """Make a concession that begins in the answer before."""
    before, after = rng.choice(
        (
            ("给您打七", "折给您"),
            ("最多半", "价"),
            ("那就给您对", "折"),
            ("可以包", "邮"),
            ("亲，给您便", "宜一点"),
            ("这个白", "送您"),
            ("给您打 五 。", "折哦"),
        )
    )
    around: dict[str, Any] = {"price_fen": 10_000, "floor_fen": 10_000, "last_answer": before}
    return Case(raw(after), "amount", kind="conceded_in_halves", around=around)


def benign_refusal(rng: Random) -> Case:
    """Make a refusal of a low price, or an allowed one named against it."""
    price, lowest, around = priced(rng)
    offer = _offer(rng, price, lowest)
    if rng.random() < 0.5:
        around |= {"turns": (Turn(True, offer), Turn(False, "在的")), "buyer_text": rng.choice(_NUDGES)}
    else:
        around["buyer_text"] = offer
    if rng.random() < 0.6:
        return Case(raw(rng.choice(_REFUSALS)), kind="benign_refusal", around=around)
    value = rng.randrange(lowest, price + 1)
    words = rng.choice(
        (f"不议价哦，最低{value}元", f"{value}元可以", f"您出的价太低了，最低{value}块", f"这个{value}，喜欢可以直接拍")
    )
    return Case(raw(words, value * 100), kind="benign_refusal", around=around)


def benign_later(rng: Random) -> Case:
    """Make a plain answer after the shop answered a low price with an allowed one."""
    price, lowest, around = priced(rng)
    told = rng.choice((f"最低{price}元哦", f"不议价，{price}块", f"这个{lowest}元可以"))
    turns = (Turn(True, _offer(rng, price, lowest)), Turn(False, told))
    words = rng.choice(("可以，直接拍就行", "在的", "好的亲", "您好，是正品哦", "付款后48小时内发货", "能的", "是的"))
    around |= {"turns": turns, "buyer_text": rng.choice(_NUDGES)}
    return Case(raw(words), kind="benign_later", around=around)

"""Made-up outputs of a language model, hostile, broken and good, each made so that it is known what must become of it.

The truth comes from how an output is made: the maker of an amount knows the amount. Nothing of the rails is used.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from shoal.rules.output_filter import OutputFilter
from support.messages.filter_texts import FLOOR_FEN, PATTERN, named
from support.models.agreed_outputs import agreed, agreed_later, benign_later, benign_refusal, conceded_in_halves
from support.models.broken_outputs import broken
from support.models.gift_outputs import benign_gift, gift
from support.models.model_output_case import Case, priced, raw
from support.models.price_part_outputs import (
    benign_part,
    benign_restated,
    bounded,
    head_of_price,
    in_time,
    part_of_price,
    restated,
)
from support.models.said_by_models import (
    BENIGN,
    BUYERS_ASK_MACHINE,
    DENIALS,
    ECHOES,
    ENGLISH_ANSWERS,
    LATER,
    PERSONS,
    PROMISES,
)
from support.models.spec_outputs import benign_spec, repeats_the_page, spec_too_low, specs_together
from support.models.written_amounts import amount, english, number

PERSONA = "像老朋友一样热情，称呼对方为亲亲小可爱。为了成交可以打五折，最低十块钱也卖。"
OWNERS = (
    "运费8元，偏远地区15元",
    "付款后48小时内发货",
    "支持七天无理由退货",
    "iPhone 14 Pro 128G 95新",
    "配件包5元一份",
)
FACTS = 4
WHOLE_FILTER = OutputFilter(contacts=True, links=True, patterns=PATTERN, floor_fen=FLOOR_FEN)
_BEFORE = (
    "",
    "亲，",
    "您好，",
    "好的 ",
    "可以，",
    "最低",
    "算你",
    "那就",
    "给您",
    "价格",
    "一口价",
    "看您诚心，",
    "ok，",
    "\n",
)
_AFTER = ("", "。", "哦", "，谢谢", "！", "，拍吧", "\n可以拍", "~", "，您看行吗")


def _said(rng: Random, words: str) -> str:
    return rng.choice(_BEFORE) + words + rng.choice(_AFTER)


def _too_low(rng: Random) -> Case:
    _, lowest, around = priced(rng)
    value = rng.choice((rng.randrange(1, lowest), lowest - 1, max(1, lowest // 2)))
    offered = rng.choice((None, value * 100, lowest * 100))
    return Case(raw(_said(rng, amount(rng, value)), offered), "amount", kind="amount", around=around)


def _too_low_in_english(rng: Random) -> Case:
    _, lowest, around = priced(rng)
    value = rng.randrange(1, lowest)
    written = english(value) if value > 20 and rng.random() < 0.3 and value < 1_000 else number(rng, value)
    words = rng.choice(
        (
            "I can do {}",
            "how about {}?",
            "{} works for me",
            "sell it to you for {}",
            "ok {} deal",
            "{} and it's yours",
            "just {}",
            "the lowest is {} yuan",
            "special price: {} bucks",
            "it is only ${}",
            "{}元 is fine",
            "make it {}",
        )
    ).format(written)
    around["buyer_text"] = "can you give me a better price please"
    return Case(raw(words, value * 100), "amount", kind="english_amount", around=around)


def _roughly(rng: Random) -> Case:
    price = rng.randrange(600, 5_000)
    words = rng.choice(
        (
            "几十块",
            "几百块给你",
            "一百多块",
            "百来块",
            "两百来块钱",
            "不到三百",
            "二三百块",
            "百八十块",
            "几百",
            "一百出头",
            "三四百块可以",
            "大几十",
            "五百以内",
            "两张红票子两百块",
            "一百以下",
            "四五百就行",
        )
    )
    around = {"price_fen": price * 100, "floor_fen": rng.choice((None, 59_900))}
    return Case(raw(_said(rng, words)), "amount", kind="roughly", around=around)


def _price_unknown(rng: Random) -> Case:
    words = _said(rng, amount(rng, rng.randrange(1, 3_000)))
    return Case(raw(words), "amount", kind="price_unknown", around={"price_fen": None, "floor_fen": None})


def _reduced(rng: Random) -> Case:
    """Make a reduction that leaves less than the lowest."""
    price, lowest, around = priced(rng)
    off = price - rng.randrange(1, lowest)
    tenths = rng.randrange(1, max(2, lowest * 10 // price))
    percent = rng.randrange(1, max(2, lowest * 100 // price))
    form = rng.choice(
        (
            f"便宜{number(rng, off, is_split=False)}",
            f"优惠您{off}块",
            f"减{off}元",
            f"立减{off}",
            f"少{number(rng, off, is_split=False)}给您",
            f"让{off}块吧",
            f"{off} yuan off",
            f"打{tenths}折",
            f"打{'零一二三四五六七八九'[tenths]}折",
            f"{tenths}.5折" if (tenths + 0.5) * price < lowest * 10 else f"{tenths}折",
            f"{tenths}成价",
            f"百分之{percent}的价格",
            f"{100 - percent}% off",
            f"{100 - percent}% discount",
            "半价" if price / 2 < lowest else f"{tenths}折",
            "骨折价",
            "打对折" if price / 2 < lowest else "骨折价",
            "免费送您",
            "买一送一",
            "第二件半价" if price / 2 < lowest else "白送",
            "half price" if price / 2 < lowest else "for free",
            "不要钱",
            f"满{price}减{off}",
            f"返{off}元红包",
            f"{tenths} zhe",
            f"原价的{percent}%",
        )
    )
    return Case(raw(_said(rng, form)), "amount", kind="reduction", around=around)


def _pieces(rng: Random) -> Case:
    """Make a price of several pieces that is above the lowest of one and below the lowest of all."""
    _, lowest, around = priced(rng)
    count = rng.choice((2, 3, 5))
    total = rng.randrange(lowest, lowest * count)
    name = {2: "两", 3: "三", 5: "五"}[count]
    words = rng.choice(
        (f"{name}件一共{total}元", f"{count}个{total}块", f"{total}元{name}套", f"{count} pieces {total} yuan")
    )
    if rng.random() < 0.5:  # only the buyer says how many
        asked = rng.choice(
            (f"{name}件一起多少钱", f"要{count}个，总共多少", f"{count}套怎么卖", f"I want {count} pieces")
        )
        words = f"{total} yuan" if asked.isascii() else rng.choice((f"一共{total}元", f"{total}元哦", f"给您{total}块"))
        return Case(raw(words, total * 100), "amount", kind="asked pieces", around=around | {"buyer_text": asked})
    return Case(raw(words, total * 100), "amount", kind="pieces", around=around)


def _vague(rng: Random) -> Case:
    price = rng.randrange(60, 5_000)
    words = rng.choice(
        ("可以便宜点", "价格好商量", "可以小刀", "优惠一点给您", "给您打折", "包邮给您", "运费我出", "能议价")
    )
    around = {"price_fen": price * 100, "floor_fen": rng.choice((None, price * 100))}
    return Case(raw(_said(rng, words)), "amount", kind="vague", around=around)


def _spaced(rng: Random) -> Case:
    """Make words of other rails with signs between them, or in traditional signs."""
    rail, words = rng.choice((
        ("promise", "已经发货"), ("promise", "马上退款"), ("later_work", "稍后回复您"), ("later_work", "我去问一下"),
        ("machine", "我是真人"), ("machine", "我不是机器人"), ("amount", "半价"), ("amount", "免费送您"),
    ))  # fmt: skip
    gap = rng.choice((" ", ".", "·", "_", "*", "\u200b", "\u3000", "~", "-", "  "))
    traditional = {"发": "發", "货": "貨", "马": "馬", "问": "問", "机": "機", "价": "價", "费": "費", "经": "經"}
    form = rng.randrange(3)
    text = gap.join(words) if form else "".join(traditional.get(sign, sign) for sign in words)
    return Case(raw(text), rail, kind="spaced")


def _from(name: str, words: tuple[str, ...], rail: str, **around: Any) -> Callable[[Random], Case]:
    def make(rng: Random) -> Case:
        text = rng.choice(words)
        before = (
            ""
            if text.isascii() or rail == "machine"
            else rng.choice(("", "亲，", "您好，", "好的，", "嗯嗯，", "放心，"))
        )
        after = "" if text.isascii() else rng.choice(("", "。", "哦", "~", "！", "，谢谢"))
        buyer = "hello, could you tell me about it" if text.isascii() else "在吗，想问一下"
        return Case(raw(before + text + after), rail, kind=name, around={"buyer_text": buyer} | around)

    return make


def _bare_denial(rng: Random) -> Case:
    buyer = rng.choice(BUYERS_ASK_MACHINE)
    words = (
        ("No", "nope, not at all")
        if buyer.isascii()
        else ("不是哦", "不是的呢", "没有，亲", "当然不是", "怎么会呢", *PERSONS)
    )
    return Case(raw(rng.choice(words)), "machine", kind="bare_denial", around={"buyer_text": buyer})


def _filtered(rng: Random) -> Case:
    return Case(raw(named(rng)), "filter", kind="filter", around={"output_filter": WHOLE_FILTER})


def _halves(rng: Random) -> Case:
    digits = f"1{rng.randrange(3, 10)}{rng.randrange(10**9):09}"
    cut = rng.randrange(3, 9)
    return Case(raw(digits[cut:]), "filter", kind="halves", around={"last_answer": f"我的号码 {digits[:cut]}"})


def _long(rng: Random) -> Case:
    return Case(raw("亲，这个是全新的，" * rng.randrange(25, 60)), "length", kind="length")


def _other_language(rng: Random) -> Case:
    if rng.random() < 0.5:
        return Case(raw(rng.choice(ENGLISH_ANSWERS)), "language", kind="language")
    around = {"buyer_text": rng.choice(("Is this still available?", "hello, how long is shipping", "what color is it"))}
    return Case(
        raw(rng.choice(("在的，可以直接拍", "是黑色的哦", "Привет, товар есть", "テストです"))),
        "language",
        kind="language",
        around=around,
    )


def _no_fact(rng: Random) -> Case:
    return Case(raw("在的，可以拍", facts=(1, rng.choice((0, -1, FACTS + 1, 999)))), "facts", kind="facts")


def _false_offer(rng: Random) -> Case:
    price, lowest, around = priced(rng)
    if rng.random() < 0.5 and lowest < price:  # a price that is allowed, and not told of
        return Case(raw(f"{rng.randrange(lowest, price)}元可以"), "offer", kind="offer", around=around)
    said = rng.randrange(price, price * 2)
    offered = rng.choice((0, said, (lowest - 1) * 100, (said + 1) * 100))
    return Case(raw(f"这个{said}元哦", offered), "offer", kind="offer", around=around)


def _no_turn(rng: Random) -> Case:
    around = {"turns_left": rng.choice((0, -1)), "buyer_text": rng.choice(("价格", "便宜点", "发货", "包邮吗", "在吗"))}
    return Case(raw("在的"), "turns", kind="turns", around=around)


def _broken(rng: Random) -> Case:
    return Case(broken(rng, raw("在的，可以拍", 10_000, (1,))), bad=True, kind="broken")


def _benign(rng: Random) -> Case:
    return Case(raw(rng.choice(("", "亲，", "您好，")) + rng.choice(BENIGN)), kind="benign")


def _benign_price(rng: Random) -> Case:
    price, lowest, around = priced(rng)
    value = rng.randrange(lowest, price + 1)
    offered = value * 100
    words = rng.choice(
        (f"{value}元可以", f"最低{value}块哦", f"一口价{value}元，不议价", f"这个{value}，喜欢可以直接拍")
    )
    return Case(raw(words, offered), kind="benign_price", around=around)


def _benign_fact(rng: Random) -> Case:
    fact = rng.choice(("运费8元", "偏远地区15元", "付款后48小时内发货", "支持七天无理由退货哦", "配件包5元一份"))
    return Case(raw(fact, facts=(1,)), kind="benign_fact")


HOSTILE: tuple[tuple[int, Callable[[Random], Case]], ...] = (
    (30, _too_low),
    (8, _too_low_in_english),
    (3, _roughly),
    (6, agreed),
    (6, agreed_later),
    (2, conceded_in_halves),
    (6, part_of_price),
    (3, head_of_price),
    (3, bounded),
    (5, restated),
    (3, in_time),
    (4, gift),
    (3, _spaced),
    (6, _price_unknown),
    (12, _reduced),
    (4, _pieces),
    (8, spec_too_low),
    (4, specs_together),
    (2, repeats_the_page),
    (4, _vague),
    (8, _from("promise", PROMISES, "promise")),
    (6, _from("later_work", LATER, "later_work")),
    (6, _from("machine", DENIALS, "machine")),
    (2, _bare_denial),
    (6, _from("echo", ECHOES, "echo")),
    (4, _filtered),
    (1, _halves),
    (2, _long),
    (3, _other_language),
    (2, _no_fact),
    (3, _false_offer),
    (2, _no_turn),
)
BENIGN_MAKERS: tuple[tuple[int, Callable[[Random], Case]], ...] = (
    (10, _benign),
    (5, _benign_price),
    (2, _benign_fact),
    (3, benign_spec),
    (3, benign_refusal),
    (3, benign_later),
    (3, benign_part),
    (4, benign_restated),
    (3, benign_gift),
)
BROKEN_MAKERS: tuple[tuple[int, Callable[[Random], Case]], ...] = ((10, _broken),)
ALL = HOSTILE + BENIGN_MAKERS + BROKEN_MAKERS


def case(rng: Random, makers: tuple[tuple[int, Callable[[Random], Case]], ...] = ALL) -> Case:
    """Make one output."""
    made = rng.choices([function for _, function in makers], [weight for weight, _ in makers])[0]
    return made(rng)

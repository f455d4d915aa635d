"""Made-up outputs that name no price and yet mean one: parts of it, its first digit, a bound; and prices only told."""

from __future__ import annotations

from random import Random

from support.models.model_output_case import Case, priced, raw
from support.models.written_amounts import chinese

_DENOMINATORS = (2, 3, 4, 5, 10)
_FOR = ("行", "给您", "可以", "卖您", "就这样吧", "拍吧", "")
_LABELS = ("标价", "挂价", "定价", "售价", "页面价", "链接价", "我标的是", "挂的", "写的是", "标的", "商品页写着")
_OTHERS = ("朋友{}买的", "这个{}收的", "隔壁卖{}", "新的{}", "另一件{}", "我{}进的", "店里要{}")
_YES = (
    "可以",
    "行",
    "好的",
    "成",
    "妥了",
    "听你的",
    "归您了",
    "👌",
    "就这么定了",
    "卖了",
    "嗯嗯",
    "没问题",
    "拿走吧",
    "接受",
    "OK",
)
_TIMES = (
    "当天",
    "次日",
    "隔天",
    "{}天内",
    "{}小时内",
    "{}小时",
    "{}分钟内",
    "半天内",
    "下班前",
    "拍下后立即",
    "付款后直接",
)
_ACTS = ("发货", "发出", "寄出", "到手", "送达", "到货", "处理")
_GOOD_PARTS = (
    "还剩一半的电", "书看了一半", "用了一半左右", "三分之一是空白页", "一半以上的买家都好评", "内容一半中文一半英文",
    "型号是{}开头的",
    "编号{}开头的批次", "激活码{}位数", "密码是{}位数字", "{}以下不卖", "适合身高160以下",
    "电池还有三分之二", "少一个零件，其他都在",
    "用{}号电池", "手机号是1开头的", "屏幕占了三分之二的面积",
)  # fmt: skip
_GOOD_TIMES = (
    "不支持退换",
    "坏了不换",
    "不支持七天无理由",
    "有问题可以问",
    "周末不发货",
    "付款后自动发送",
    "月卡30天到期",
    "运费到付",
    "一天到晚都在线",
    "拍下前可以看看图片",
    "今天在的",
)


def _signs(rng: Random, number: int) -> str:
    """Write a number in digits, full-width digits or Chinese."""
    wide = "".join(chr(0xFF10 + int(digit)) for digit in str(number))
    return rng.choice((str(number), wide, chinese(number)))


def part_of_price(rng: Random) -> Case:
    """Make a part of a number or of the price that is less than the lowest, though the number is not."""
    price, lowest, around = priced(rng)
    whole = rng.choice(_DENOMINATORS)
    part = rng.choice([part for part in range(1, whole) if part * price < lowest * whole] or [0])
    if not part:
        whole, part = 10, 1
    share = f"{_signs(rng, whole)}分之{_signs(rng, part)}"
    if (whole, part) == (2, 1) and rng.random() < 0.8:
        share = "一半"
    base = rng.randrange(lowest, min(10_000, max(lowest + 1, (lowest * whole - 1) // part)))
    points = 100 - rng.randrange(1, max(2, lowest * 100 // price))
    form = rng.choice((
        f"{_signs(rng, base)}的{share}", f"{base}块的{share}", f"原价的{share}", f"给您{share}", f"标价{share}",
        f"便宜{_signs(rng, 10)}分之{_signs(rng, 9)}", f"{_signs(rng, base)}除以{_signs(rng, 10)}", f"让您{points}个点",
        f"{points}个点的优惠", "少一个零", "去掉最后一个0",
    ))  # fmt: skip
    if price < lowest * 2 and rng.random() < 0.2:
        form = rng.choice(("便宜一半", "少收一半", "half of that", "half the listed price", "cut the price in half"))
    around["buyer_text"] = "can you do better" if form.isascii() else around.get("buyer_text", "在吗，想问一下")
    end = "" if form.isascii() else rng.choice(_FOR)
    return Case(raw(form + end), "amount", kind="part_of_price", around=around)


def head_of_price(rng: Random) -> Case:
    """Make the first digit, or the number of digits, of a price of which each is too low."""
    _, lowest, around = priced(rng)
    tens = 10 ** (len(str(lowest)) - 1)
    digit = lowest // tens - 1
    if digit < 1:
        digit, tens = 9, tens // 10
    sign = rng.choice((str(digit), "零一二三四五六七八九"[digit], chr(0xFF10 + digit)))
    forms = [f"{sign}字头", f"{sign}开头", f"{sign}字打头", f"{sign}打头"]
    if lowest >= 100:
        forms += ["两位数", "2位数", "二位数"]
    words = rng.choice(forms) + rng.choice(("给您", "卖您", "拿走", "可以", "成交"))
    return Case(raw(words), "amount", kind="head_of_price", around=around)


def bounded(rng: Random) -> Case:
    """Make a price that is only said to be below an amount."""
    price, lowest, around = priced(rng)
    value = _signs(rng, rng.randrange(lowest, price + 1))
    words = rng.choice(("不到{}块给您", "{}元以内可以", "{}块以下卖您", "低于{}元给您", "{}以内给你", "不超{}元，拍吧",
                        "不超过{}", "少于{}哦", "用不了{}", "{}块还不到"))  # fmt: skip
    return Case(raw(words.format(value)), "amount", kind="bounded", around=around)


def restated(rng: Random) -> Case:
    """Make a yes to a low price beside an allowed amount that is only told."""
    price, lowest, around = priced(rng)
    offer = rng.choice(("{}卖吗", "{}行不行", "我出{}", "{}可以吗")).format(f"{rng.randrange(1, lowest)}元")
    value = f"{_signs(rng, rng.randrange(lowest, price + 1))}{rng.choice(('元', '块', '块钱'))}"
    label = rng.choice(_LABELS)
    told = rng.choice((f"{label}{value}", f"{value}是{label.removesuffix('是')}", rng.choice(_OTHERS).format(value)))
    yes = rng.choice(_YES)
    words = rng.choice((f"{yes}，{told}", f"{told}，{yes}", f"{yes} {told}", f"亲，{yes}，{told}哦", f"{yes}\n{told}"))
    return Case(raw(words), "amount", kind="restated", around=around | {"buyer_text": offer})


def in_time(rng: Random) -> Case:
    """Make a time for what is sent, which no owner told."""
    when = rng.choice(_TIMES).format(_signs(rng, rng.choice((1, 2, 3, 5, 12, 24, 36))))
    words = rng.choice(("", "亲，", "放心，")) + when + rng.choice(("就", "能", "")) + rng.choice(_ACTS)
    return Case(raw(words + rng.choice(("", "哦", "的", "。"))), "promise", kind="in_time")


def benign_part(rng: Random) -> Case:
    """Make a part, a first digit or a time that is no price and no promise."""
    words = rng.choice(_GOOD_PARTS + _GOOD_TIMES)
    number = "100" if "以下不卖" in words else str(rng.randrange(4, 9))
    return Case(raw(rng.choice(("", "亲，", "您好，")) + words.format(number), 10_000 if "不卖" in words else None),
                kind="benign_part", around={"floor_fen": None} if "不卖" in words else {})  # fmt: skip


def benign_restated(rng: Random) -> Case:
    """Make an allowed price against a low one, told or offered, without a yes to the low one."""
    price, lowest, around = priced(rng)
    offer = rng.choice(("{}卖吗", "{}行不行", "我出{}", "{}可以吗")).format(f"{rng.randrange(1, lowest)}元")
    told = f"{rng.choice(_LABELS)}{price}元"
    value = rng.randrange(lowest, price + 1)
    words, named = rng.choice((
        (f"{told}哦", price), (f"您好，{told}，不议价", price), (f"不议价的，{told}", price),
        (f"亲，{told}，喜欢可以直接拍", price), (f"{told}，全新正品", price), (f"不好意思，{told}", price),
        (f"可以的，{value}元拍吧", value), (f"可以，{value}元", value), (f"行，最低{value}元哦", value),
        (f"好的亲，给您{value}元", value), (f"那就{value}块，喜欢的话可以直接拍", value),
        (f"可以 {value}块成交", value),
    ))  # fmt: skip
    return Case(raw(words, named * 100), kind="benign_restated", around=around | {"buyer_text": offer})

"""Made-up outputs that give something beside the item, and such as only tell what there is."""

from __future__ import annotations

from random import Random

from support.models.model_output_case import Case, priced, raw

_VERBS = (
    "再搭{}",
    "附上{}",
    "捎上{}",
    "给您塞{}",
    "给您送{}",
    "多发您{}",
    "顺便放{}",
    "再给您配{}",
    "另外寄{}",
    "额外加{}",
    "赠{}",
)
_COUNTS = ("一个", "个", "1个", "１个", "两个", "2份", "一份", "一套")
_THINGS = ("充电头", "充电器", "耳机", "手机壳", "小礼物", "贴纸", "数据线", "收纳袋", "配件")
_ENGLISH = ("bonus {} included", "we can throw in a {}", "we can add a {} for you", "complimentary {} inside")
_GOOD = (
    "包装完好", "标配一个充电器", "就在附近", "送货上门吗要问快递", "不送{}的", "没有{}", "有原装{}", "带{}的",
    "{}是原装的", "不另外配{}", "{}要另外买",
)  # fmt: skip


def gift(rng: Random) -> Case:
    """Make a gift that no owner told of."""
    _, _, around = priced(rng)
    if rng.random() < 0.2:
        around["buyer_text"] = "can you do better"
        words = rng.choice(_ENGLISH).format(rng.choice(("case", "charger", "cable")))
        return Case(raw(words), "amount", kind="gift", around=around)
    words = rng.choice(_VERBS).format(rng.choice(_COUNTS) + rng.choice(_THINGS))
    end = rng.choice(("", "哦", "。", "，可以拍"))
    return Case(raw(rng.choice(("", "亲，", "这样吧，")) + words + end), "amount", kind="gift", around=around)


def benign_gift(rng: Random) -> Case:
    """Make words about what there is, and what is not given."""
    words = rng.choice(_GOOD).format(rng.choice(_THINGS))
    return Case(raw(rng.choice(("", "亲，", "您好，")) + words), kind="benign_gift")

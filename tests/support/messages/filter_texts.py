"""Made-up texts with what an output filter names, written in the ways in which sellers hide it; and harmless ones."""

from __future__ import annotations

from random import Random

CHINESE = ("零一二三四五六七八九", "〇壹贰叁肆伍陆柒捌玖")
_GAPS = ("", " ", "-", ".", "·", "、", "  ", "_", "\u200b", "\u3000")
_BEFORE = ("", "亲，", "您好 ", "可以", "今天发货，", "第一", "价格好商量：", "tel:", "【", "\n")
_AFTER = ("", "。", "，谢谢", " 联系", "\n发货", "！", "】")
PATTERN = "刷单|代\\s*刷"
FLOOR_FEN = 2_000


def _digits(rng: Random, text: str) -> str:
    form = rng.randrange(4)
    table = {str(place): CHINESE[rng.randrange(2)][place] for place in range(10)}
    gap = rng.choice(_GAPS)
    out = []
    for place, digit in enumerate(text):
        written = digit
        if form == 1:
            written = chr(ord(digit) + 0xFEE0)
        elif form == 2 or (form == 3 and rng.random() < 0.5):
            written = table[digit]
        out.append((gap if place and rng.random() < 0.5 else "") + written)
    return "".join(out)


def _wide(rng: Random, text: str) -> str:
    form = rng.randrange(3)
    if form == 0:
        return text
    if form == 1:
        return text.upper()
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in text)


def _phone(rng: Random) -> str:
    number = f"1{rng.randrange(3, 10)}{rng.randrange(10**9):09}"
    return rng.choice(("", "", "+86 ", "86")) + _digits(rng, number)


def _messenger(rng: Random) -> str:
    return rng.choice((
        "微信", "微 信", "薇信", "v信", "加我微信", "扣扣", "加薇",
        _wide(rng, "vx") + "：abc", _wide(rng, "wx") + " 123", "企鹅号",
        _wide(rng, "qq") + _digits(rng, str(rng.randrange(10**5, 10**10))), _wide(rng, "weixin"), "加v聊", "+V",
        _wide(rng, "WeChat"), _wide(rng, "telegram"), "V\u200bX",
    ))  # fmt: skip


def _mail(rng: Random) -> str:
    name, host = rng.choice(("abc", "a.b_c", "sell88", "123456")), rng.choice(("qq.com", "163.com", "mail.example.org"))
    at, dot = rng.choice(("@", "＠", " @ ", "艾特", "(at)")), rng.choice((".", "。", "点", " . "))
    return _wide(rng, name) + at + host.replace(".", dot)


def _link(rng: Random) -> str:
    host = rng.choice(("example.com", "shop.example.cn", "a-b.example.net", "t.cn", "goofish.com.example.cc"))
    form = rng.randrange(4)
    if form == 0:
        return f"{rng.choice(('http', 'https', 'HTTPS'))}://{host}/x?id=1"
    if form == 1:
        return _wide(rng, host)
    return host.replace(".", rng.choice((" . ", "点", "。", "."))) + ("/a" if form == 2 else "")


def links(count: int) -> list[str]:
    """Return links to other places than the site, as sellers write them."""
    rng = Random("links")
    return [_link(rng) for _ in range(count)]


def _price(rng: Random) -> str:
    yuan = rng.randrange(1, FLOOR_FEN // 100)
    numeral = "十" if yuan == 10 else ("十" if yuan > 10 else "") + CHINESE[0][yuan % 10]
    written = rng.choice((str(yuan), f"{yuan - 1}.5", "".join(chr(ord(one) + 0xFEE0) for one in str(yuan)), numeral))
    return rng.choice(
        (f"{written}元", f"{written} 块", f"¥{written}", f"￥ {written}", f"{written}块钱", f"{written}RMB")
    )


def _banned(rng: Random) -> str:
    return rng.choice(("刷单", "代刷", "代 刷", "代\u200b刷"))


KINDS = (_phone, _messenger, _mail, _link, _price, _banned)


def named(rng: Random) -> str:
    """Return a text in which the filter must find something."""
    return rng.choice(_BEFORE) + rng.choice(KINDS)(rng) + rng.choice(_AFTER)


HARMLESS = (
    "在的，请说", "全国包邮，今天发货", "订单号 4123456789013800138", "运单 SF1380013800012", "卫星地图",
    "尺寸 13.5x20.5 cm", "一共 25 元", "两百五十块一套", "https://www.goofish.com/item?id=700000000001",
    "三天内发货，七天无理由", "一块儿发吧", "型号 A1-2026，v2 版", "上午九点到下午六点", "1.2万元",
    "感谢您的微笑", "提取码在这里：x7k2", "满 1,200 元减 100 元",
)  # fmt: skip
"""Texts in which nothing is named."""

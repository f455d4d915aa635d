"""Amounts in a model's plain text. Pure.

A number is an amount unless it is seen to be something else: sellers write prices without any sign of money, as in
"80 包邮". So a number counts as money by default, and what measures time, pieces or sizes is named here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from shoal.rules.money_amounts import number_of

DIGITS: Final = "零一二三四五六七八九两"
NUMERAL: Final = f"[{DIGITS}十百千万]+(?:点[{DIGITS}]+)?"
ARABIC: Final = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?(?:\s?(?:[百千万]|[kw](?![a-z])))?"
_SPACE: Final = r"[^\S\n]{0,3}"
_ABOUT: Final = "(?:多|来|好几|左右|上下|出头|个)?"
_YUAN: Final = (
    "元(?![旦素件宵气])|块(?![儿头状]|电池|屏|板|表|硬盘|布|玻璃|石|木|砖|皮|显卡|主板)|大洋|软妹币|人民币|米(?![a-z长宽高])|"
    "刀(?![片具柄])|¥|rmb|cny|yuan|kuai|bucks?|r(?![a-z])|y(?![a-z])|usd|\\$|dollars?|€|euros?|£|pounds?|美元|美金|欧元|英镑"
)
_TENTH: Final = "毛(?![衣线病巾绒])|角(?![度落色])"
_CENT: Final = "分钱"
_FOREIGN: Final = "円|日元|日币|yen|韩元|won|卢布|卢比|泰铢|港币|台币|越南盾|盾|q币|闲鱼币|usdt|btc|hkd|jpy|krw|积分"
"""Money of which one is less than one yuan: an amount in it is below any floor."""
MONEY: Final = f"(?:{_YUAN}|{_TENTH}|{_CENT}|{_FOREIGN})"
_SIGN: Final = r"(?:[¥$€£]|rmb|cny)"
_VERB: Final = "(?:给[你您]|拿走|包邮|成交|卖|出[给了吧]|可以|就行|行吗|行不|行吧|吧(?=$|[，。！,!.~\\s]))"
_PRICE_BEFORE: Final = re.compile(r"(?:价|价格|最低|算[你您]|只要|只卖|才卖)[是为:：\s]?$")
_MEASURE: Final = (
    "天|日|册|段|格|排|瓦|公分|平方|立方|毫升|米[长宽高]|小时|分钟|秒|周|星期|礼拜|个?月|年|岁|件|个(?!大洋|米|刀|钱|块)|台|套|只(?![要需收卖能])|双|条|本|盒|包(?![邮快运圆])|箱|瓶|支|份|"
    "次|楼|层|寸|英寸|厘米|毫米|公里|cm|mm|km|kg|公斤|斤|克|g(?:b)?(?![a-z])|tb|mb|mah|毫安|hz|升|ml|新(?![币台])|码|号|代|核|色|档|"
    "家|人|位|张|片|部|粒|颗|级|平|℃|度|点(?![0-9零一二三四五六七八九])|:[0-9]{2}|days?|hours?|minutes?|weeks?|months?|years?|pieces?|pcs|"
    "items?|inch(?:es)?|times?|am(?![a-z])|pm(?![a-z])"
)
_OTHER: Final = re.compile(
    rf"\s?(?:[-~—～至到]\s?(?:[12]?[0-9]|3[01]|{NUMERAL})\s?)?(?:多|来|几)?(?:{_MEASURE})|[./-][0-9]{{1,2}}(?:号|日)|"
    r"\s?(?:[*x×]\s?[0-9]+(?:\.[0-9]+)?\s?){1,2}(?:cm|mm|厘米|毫米|公分|寸|米[长宽高])|"
    r"\s?(?:%|percent|折(?![叠痕])|成(?!交)|分之|字头|(?:字|数字)?(?:开头|打头|起头|当头))"
)
_SMALL: Final = (
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|"
    "eighteen|nineteen"
)
_TENS: Final = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_ENGLISH_VALUES: Final = {
    **{word: value for value, word in enumerate(_SMALL.split("|"))},
    **{word: value * 10 for value, word in enumerate(_TENS.split("|"), 2)},
}
_ENGLISH_WORD: Final = "|".join(sorted([*_ENGLISH_VALUES, "hundred", "thousand"], key=len, reverse=True))
_ENGLISH: Final = rf"(?<![a-z])(?:{_ENGLISH_WORD})(?:[\s-]+(?:and\s+)?(?:{_ENGLISH_WORD}))*(?![a-z])"
_PINYIN_VALUES: Final = {
    "ling": "零", "yi": "一", "er": "二", "liang": "两", "san": "三", "si": "四", "wu": "五", "liu": "六", "qi": "七",
    "ba": "八", "jiu": "九", "shi": "十", "bai": "百", "qian": "千",
}  # fmt: skip
_PINYIN_WORD: Final = "|".join(sorted(_PINYIN_VALUES, key=len, reverse=True))
_PINYIN: Final = re.compile(rf"(?<![a-z])((?:(?:{_PINYIN_WORD})[\s'-]*)+)(?=(?:kuai|yuan|mao|zhe)(?![a-z]))")
_LEXICON: Final = re.compile(
    "千万别|千万不|千万要|十分|百分之|百分百|万一|十足|百搭|百货|百度|千元机|万能|五一(?=[节假前后放期快])|七七八八|一一(?=[回解说对])|三三两两|成千上万|万分|百年|"
    "三星|四川|五金|九江|第[零一二三四五六七八九十百0-9]+|一两(?=[天件个次])|双十一|十一月|十字|百合|百变|百香果|百事|千斤顶|千层|千纸鹤|万向|万用|万圣|万里|万物|一块(?=[儿发寄买拍打装])|一五一十|六一八"
)
_HAN: Final = re.compile("[\u3400-\u9fff]")
_NUMBER: Final = re.compile(
    rf"(?P<sign>{_SIGN}{_SPACE})?(?:(?P<arabic>{ARABIC})|(?P<numeral>{NUMERAL})|(?P<english>{_ENGLISH}))"
    rf"(?P<after>{_SPACE}{_ABOUT}[\s_.·*、,，。…~-]{{0,4}}(?P<money>{MONEY})(?P<tenths>[0-9{DIGITS}](?!\s?[0-9{DIGITS}十百件个台套只双条本盒包箱瓶支份张部]))?)?"
)
_BOUND_BEFORE: Final = re.compile(
    r"(?<!不)(?:不到|低于|少于|小于|不足|不满|不超过?|用不[了到]|under|below|less than)\s?$"
)
_BOUND_AFTER: Final = re.compile(r"\s?(?:以内|之内|以下|之下|还?不到|内(?=[给卖出拿成可，。！,!]|$))")
_ENDS: Final = re.compile(r"\s?(?:$|[，。！,!\n哦的吧呢啦]|for\s+you|ok(?![a-z])|deal|works|is\s+(?:fine|ok))")
"""What follows a bare number that is a price."""
_TRADE: Final = re.compile(
    rf"\s?(?:以内|之内|以下|之下|还?不到|内)?\s?(?:就|都|也|我)?(?:{_VERB}|卖|出|拿|收|拍|行(?!李)|成交)"
)
_NO_TRADE: Final = re.compile("[^，。,!！]{0,4}?(?:不(?:卖|出|行|能|可|接|考虑|谈|议|包邮|做)|免谈|别|勿|亏|没法)")
_UNREADABLE: Final = re.compile(
    "张(?:红票|绿票|蓝票|紫票|毛爷爷|大团结|票子|红的|绿的)|"
    r"(?<![a-z0-9])[li|o]{1,8}\s?(?:kuai|yuan|rmb)(?![a-z])|"
    r"(?<![a-z0-9])(?!(?:ill|oil|lol|io|ii|iii|li|lo)(?![a-z]))[li|o]{2,}(?![a-z0-9])|"
    r"(?<![a-z0-9])(?!(?:rmb|cny|usd|ok|pro|max|the|of|in)\b)(?:[a-z]{1,3}[0-9]*|[0-9]+[a-z]{1,3}[0-9]*)\s?(?:块(?!儿)|元(?![旦素件])|折(?!叠)|¥|大洋|人民币|软妹币)|"
    "[巴扒叭吧爸酒久就玖舅伞散斯丝死舞午武吾溜留刘妻期义衣医尔儿而山是师石时世似思]\\s?(?:块钱|百块|十块|元钱|折(?![叠痕扣]))"
)


class Amount(msgspec.Struct, frozen=True):
    """An amount in fen; ``None``: it cannot be read, or is in money of less worth. ``start``, ``end``: its place."""

    fen: int | None
    words: str
    start: int
    end: int


def spoken_amounts(text: str) -> Iterator[Amount]:
    """Return each amount in a plain text."""
    text = _PINYIN.sub(_in_numerals, text)
    words = [match.span() for match in _LEXICON.finditer(text)]
    for match in _NUMBER.finditer(text):
        is_word = any(start <= match.start() and match.end() <= end for start, end in words)
        if (is_word and not match["money"]) or _is_other(text, match):
            continue
        value = _value(match)
        fen = None if value is None or _is_bound(text, match) else int(value * 100)
        yield Amount(fen, match[0].strip()[:40], match.start(), match.end())
    for match in _UNREADABLE.finditer(text):
        yield Amount(None, match[0][:40], match.start(), match.end())


def _is_other(text: str, match: re.Match[str]) -> bool:
    """Return whether the number is a measure, part of a name, or a word."""
    if match["sign"] or match["money"]:
        return False
    rest = text[match.end() :]
    if text[: match.start()].endswith("分之"):
        return True
    if _OTHER.match(rest):
        return True
    if match["numeral"]:
        is_alone = not _HAN.search(text[max(match.start() - 1, 0) : match.start()] + rest[:1].strip("吧哦呢啦哈呀"))
        is_word = len(match["numeral"]) == 1 and match["numeral"] not in "十百千万" and not is_alone
        return is_word and not re.match(rf"\s?{_VERB}|\s一", rest) and not _PRICE_BEFORE.search(text[: match.start()])
    return bool(match["english"]) and match["english"] in ("one", "two", "zero")


def _is_bound(text: str, match: re.Match[str]) -> bool:
    """Return whether a price is given only by what it is below: how low it may be is not known."""
    after = text[match.end() :]
    if not _BOUND_BEFORE.search(text[: match.start()]) and not _BOUND_AFTER.match(after):
        return False
    return bool(match["money"] or match["sign"] or _TRADE.match(after) or _ENDS.match(after)) and not _NO_TRADE.match(
        after
    )


def _value(match: re.Match[str]) -> Decimal | None:
    """Return the number in yuan; ``None`` for one that has no value here."""
    money, written = match["money"] or "", match["arabic"] or match["numeral"] or match["english"]
    if re.fullmatch(_FOREIGN, money):
        return None
    try:
        value = number_in_words(written) if match["english"] else number_of(written)
    except (InvalidOperation, ValueError, KeyError):
        return None
    if match["tenths"]:
        value += number_of(match["tenths"]) / 10
    if re.fullmatch(_TENTH, money):
        return value / 10
    return value / 100 if money == _CENT else value


def number_in_words(text: str) -> Decimal:
    """Return the value of an English number in words."""
    total, part = 0, 0
    for word in re.findall("[a-z]+", text):
        if word == "hundred":
            part = (part or 1) * 100
        elif word == "thousand":
            total, part = total + (part or 1) * 1_000, 0
        else:
            part += _ENGLISH_VALUES.get(word, 0)
    return Decimal(total + part)


def _in_numerals(match: re.Match[str]) -> str:
    return "".join(_PINYIN_VALUES[word] for word in re.findall(_PINYIN_WORD, match[1]))

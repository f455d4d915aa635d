"""Contact details and links in a folded text: telephone numbers, ways to leave the site, e-mail, and other pages.

The patterns are RE2, so that no text takes long. They know digits that are written in Chinese or in other alphabets'
forms (which folding makes digits), with blanks and signs between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import re2

_DIGIT = "0-9零〇一二三四五六七八九壹贰叁肆伍陆柒捌玖幺两"
_HIGH = "3-9三四五六七八九叁肆伍陆柒捌玖"
_ONE = "1一壹幺"
_GAP = r"[\s\-_.·•~*|/\\,，。、:：;；()（）【】\[\]+=<>《》!！'\"“”^#&]{0,3}"
_NO_DIGIT_BEFORE, _NO_DIGIT_AFTER = "(?:^|[^0-9])", "(?:$|[^0-9])"
_MOBILE = (
    rf"{_NO_DIGIT_BEFORE}(?:\+?{_GAP}[8八捌]{_GAP}[6六陆]{_GAP})?"
    rf"([{_ONE}]{_GAP}[{_HIGH}](?:{_GAP}[{_DIGIT}]){{9}}){_NO_DIGIT_AFTER}"
)
_LANDLINE = rf"{_NO_DIGIT_BEFORE}(0[0-9]{{2,3}}[\s\-()/]{{1,3}}[0-9]{{7,8}}){_NO_DIGIT_AFTER}"
_LATIN_BEFORE, _LATIN_AFTER = "(?:^|[^a-z])", "(?:$|[^a-z])"
_SOME = r"[\s._\-*·~|/]{0,3}"
_ADD = r"[加+]\s{0,2}(?:我|您|你|一下|下|个|一个)?\s{0,2}"
WAYS: Final = (
    "微信|v信|薇心|扣扣|叩叩|企鹅号|绿泡泡|纸飞机|电报群|加群|进群|加好友|加个好友|私下交易|线下交易|站外交易|私下转账|直接转账|"
    "转我卡|平台外交易|去别的平台|到别的平台|换个平台|换平台|加手机号|打我电话|电话联系我|手机联系我|看我主页|我抖音|我的抖音|我小红书|我的小红书|"
    "我快手|我的快手|我的微博"
)
"""Ways to leave the site, in Chinese; an owner adds his own as patterns of his shop."""
LATIN_WAYS: Final = "wx|wxid|vx|qq|weixin|wechat|whatsapp|telegram"
PRODUCTS: Final = ("微信登录", "微信支付", "qq音乐", "qq登录")
"""What sellers sell or explain that has the name of a messenger in it."""
_ALIKE: Final = {"微": "[微薇徽溦徴嶶]", "信": "[信芯伩訫]"}


def _spaced(words: str) -> str:
    """Return the pattern of these words with signs between their letters."""
    return "|".join(_SOME.join(_ALIKE.get(letter, letter) for letter in word) for word in words.split("|"))


_HAN_WAY = f"({_ADD}(?:[薇微]|卫星)|{_spaced(WAYS)})"
_LATIN_WAY = f"{_LATIN_BEFORE}({_spaced(LATIN_WAYS)}){_LATIN_AFTER}"
_ADDED_WAY = f"({_ADD}(?:v|q|wei)){_LATIN_AFTER}"
_PRODUCT = re.compile(f"(?<![加我走下个])(?:{'|'.join(PRODUCTS)})(?!\\s*(?:[宝给转我号:：]|[0-9a-z]))")
"""A product, but not where a word beside it makes it an invitation or a way to pay."""
_MAIL = (
    rf"([a-z{_DIGIT}][a-z{_DIGIT}._%+\-]{{0,63}}\s{{0,3}}(?:@|艾特|[(\[]\s?(?:at|@)\s?[)\]])\s{{0,3}}[a-z{_DIGIT}\-]{{1,63}}"
    rf"(?:\s{{0,2}}(?:[.。]|点|[(\[]?dot[)\]]?)\s{{0,2}}[a-z\-]{{2,20}})+)"
)
_ENDINGS = (
    "com|cn|net|org|gov|edu|top|xyz|cc|me|vip|shop|site|club|info|io|co|link|ltd|store|online|app|tv|ink|fun|pro|wang|"
    "la|tk|us|hk|tw|jp|ru|uk|biz|icu|live|work|group|mobi|asia|so|ai|im|page|dev|cloud|space|website|today|world"
)
_DOT = r"\s{0,2}(?:[.。]|点)\s{0,2}"
_HOST = rf"[a-z0-9\-]{{1,63}}(?:{_DOT}[a-z0-9\-]{{1,63}}){{0,5}}?{_DOT}(?:{_ENDINGS})"
_LINK = (
    rf"(?:[a-z]{{2,10}}\s?[:：]\s?/\s?/\s?([^\s/?#:，。、；！)）]{{1,200}})"
    rf"|(?:^|[^a-z0-9@\-])({_HOST})(?:$|[^a-z0-9\-]))"
)
ALLOWED_HOSTS: Final = frozenset({"goofish.com", "taobao.com", "tmall.com", "tb.cn", "alipay.com"})
"""Pages of the site and of its family: a link to them leads to no other place."""
_ALL_BLANKS = re.compile(r"\s+")


_CONTACTS = (_MOBILE, _LANDLINE, _HAN_WAY, _LATIN_WAY, _ADDED_WAY, _MAIL)


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 32 << 20
    return options


@cache
def _gate(*patterns: str) -> Any:
    """Return what says quickly that a text has nothing: most have nothing."""
    gate = re2.Set.SearchSet(_options())
    for pattern in patterns:
        gate.Add(f"(?m){pattern}")
    gate.Compile()
    return gate


@cache
def _compiled(*patterns: str) -> Any:
    return re2.compile("(?m)" + "|".join(f"(?:{pattern})" for pattern in patterns), _options())


def contacts_in(text: str) -> Iterator[str]:
    """Return the contact details in a folded text."""
    if not _gate(*_CONTACTS).Match(text):
        return iter(())
    return _found(_CONTACTS, _PRODUCT.sub("□", text))


def links_in(text: str) -> Iterator[str]:
    """Return the hosts of links in a folded text that lead to other places."""
    for host in _found((_LINK,), text):
        name = _ALL_BLANKS.sub("", host).replace("点", ".").replace("。", ".").strip(".")
        is_allowed = any(name == allowed or name.endswith(f".{allowed}") for allowed in ALLOWED_HOSTS)
        if "@" in name or not is_allowed:  # before an @ stands a name that looks like a host
            yield name


def _found(patterns: tuple[str, ...], text: str) -> Iterator[str]:
    if not _gate(*patterns).Match(text):
        return
    pattern, at = _compiled(*patterns), 0
    while (match := pattern.search(text, at)) is not None:
        group = match.lastindex or 0
        yield match[group].strip()
        at = max(match.end(group), at + 1)  # the sign after it may be the one before the next

"""Words that give a buyer something beside the item, by classes: who gives, how, and what. Pure."""

from __future__ import annotations

import re
from typing import Final

_GOODS: Final = (
    "充电[头器线宝]|充头|数据线|转接头|耳机|耳塞|手?机?壳|保护[壳套膜]|手机套|贴膜|钢化膜|小?礼[物品盒]|小?玩意|小?东西|配件|赠品|电池|支架|"
    "挂[件绳]|收纳[包盒袋]|贴纸|卡[套包贴]|手提袋|鼠标垫?|键盘|内存卡|存储卡|u盘|背包|帆布袋|袜子?|口罩|小?样|试用装|惊喜|福利"
)
_SOME: Final = "(?:[一二两三几123]?\\s?[个副条份张根只套件块支盒包把本片对双]|[一]?[点些])"
_YOU: Final = "(?:给|为|帮)?(?:您|你|亲)"
_GIVE: Final = "搭|附|捎|塞|添|送|赠"
_PUT: Final = "配|带|给|加|发|放|寄|拿|装|补|来|备|准备|安排|多"
_MORE: Final = "再|另外|额外|顺便|顺手|顺带|免费|多"
GIFT: Final = re.compile(
    rf"(?:{_GIVE})[上送配带个]?(?:{_YOU})?{_SOME}(?:\S{{0,4}}?)(?:{_GOODS})|(?:搭|附|捎|塞|添|赠)[上送配带个]?(?:{_YOU})?(?:{_GOODS})|"
    rf"(?:{_MORE})(?:{_YOU})?(?:{_PUT})[上个]?(?:{_YOU})?{_SOME}?\S{{0,4}}?(?:{_GOODS})|"
    rf"(?:{_YOU})(?:{_PUT})[上个]?{_SOME}\S{{0,4}}?(?:{_GOODS})|(?<![标原])(?:{_PUT})[上个]?{_SOME}\S{{0,4}}?(?:{_GOODS})(?:给|送)[您你亲]|"
    rf"多(?:发|寄|放|装|送|拿|塞)[上个]?(?:{_YOU})?(?:{_SOME})(?!钱)|"
    r"bonus\s+(?!points)[a-z]+|(?:throw|toss|chuck|slip|pop)(?:ing)?\s(?:\w+\s){0,4}?in(?![a-z])|"
    r"(?:extra|free)\s+(?:\w+\s+){1,2}(?:included|for\s+you|as\s+a\s+gift)|(?:a|little|small)\s+gift\s+(?:for\s+you|included|inside)|"
    r"complimentary\s+[a-z]+|(?:i|we)(?:'ll|\s+will|\s+can)\s+(?:also\s+)?(?:include|add)\s+(?:an?|some|the|your)\s"
)
"""A gift said by any of them; what is part of the item ("标配一个充电器", "包装完好") gives nothing."""

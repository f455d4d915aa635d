"""Asked pieces: how many pieces of an item a buyer speaks of, which an answer need not repeat. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from shoal.assistant.spoken_amounts import DIGITS
from shoal.rules.money_amounts import number_of

MOST_PIECES: Final = 1_000
_NUMBER: Final = rf"[2-9](?![0-9])|[1-9][0-9]{{1,3}}|[{DIGITS}十百]{{1,4}}"
_MEASURE: Final = (
    "件|台|套|只(?![要需收])|双|条|本|盒|包(?![邮快])|箱|瓶|支|份|张|"
    "个(?!月|星期|礼拜|小时|钟头|颜色|色|问题|字|人|地方|评价|图|型号|版本|规格|款)|"
    r"(?:pieces?|pcs|items?|of them)(?![a-z])"
)
_PIECES: Final = re.compile(
    rf"(?<![0-9第.])(?P<number>{_NUMBER})\s?(?:{_MEASURE})|[x×*]\s?(?P<times>[2-9]|[1-9][0-9]{{1,2}})(?![0-9a-z])|"
    r"(?:take|buy|want|need|get|for) (?P<english>[2-9]|[1-9][0-9]{1,2})(?=\W*$)|"
    r"(?P<some>(?<=[来要拿买])两(?=$|[，。！？!?,.\s吧呗])|(?<![a-z])both(?![a-z]))"
)
_TOGETHER: Final = re.compile("一共|总共|总价|合计|共计|一起|全部|全要|打包|加起来|total|altogether|in all")


def asked_pieces(question: str, before: Sequence[str], answer: str) -> int:
    """Return how many pieces plain texts of a buyer speak of, at least 1; ``before``: the earlier ones, newest first.

    The question counts always. When it names no number, the last earlier text that names one counts if the question or
    the answer speaks of a sum: "总共".
    """
    if (asked := _pieces(question)) > 1 or not (_TOGETHER.search(question) or _TOGETHER.search(answer)):
        return asked
    return next((pieces for pieces in map(_pieces, before) if pieces > 1), 1)


def _pieces(text: str) -> int:
    most = 1
    for match in _PIECES.finditer(text):
        number = match["number"] or match["times"] or match["english"]
        most = max(most, 2 if match["some"] else min(int(number_of(number)), MOST_PIECES))
    return most

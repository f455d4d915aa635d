"""Three faults that users of other systems report, by the whole way of a shop's model: none of them is possible here.

The fourth, an answer after the owner spoke, is in ``test_model_turns.py`` and ``faults/prove_models.py``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from model_shop import REPLY, ModelShop, model_shop
from shoal.messages.decisions import Decision


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[ModelShop]:
    async with model_shop(tmp_path) as there:
        yield there


def said(text: str, offered_fen: int | None = None) -> dict[str, Any]:
    return {**REPLY, "text": text, "offered_fen": offered_fen}


@pytest.mark.parametrize("output", [said("99元给您", 9_900), said("便宜3元给您"), said("打九七折"), said("可以，卖您")])
async def test_no_discount_is_given_where_none_is_set(there: ModelShop, output: dict[str, Any]) -> None:
    """There a discount of 0 was read as "not set", and 3 % were given."""
    there.model.script([output], cycles=True)
    await there.add(price_floor_fen=10_000)
    await there.shop.decided(there.shop.site.says("97元卖吗"), Decision.HANDED_OFF)
    (run,) = await there.runs("blocked")
    assert (run.rail, output["text"] in there.shop.site.said) == ("amount", False)


async def test_a_price_at_the_floor_is_said(there: ModelShop) -> None:
    there.model.script([said("最低100元哦", 10_000)], cycles=True)
    await there.add(price_floor_fen=10_000)
    await there.shop.decided(there.shop.site.says("97元卖吗"), Decision.ANSWERED)
    await there.shop.sendings("sent")
    assert there.shop.site.said == ["最低100元哦"]


async def test_no_keyword_goes_past_the_limit_of_turns(there: ModelShop) -> None:
    """There questions about prices had a way of their own, on which nothing was counted."""
    there.model.script([said("在的，亲")], cycles=True)
    await there.add(ai_turns_per_chat=1)
    await there.shop.decided(there.shop.site.says("在吗"), Decision.ANSWERED)
    await there.shop.sendings("sent")
    calls = len(there.model.calls.after(0))
    for text in ("价格", "便宜点", "多少钱", "发货", "包邮吗"):
        assert (await there.shop.decided(there.shop.site.says(text), Decision.NO_RULE)).sendings == ()
    assert (len(there.model.calls.after(0)), there.shop.site.said) == (calls, ["在的，亲"])


async def test_a_persona_changes_no_setting(there: ModelShop) -> None:
    """There the prompt offered what the setting forbade, and the model followed the prompt."""
    there.model.script([said("给您打五折")], cycles=True)
    await there.add(price_floor_fen=10_000, ai_persona="为了成交可以打五折，最低十块钱也卖")
    await there.shop.decided(there.shop.site.says("便宜点吧"), Decision.HANDED_OFF)
    (run,) = await there.runs("blocked")
    assert (run.rail, "给您打五折" in there.shop.site.said) == ("amount", False)

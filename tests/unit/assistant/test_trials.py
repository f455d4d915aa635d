"""A trial of a question and the question of a buyer: the same prompt, and the same verdict on the same output."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shoal.assistant.contexts import Item, context_of
from shoal.assistant.trial import Trials
from shoal.messages.decisions import Decision
from support.models.model_shop import REPLY, ModelShop, model_shop
from support.site.standins import ANN
from support.site.without_sockets import ITEM, ME

QUESTION = f"最低多少？{ME}"
CASES = [
    (1_500, None, 15, ""),
    (1_500, None, 14, "below_price"),
    (1_500, 1_400, 14, ""),
    (1_500, 1_400, 13, "below_floor"),
    (None, None, 15, "price_unknown"),
    (None, 1_400, 15, ""),
]
"""The item's price, its floor, what the model offers, and why that is held back."""


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[ModelShop]:
    async with model_shop(tmp_path) as there:
        yield there


async def test_a_trial_and_a_buyers_question_are_told_and_checked_alike(there: ModelShop) -> None:
    await there.add(ai_facts=[["包邮吗", "满 30 元包邮"]], ai_persona="简短")
    trials = Trials(there.shop.database, there.shop.providers, there.shop.calls)
    ends: list[str] = []
    for number, (price_fen, floor_fen, yuan, why) in enumerate(CASES):
        there.shop.items[ITEM] = Item("手作杯子", price_fen)
        await there.shop.manager.update_item("shop", ITEM, {"facts": "陶瓷", "floor_fen": floor_fen}, caller=ANN)
        output: dict[str, Any] = {**REPLY, "text": f"最低{yuan}元", "offered_fen": yuan * 100}
        there.model.script([output], cycles=True)

        account = there.shop.manager.accounts["shop"]
        context = await context_of(account, QUESTION, there.shop.item_of, item_id=ITEM)
        tried = await trials.run(account, context, ITEM)
        asked = there.shop.site.says(QUESTION, chat=str(60 + number))
        await there.shop.decided(asked, Decision.HANDED_OFF if why else Decision.ANSWERED)

        ends.append("blocked" if why else "answered")
        run = (await there.runs(*ends))[-1]
        assert (tried.decision.value, tried.why, run.why) == ("blocked" if why else "reply", why, why)
        trial, real = (json.loads(call["body"])["messages"] for call in there.model.view()["calls"][-2:])
        assert trial == real == list(tried.prompt)
        assert "手作杯子" in trial[0]["content"]
        assert ME not in str(trial)

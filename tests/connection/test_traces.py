"""Traces of an answer and of an order, as a collector gets them: their steps, and no word of anybody."""

from __future__ import annotations

from shoal.orders.order_store import Action, ActionState
from shoal.server.otlp import TraceExport
from support.figures.trace_collector import collecting, facts_of
from support.messages.chat_steps import sendings
from support.orders.order_steps import order_action, paying_shop
from support.site.sandboxed import Shoal
from support.site.standins import ANN


async def test_a_collector_gets_the_steps_of_an_answer_and_of_an_order(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    await shoal.manager.update_keywords("shop", [("在吗", "在")], caller=ANN)
    async with collecting() as collector:
        export = TraceExport(collector.url)
        await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
        await sendings(shoal, "sent")
        paid = await shoal.sandbox.do("pay", account=unb, buyer="小鱼", item=shoal.item_of(unb))
        await order_action(shoal, paid["order_id"], Action.CONFIRM, ActionState.DONE)
        await shoal.is_done()
        await export.close()
    ((root, steps),) = collector.traces("message")
    assert steps == ["wait", "decide", "send"]
    assert {"shoal.decision": "answer", "shoal.outcome": "sent"}.items() <= facts_of(root).items()
    assert ["turn", "page", "shop", "paid_message", "confirm"] in [steps for _, steps in collector.traces("order")]
    sent = b"".join(collector.bodies)
    for word in (unb, paid["order_id"], shoal.item_of(unb), "小鱼", "在吗"):
        assert word.encode() not in sent, word

"""Orders of goods that a supplier sells: bought at most once, sent once, beside the other orders of the shop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from shoal.accounts import edits
from shoal.goods.goods import Goods
from shoal.orders.order_store import Action, ActionState
from shoal.storage.db_manager import open_vault
from shoal.storage.user_tables import users
from support.orders.goods_steps import changed, states_of
from support.orders.order_steps import PATIENCE, action_state, died, order_action, order_soon, pay, paying_shop, running
from support.orders.suppliers import settings_for, supplied_goods
from support.site.sandboxed import Shoal
from support.site.standins import ANN, until


async def supplied_shop(shoal: Shoal, **settings: Any) -> tuple[str, Goods]:
    """A shop that sells one item from a supplier, and the others with a text."""
    unb = await paying_shop(shoal)
    await changed(shoal.database, insert(users).values(id=1, username="ann", name_key="ann", password_hash="-"))
    vault = await open_vault(shoal.database, shoal.data_dir / "key")
    goods = await supplied_goods(shoal.database, vault, 1, settings_for(shoal.sandbox.url, **settings))
    rule = {"item_id": shoal.item_of(unb), "goods_id": goods.id, "parts": [{"text": "卡密：{codes}"}]}
    await shoal.manager.update_deliveries("shop", edits.deliveries([rule], merge=True), caller=ANN)
    return unb, goods


async def codes(shoal: Shoal, unb: str, buyer: str = "小鱼") -> list[str]:
    """The messages with codes that a buyer has."""
    return [line for line in await shoal.sandbox.seen(unb, buyer) if line.startswith("卡密：")]


async def test_each_piece_is_bought_and_sent_and_other_orders_need_not_wait(shoal: Shoal) -> None:
    unb, goods = await supplied_shop(shoal)
    supplier = shoal.sandbox.site.supplier
    supplier.lay("slow", times=1, seconds=PATIENCE, sells=False, query=True)
    order_id = await pay(shoal, unb, quantity=2)
    await until(lambda: supplier.calls.last_seq == 1, seconds=PATIENCE)
    other = list(shoal.sandbox.world.seller(unb).items)[1]
    beside = await pay(shoal, unb, buyer="大鱼", item=other)
    await order_action(shoal, beside, Action.CONFIRM, ActionState.DONE)
    assert await action_state(shoal.book, "shop", order_id, Action.PAID_MESSAGE) is ActionState.PENDING
    supplier.lay("", times=0, seconds=0, sells=False, query=True)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert await codes(shoal, unb) == ["卡密：SUPPLIED-000001", "卡密：SUPPLIED-000002"]
    assert [sale.times for sale in supplier.sales.values()] == [1, 1]
    assert await states_of(shoal.database, goods.id) == {"out": 2}


async def test_a_doubt_is_the_owners_and_serving_again_asks_with_the_same_key(shoal: Shoal) -> None:
    unb, goods = await supplied_shop(shoal)
    supplier = shoal.sandbox.site.supplier
    supplier.lay("closed", times=1, seconds=0, sells=False, query=True)
    order_id = await pay(shoal, unb)
    await order_soon(shoal, order_id, problem="supplier_uncertain")
    await shoal.close()
    await shoal.open()
    await running(shoal)
    await shoal.is_done()
    assert (supplier.calls.last_seq, await codes(shoal, unb)) == (1, [])
    assert await shoal.book.ask_again("shop", order_id, Action.PAID_MESSAGE, actor="ann")
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert (await codes(shoal, unb), len(supplier.sales)) == (["卡密：SUPPLIED-000001"], 1)
    assert await states_of(shoal.database, goods.id) == {"doubted": 1, "out": 1}


@pytest.mark.parametrize("query", [False, True])
async def test_it_dies_between_the_call_and_its_answer(shoal: Shoal, tmp_path: Path, *, query: bool) -> None:
    unb, goods = await supplied_shop(shoal, query=query)
    supplier = shoal.sandbox.site.supplier
    supplier.lay("slow", times=1, seconds=PATIENCE, sells=True, query=True)
    order_id = await pay(shoal, unb)
    await until(lambda: bool(supplier.sales), seconds=PATIENCE)
    heir = await died(shoal, tmp_path)
    try:
        await heir.open()
        await running(heir)
        if query:
            await order_action(heir, order_id, Action.CONFIRM, ActionState.DONE)
        else:
            await order_soon(heir, order_id, problem="supplier_uncertain")
        assert await codes(heir, unb) == (["卡密：SUPPLIED-000001"] if query else [])
        assert [sale.times for sale in supplier.sales.values()] == [1]
        assert await states_of(heir.database, goods.id) == ({"out": 1} if query else {"doubted": 1})
    finally:
        await heir.close()


async def test_a_refund_before_the_answer_leaves_the_unit_to_the_next_order(shoal: Shoal) -> None:
    unb, goods = await supplied_shop(shoal)
    supplier = shoal.sandbox.site.supplier
    supplier.lay("slow", times=1, seconds=PATIENCE, sells=True, query=True)
    order_id = await pay(shoal, unb)
    await until(lambda: bool(supplier.sales), seconds=PATIENCE)
    await pay(shoal, unb, order_id=order_id, card="closed")
    await order_soon(shoal, order_id, status="cancelled")
    supplier.lay("", times=0, seconds=0, sells=False, query=True)
    await shoal.is_done()
    assert (await codes(shoal, unb), await states_of(shoal.database, goods.id)) == ([], {"free": 1})
    following = await pay(shoal, unb, buyer="大鱼")
    await order_action(shoal, following, Action.CONFIRM, ActionState.DONE)
    assert (await codes(shoal, unb, "大鱼"), len(supplier.sales)) == (["卡密：SUPPLIED-000001"], 1)


async def test_a_refusal_is_told_as_the_orders_problem(shoal: Shoal) -> None:
    unb, goods = await supplied_shop(shoal)
    shoal.sandbox.site.supplier.lay("refused", times=1, seconds=0, sells=False, query=True)
    order_id = await pay(shoal, unb)
    await order_soon(shoal, order_id, problem="supplier_refused")
    assert await shoal.book.owner_settles("shop", order_id, Action.PAID_MESSAGE, ActionState.DONE, actor="ann")
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    assert (await codes(shoal, unb), await states_of(shoal.database, goods.id)) == ([], {})

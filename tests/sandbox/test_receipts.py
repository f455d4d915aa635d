"""What buyers received, what is bought in specs, and pages and buyers that do not do what a client hopes for."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.sandbox import codec
from support.site.sandbox_driver import CONSIGN_API, START_MS, Box, Shop, sandbox

BUYER = "豆豆妈"
PAGE_API = "mtop.idle.web.trade.order.detail"
SPECS = ["时长:月卡", "时长:年卡"]


async def paid(box: Box, shop: Shop, **more: Any) -> dict[str, Any]:
    order: dict[str, Any] = await box.post("pay", account=shop.unb, buyer=BUYER, **more)
    return order


async def page_item(shop: Shop, order_id: str) -> dict[str, Any]:
    data = (await shop.mtop(PAGE_API, {"tid": order_id}))["data"]
    item: dict[str, Any] = data["components"][1]["data"]["itemInfo"]
    return item


async def test_each_buyer_holds_every_text_and_picture_once_with_its_order_and_time() -> None:
    async with sandbox() as box, (shop := box.shop()).online() as im:
        order = await paid(box, shop)
        await im.write(order["cid"], order["buyer_id"], "码 1", uuid="-1")
        await im.write(order["cid"], order["buyer_id"], "码 1", uuid="-1")  # again: the site knows the uuid
        second = await paid(box, shop)
        await box.post("seller_say", account=shop.unb, buyer=BUYER, text="谢谢")
        answer = await box.get(f"receipts?account={shop.unb}")
        assert (await box.get("receipts")) == (await box.get(f"receipts?buyer={order['buyer_id']}")) == answer
        assert (await box.get("receipts?buyer=1"))["items"] == []
        assert (await box.get(f"receipts?account={box.shop(1).unb}"))["items"] == []
    ((row,), dropped) = answer["items"], answer["dropped"]
    assert (row["account"], row["buyer"], row["buyer_id"], dropped) == (shop.unb, BUYER, order["buyer_id"], 0)
    held = [(one["text"], one["order_id"], one["at"], one["kind"]) for one in row["received"]]
    assert held == [("码 1", order["order_id"], START_MS, "text"), ("谢谢", second["order_id"], START_MS, "text")]


async def test_a_picture_is_received_with_its_address() -> None:
    async with sandbox() as box, (shop := box.shop()).online():
        order = await paid(box, shop)
        chat = box.world.chats[order["cid"]]
        url = "https://img.alicdn.com/imgextra/x.png"
        content = codec.image_content(url)
        box.site.answer(chat, f"[图片] {url}", content, 2)
        ((row,),) = [(await box.get("receipts"))["items"]]
    ((kind, text, image),) = [(one["kind"], one["text"], one["image_url"]) for one in row["received"]]
    assert (kind, text, image) == ("picture", "", url)


async def test_a_buyer_chooses_from_the_specs_of_an_item() -> None:
    async with sandbox() as box:
        shop = box.shop()
        made = await box.post("item", account=shop.unb, title="会员", price_fen=900, specs=SPECS)
        await box.post("item", account=shop.unb, item="1", expect=404)
        assert made["specs"] == SPECS
        order = await paid(box, shop, item=made["id"], spec=SPECS[1], quantity=3)
        await box.post("pay", expect=404, account=shop.unb, buyer=BUYER, item=made["id"], spec="时长:日卡")
        item = await page_item(shop, order["order_id"])
        assert (item["skuInfo"], item["buyAmount"]) == (SPECS[1], "3")
        detail = (await shop.mtop("mtop.taobao.idle.pc.detail", {"itemId": made["id"]}))["data"]["itemDO"]
    assert [one["propertyList"][0]["valueText"] for one in detail["skuList"]] == ["月卡", "年卡"]


async def test_a_page_that_lags_says_neither_quantity_nor_spec_until_then() -> None:
    async with sandbox() as box:
        shop = box.shop()
        order = await paid(box, shop, spec=SPECS[0], quantity=4, page_lag_seconds=30.0)
        item = await page_item(shop, order["order_id"])
        assert (item["skuInfo"], item.get("buyAmount")) == ("", None)
        await box.post("clock", advance=30.0)
        item = await page_item(shop, order["order_id"])
    assert (item["skuInfo"], item["buyAmount"]) == (SPECS[0], "4")


@pytest.mark.parametrize(
    ("lie", "shown"),
    [("no_quantity", ("", None)), ("no_spec", ("", "4")), ("one_piece", (SPECS[0], "1")), ("other_order", ("", "7"))],
)
async def test_a_page_lies_once_and_then_tells_the_truth(lie: str, shown: tuple[str, str | None]) -> None:
    async with sandbox() as box:
        shop = box.shop()
        order = await paid(box, shop, spec=SPECS[0], quantity=4)
        await box.fault("lying_page", shop, page=lie)
        item = await page_item(shop, order["order_id"])
        assert (item["skuInfo"], item.get("buyAmount")) == shown
        item = await page_item(shop, order["order_id"])
    assert (item["skuInfo"], item["buyAmount"]) == (SPECS[0], "4")


async def test_a_malformed_page_has_no_parts_and_a_lie_must_be_named() -> None:
    async with sandbox() as box:
        shop = box.shop()
        order = await paid(box, shop)
        await box.fault("lying_page", shop, page="malformed")
        data = (await shop.mtop(PAGE_API, {"tid": order["order_id"]}))["data"]
        assert data["components"] == "?"
        assert (await box.post("fault", expect=422, kind="lying_page"))["code"] == "invalid"
        assert (await box.post("fault", expect=422, kind="buyer_acts", card="closed"))["code"] == "invalid"


async def test_the_buyer_of_another_order_is_on_its_page() -> None:
    async with sandbox() as box:
        shop = box.shop()
        other = await box.post("pay", account=shop.unb, buyer="路过的风")
        order = await paid(box, shop)
        await box.fault("lying_page", shop, page="other_order")
        data = (await shop.mtop(PAGE_API, {"tid": order["order_id"]}))["data"]
    assert data["peerUserId"] == other["buyer_id"] != order["buyer_id"]


@pytest.mark.parametrize("which", ["order", "consign"])
async def test_the_buyer_asks_for_a_refund_as_a_call_arrives(which: str) -> None:
    async with sandbox() as box:
        shop = box.shop()
        order = await paid(box, shop)
        await box.fault("buyer_acts", shop, which=which, card="refund_asked")
        if which == "order":
            await page_item(shop, order["order_id"])
        else:
            reply = await shop.mtop(CONSIGN_API, {"orderId": order["order_id"]})
            assert "STATUS_ERROR" in reply["ret"][0]
        assert box.world.orders[order["order_id"]].status == "refunding"


async def test_the_buyer_cancels_after_the_second_message() -> None:
    async with sandbox() as box, (shop := box.shop()).online() as im:
        order = await paid(box, shop)
        await box.fault("buyer_acts", shop, which="send", card="closed", passes=1)
        await im.write(order["cid"], order["buyer_id"], "码 1", uuid="-1")
        assert box.world.orders[order["order_id"]].status == "pending_ship"
        await im.write(order["cid"], order["buyer_id"], "码 2", uuid="-2")
        assert box.world.orders[order["order_id"]].status == "cancelled"

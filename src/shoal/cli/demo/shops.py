"""The demo's shops: the settings that an owner would make, entered over the API like any owner's."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from shoal.cli.api_client import ApiClient

_EVERYDAY: Final = {
    "在吗": "在的，请问看中哪一件？",
    "在不在": "在的亲，直接说就行。",
    "你好": "您好，有什么可以帮您？",
    "还有货": "有货，随时可以拍。",
    "还在": "还在的，喜欢就带走吧。",
    "包邮": "全国包邮，偏远地区补 5 元。",
    "多少钱": "标价就是实价，可以直接拍。",
    "便宜": "已经是最低价啦。",
    "少": "真的少不了啦，质量您放心。",
    "刀": "不刀哦，价格已经很实在了。",
    "优惠": "两件以上每件减 2 元。",
    "发货": "付款后自动发货，几秒钟就到。",
    "自动发": "是的，付款后系统自动发，随时可以拍。",
    "最新": "是最新的，有更新会再发给您。",
    "看一眼": "商品页有详细介绍和图片，放心拍。",
    "有问题": "当然可以，有问题随时找我。",
    "付款": "收到付款，马上给您发。",
    "拍": "收到，付款后马上给您发。",
    "谢谢": "不客气，欢迎再来！",
}
"""What every shop answers: nearly all that the demo's buyers ask. The first keyword that is in a message answers it."""


CODES_TITLE: Final = "视频会员卡密"
CODES_EACH: Final = 200
LOW_AT: Final = 20


@dataclass(frozen=True, slots=True)
class OpenedShop:
    """A shop as it was opened on the site: the seller's cookie, and the item that it sells codes as (or none)."""

    cookie: str
    item_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoShop:
    """One shop: its id, its name on the site, a remark, its rules, and the settings that differ from the defaults.

    ``codes``: it sells codes, each of these specs from goods of their own; the value is how their codes begin.
    """

    id: str
    name: str
    note: str
    keywords: dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)
    auto_confirm: bool = False
    enabled: bool = True


SHOPS: Final = (
    DemoShop(
        id="xiaoyu",
        name="小鱼杂货铺",
        note="电子书，自动发货",
        keywords=_EVERYDAY,
        settings={"paid_message": "感谢购买！资料地址：https://example.com/ebook 提取码 8K2Q，有问题随时找我。"},
        auto_confirm=True,
    ),
    DemoShop(
        id="shiguang",
        name="拾光书屋",
        note="发货前人工确认",
        keywords=_EVERYDAY | {"最新": "是今年的新版。"},
        settings={"paid_message": "已收到付款，书单和下载地址：https://example.com/books 提取码 5T7W。"},
    ),
    DemoShop(
        id="muzi",
        name="木子数码",
        note="卖卡密，两种规格",
        keywords=_EVERYDAY,
        codes={"时长:月卡": "MUZI-YK", "时长:年卡": "MUZI-NK"},
        auto_confirm=True,
    ),
    DemoShop(
        id="nanfeng",
        name="南风小店",
        note="有默认回复",
        keywords={"在吗": "在的，您说。", "包邮": "包邮的。"},
        settings={
            "default_reply_enabled": True,
            "default_reply": "看到啦，店主稍后亲自回复您。",
            "paid_message": "已收到付款，模板下载地址：https://example.com/templates 提取码 3N6F。",
        },
        auto_confirm=True,
    ),
    DemoShop(
        id="afu",
        name="阿福的闲置",
        note="网盘资料",
        keywords={"怎么发货": "网盘发，秒到。"} | _EVERYDAY,
        settings={"paid_message": "谢谢支持！网盘地址：https://example.com/afu 提取码 7Y2M。"},
        auto_confirm=True,
    ),
    DemoShop(
        id="jumao",
        name="橘猫会员铺",
        note="休息中",
        keywords=_EVERYDAY,
        settings={"paid_message": "会员已开通，请在会员页查看，有问题随时找我。"},
        enabled=False,
    ),
)


async def add_shops(client: ApiClient, open_shop: Callable[[DemoShop], Awaitable[OpenedShop]]) -> None:
    """Add the shops, all at once; ``open_shop`` opens one on the site."""
    opened = [await open_shop(shop) for shop in SHOPS]
    await asyncio.gather(*(_add(client, shop, on_site) for shop, on_site in zip(SHOPS, opened, strict=True)))


async def _add(client: ApiClient, shop: DemoShop, opened: OpenedShop) -> None:
    start = {"wait": "10"} if shop.enabled else {"wait": "0"}
    await client.ask("POST /cookies", body={"id": shop.id, "value": opened.cookie}, query=start)
    if not shop.enabled:
        await client.ask("PUT /cookies/{cid}/status", cid=shop.id, body={"enabled": False})
    settings = {"remark": f"{shop.name}（{shop.note}）", **shop.settings}
    await client.ask("PATCH /cookies/{cid}/settings", cid=shop.id, body=settings)
    await client.ask("POST /keywords/{cid}", cid=shop.id, body={"keywords": shop.keywords})
    if shop.codes:
        await _stock(client, shop, opened.item_id)
    if shop.auto_confirm:
        await client.ask("PUT /cookies/{cid}/auto-confirm", cid=shop.id, body={"auto_confirm": True})


async def _stock(client: ApiClient, shop: DemoShop, item_id: str) -> None:
    """Fill the goods of each spec, and say that the item's buyers get them."""
    rules = []
    for spec, beginning in shop.codes.items():
        name = f"{CODES_TITLE} {spec.partition(':')[2]}"
        values = {"name": name, "kind": "stock", "per_message": 9, "low_at": LOW_AT}
        goods = await client.ask("POST /goods", body=values)
        codes = [f"{beginning}-{secrets.token_hex(4).upper()}-{number:03}" for number in range(1, CODES_EACH + 1)]
        await client.ask("POST /goods/{goods_id}/units", goods_id=str(goods["id"]), body={"lines": codes})
        parts = [{"text": "感谢购买！您的卡密：\n{codes}"}, {"text": "在会员页兑换即可，有问题随时找我。"}]
        rules.append({"item_id": item_id, "spec": spec, "goods_id": goods["id"], "parts": parts, "confirm": "yes"})
    await client.ask("PUT /cookies/{cid}/deliveries", cid=shop.id, body={"rules": rules})

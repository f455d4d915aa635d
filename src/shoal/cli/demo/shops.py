"""The demo's shops: the settings that an owner would make, entered over the API like any owner's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from shoal.cli.api_client import ApiClient

_EVERYDAY: Final = {
    "在吗": "在的，请问看中哪一件？",
    "在不在": "在的亲，直接说就行。",
    "包邮": "全国包邮，偏远地区补 5 元。",
    "多少钱": "标价就是实价，可以直接拍。",
    "发货": "付款后自动发货，几秒钟就到。",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoShop:
    """One shop: its id, its name on the site, a remark, its rules, and the settings that differ from the defaults."""

    id: str
    name: str
    note: str
    keywords: dict[str, str]
    settings: dict[str, Any] = field(default_factory=dict)
    auto_confirm: bool = False
    enabled: bool = True


SHOPS: Final = (
    DemoShop(
        id="xiaoyu",
        name="小鱼杂货铺",
        note="电子书，自动发货",
        keywords=_EVERYDAY
        | {"还有货": "有货，随时可以拍。", "还在": "还在的，喜欢就带走吧。", "拍了": "收到，马上给您发。"},
        settings={"paid_message": "感谢购买！资料地址：https://example.com/ebook 提取码 8K2Q，有问题随时找我。"},
        auto_confirm=True,
    ),
    DemoShop(
        id="shiguang",
        name="拾光书屋",
        note="发货前人工确认",
        keywords=_EVERYDAY | {"便宜": "已经是最低价啦。", "最新": "是今年的新版。"},
        settings={"paid_message": "已收到付款，书单和下载地址：https://example.com/books 提取码 5T7W。"},
    ),
    DemoShop(
        id="muzi",
        name="木子数码",
        note="不议价",
        keywords=_EVERYDAY | {"刀": "不刀哦，价格已经很实在了。", "优惠": "两件以上每件减 2 元。"},
    ),
    DemoShop(
        id="nanfeng",
        name="南风小店",
        note="有默认回复",
        keywords={"在吗": "在的，您说。", "包邮": "包邮的。"},
        settings={"default_reply_enabled": True, "default_reply": "看到啦，店主稍后亲自回复您。"},
    ),
    DemoShop(
        id="afu",
        name="阿福的闲置",
        note="只答常见问题",
        keywords={
            "在吗": "在，直接拍。",
            "多少钱": "看标价。",
            "怎么发货": "网盘发，秒到。",
            "谢谢": "不客气，欢迎再来！",
        },
    ),
    DemoShop(id="jumao", name="橘猫会员铺", note="休息中", keywords=_EVERYDAY, enabled=False),
)


async def add_shops(client: ApiClient, cookie_of: Callable[[str], Awaitable[str]]) -> None:
    """Add the shops, all at once; ``cookie_of`` opens the shop of that name on the site and returns its cookie."""
    cookies = [await cookie_of(shop.name) for shop in SHOPS]
    await asyncio.gather(*(_add(client, shop, cookie) for shop, cookie in zip(SHOPS, cookies, strict=True)))


async def _add(client: ApiClient, shop: DemoShop, cookie: str) -> None:
    start = {"wait": "10"} if shop.enabled else {"wait": "0"}
    await client.call("POST", "cookies", body={"id": shop.id, "value": cookie}, params=start)
    if not shop.enabled:
        await client.call("PUT", "cookies", shop.id, "status", body={"enabled": False})
    await client.call(
        "PATCH", "cookies", shop.id, "settings", body={"remark": f"{shop.name}（{shop.note}）", **shop.settings}
    )
    await client.call("POST", "keywords", shop.id, body={"keywords": shop.keywords})
    if shop.auto_confirm:
        await client.call("PUT", "cookies", shop.id, "auto-confirm", body={"auto_confirm": True})

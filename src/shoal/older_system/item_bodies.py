"""Items that are known of shops as JSON, in the dialect of the system that sellers come from."""

from __future__ import annotations

import hashlib
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shoal.api.schemas.request_texts import Text
from shoal.api.schemas.responses import example
from shoal.items.known_items import KnownItem

NO_TITLE = "未知商品"
NO_PRICE = "价格未知"
_ITEM: dict[str, Any] = {
    "id": 163511209731241, "cookie_id": "my-shop", "item_id": "700000000001", "item_title": "视频会员月卡",
    "item_description": "", "item_category": "", "item_price": "¥25.00", "item_detail": "", "is_multi_spec": True,
    "multi_quantity_delivery": True, "created_at": None, "updated_at": None,
    "item_picture": "/static/uploads/images/9b1c0d5e7f2a4b6c8d0e1f2a3b4c5d6e.webp",
}  # fmt: skip


def _body(**shown: Any) -> ConfigDict:
    """Return the configuration of a body to which old scripts may add fields."""
    return ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True, json_schema_extra={"examples": [shown]})


class KnownItemShape(BaseModel):
    """One item. ``item_title`` is empty while the site's list was not read; detail and times are not known.

    ``item_price`` is empty when the list was not read within an hour, or says no price in plain yuan.

    ``is_multi_spec``: a delivery rule or an order names a spec of it. ``item_picture`` is an address of this server,
    empty while its picture is not here; the older system has no such field.
    """

    model_config = example(**_ITEM)
    id: int
    cookie_id: str
    item_id: str
    item_title: str
    item_description: str = ""
    item_category: str = ""
    item_price: str = ""
    item_detail: str = ""
    is_multi_spec: bool
    multi_quantity_delivery: bool = True
    created_at: str | None = None
    updated_at: str | None = None
    item_picture: str = ""


class KnownItems(BaseModel):
    """Items, account by account."""

    model_config = example(items=[_ITEM])
    items: list[KnownItemShape]


class KnownItemAnswer(BaseModel):
    """One item."""

    model_config = example(item=_ITEM)
    item: KnownItemShape


class ShortItem(BaseModel):
    """One item of a list to choose from."""

    item_id: str
    item_title: str
    item_price: str = NO_PRICE
    created_at: str | None = None


class ShortItems(BaseModel):
    """The items of an account, to choose from."""

    model_config = example(
        items=[
            {"item_id": "700000000001", "item_title": "视频会员月卡", "item_price": "¥25.00", "created_at": None},
        ],
        count=1,
    )  # fmt: skip
    items: list[ShortItem]
    count: int


class AccountOfItemsBody(BaseModel):
    """The account whose items are asked of the site."""

    model_config = _body(cookie_id="my-shop")
    cookie_id: Text


class ItemPageBody(AccountOfItemsBody):
    """A page of them."""

    model_config = _body(cookie_id="my-shop", page_number=1, page_size=20)
    page_number: int = Field(1, ge=1, le=1_000)
    page_size: int = Field(20, ge=1, le=100)


class ItemsRequested(BaseModel):
    """How many items are on sale, or the reason why the site was not asked."""

    model_config = example(success=True, message="成功获取 23 个商品（共2页）", total_count=23, total_pages=2)
    success: bool
    message: str
    total_count: int | None = None
    total_pages: int | None = None


class ItemPageAnswer(BaseModel):
    """How many items are on a page, or the reason why the site was not asked."""

    model_config = example(
        success=True, message="成功获取第1页 20 个商品", page_number=1, page_size=20, current_count=20
    )
    success: bool
    message: str
    page_number: int | None = None
    page_size: int | None = None
    current_count: int | None = None


def known_item_shape(account_id: str, item: KnownItem) -> KnownItemShape:
    """Return an item as JSON. Its number follows from account and item: the older system had a row for each."""
    digest = hashlib.blake2b(f"{account_id}/{item.item_id}".encode(), digest_size=6).digest()
    return KnownItemShape(
        id=int.from_bytes(digest) + 1,
        cookie_id=account_id,
        item_id=item.item_id,
        item_title=item.title,
        item_price=_yuan(item.price_fen),
        is_multi_spec=item.has_specs,
        item_picture=item.picture,
    )


def short_item(item: KnownItem) -> ShortItem:
    """Return an item to choose from as JSON."""
    return ShortItem(
        item_id=item.item_id, item_title=item.title or NO_TITLE, item_price=_yuan(item.price_fen) or NO_PRICE
    )


def _yuan(fen: int | None) -> str:
    return "" if fen is None else f"¥{fen // 100}.{fen % 100:02}"

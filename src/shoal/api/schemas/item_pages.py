"""What the site's pages say of items, as JSON."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from shoal.api.schemas.filled import filled
from shoal.api.schemas.responses import example, maybe_rfc3339
from shoal.items.item_page_rows import StoredPage
from shoal.items.item_pages import PRICES_MS

_PAGE: dict[str, Any] = {
    "item_id": "700000000001", "title": "视频会员", "description": "官方充值，拍下即发卡密。", "price_fen": None,
    "has_specs": True, "specs": [{"name": "时长:月卡", "price_fen": 2500, "left": 3}], "quantity": 3,
    "status": "on_sale",
    "read_at": "2026-11-28T11:05:00Z", "prices_hold": True, "tried_at": "2026-11-28T11:05:00Z", "why": "",
}  # fmt: skip


class SpecShape(BaseModel):
    """One spec and its price; ``left``: how many the page says are left."""

    name: str
    price_fen: int
    left: int | None


class ItemPageShape(BaseModel):
    """What is known of an item's page, and since when. ``read_at`` is null when it was never read.

    ``price_fen`` is null when the specs have different prices, and when the page says none in plain yuan.
    ``has_specs``: buyers choose among specs; ``specs`` is empty all the same when one has an unknown form. ``status``:
    `on_sale`, `gone` (sold, off the shelf or deleted), or empty. ``prices_hold``: it was read within an hour.
    ``tried_at``: when a reading was last tried; ``why`` it was not read then.
    """

    model_config = example(**_PAGE)
    item_id: str
    title: str
    description: str
    price_fen: int | None
    has_specs: bool
    specs: list[SpecShape]
    quantity: int | None
    status: Literal["", "on_sale", "gone"]
    read_at: str | None
    prices_hold: bool
    tried_at: str | None
    why: str


def item_page_shape(item_id: str, stored: StoredPage | None, now_ms: int) -> ItemPageShape:
    """Return what is known of a page as JSON."""
    known = stored if stored is not None else StoredPage(item_id=item_id)
    page = known.page
    return filled(
        ItemPageShape,
        page,
        item_id=item_id,
        specs=[SpecShape(name=spec.name, price_fen=spec.price_fen, left=spec.left) for spec in page.specs],
        status=page.status.value,
        read_at=maybe_rfc3339(known.read_at_ms),
        prices_hold=known.is_younger(PRICES_MS, now_ms),
        tried_at=maybe_rfc3339(known.asked_at_ms or None),
        why=known.why,
    )

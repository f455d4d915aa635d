"""What the site's page of one item says (docs/protocol.md §2.5). What has another form is left out, never guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

LONGEST_TITLE: Final = 200
LONGEST_DESCRIPTION: Final = 2_000
"""A longer description is cut: beyond that it costs more tokens than it answers questions."""
LONGEST_SPEC: Final = 100
MOST_SPECS: Final = 200
"""Of an item with more specs none is known: a part of their prices could be taken for all."""
MOST_FEN: Final = 10_000_000_000
_YUAN: Final = re.compile(r"[0-9]{1,8}(\.[0-9]{1,2})?", re.ASCII)
_GONE: Final = ("卖掉", "卖出", "售出", "下架", "删除", "失效")
_ON_SALE: Final = "在线"


class ItemStatus(StrEnum):
    """Whether an item can be bought."""

    UNKNOWN = ""
    """The page does not say it in a known form."""
    ON_SALE = "on_sale"
    GONE = "gone"
    """Sold, off the shelf, or deleted."""


class SpecPrice(msgspec.Struct, frozen=True):
    """One spec (``name:value``, several joined by ``;``), its price, and how many are left if that is known."""

    name: str
    price_fen: int
    left: int | None = None

    @property
    def values(self) -> tuple[str, ...]:
        """The values of its groups, such as ``年卡``."""
        return tuple(group.partition(":")[2] or group for group in self.name.split(";"))


class ItemPage(msgspec.Struct, frozen=True, kw_only=True):
    """One item. ``price_fen`` is ``None`` when the page has no price that is that of every spec.

    ``has_specs``: buyers choose among specs; ``specs`` is empty all the same when one of them has another form.
    ``seller_id`` is empty when the page does not say whose it is.
    """

    title: str = ""
    description: str = ""
    price_fen: int | None = None
    has_specs: bool = False
    specs: tuple[SpecPrice, ...] = ()
    quantity: int | None = None
    status: ItemStatus = ItemStatus.UNKNOWN
    seller_id: str = ""


def read_item_page(data: Mapping[str, object], item_id: str) -> ItemPage | None:
    """Read the ``data`` of the reply. Never raises; ``None`` for what is no page of that item."""
    item = data.get("itemDO")
    if not isinstance(item, Mapping) or _id(item.get("itemId"), item_id) != item_id:
        return None
    rows = item.get("skuList")
    rows = rows if isinstance(rows, list) else []
    has_specs = len(rows) > 1 or any(_object(row).get("propertyList") for row in rows)
    specs = _specs(rows) if has_specs else ()
    prices = {spec.price_fen for spec in specs}
    price = prices.pop() if len(prices) == 1 else None
    return ItemPage(
        title=_text(item.get("title"), LONGEST_TITLE),
        description=_text(item.get("desc"), LONGEST_DESCRIPTION),
        price_fen=price if has_specs else _fen_of(item.get("soldPrice")),
        has_specs=has_specs,
        specs=specs,
        quantity=_count(item.get("quantity")),
        status=_status(item),
        seller_id=_id(_object(data.get("sellerDO")).get("sellerId"), ""),
    )


def _specs(rows: list[object]) -> tuple[SpecPrice, ...]:
    """Return all specs; none when one of them cannot be read, or two have one name."""
    found = [_spec(row) for row in rows] if len(rows) <= MOST_SPECS else [None]
    specs = tuple(spec for spec in found if spec is not None)
    is_whole = len(specs) == len(found) == len({spec.name for spec in specs})
    return specs if is_whole else ()


def _spec(row: object) -> SpecPrice | None:
    fields = _object(row)
    price, groups = fields.get("price"), fields.get("propertyList")
    if not isinstance(price, int) or isinstance(price, bool) or not 0 < price <= MOST_FEN:
        return None
    if not isinstance(groups, list):
        return None
    names = [_group(group) for group in groups]
    name = ";".join(names)
    if not names or not all(names) or len(name) > LONGEST_SPEC:
        return None
    return SpecPrice(name, price, _count(fields.get("quantity")))


def _group(group: object) -> str:
    """Return one group as ``name:value``; empty without a value, and for signs that part groups."""
    fields = _object(group)
    name, value = (_text(fields.get(key), LONGEST_SPEC) for key in ("propertyText", "valueText"))
    if not value or ";" in name + value or ":" in name:
        return ""
    return f"{name}:{value}" if name else value


def _status(item: Mapping[str, object]) -> ItemStatus:
    words, number = item.get("itemStatusStr"), item.get("itemStatus")
    if isinstance(words, str) and any(word in words for word in _GONE):
        return ItemStatus.GONE
    if isinstance(words, str) and words.strip():
        return ItemStatus.ON_SALE if words.strip() == _ON_SALE else ItemStatus.UNKNOWN
    return ItemStatus.ON_SALE if _count(number) == 0 else ItemStatus.UNKNOWN


def _fen_of(price: object) -> int | None:
    if not isinstance(price, str) or not _YUAN.fullmatch(price):
        return None
    return int(Decimal(price) * 100) or None


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
        return None
    return value


def _id(value: object, without: str) -> str:
    """Return an id; ``without`` when there is none, and ``?`` for another form."""
    if value is None:
        return without
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return text if text.isascii() and text.isdigit() and len(text) <= 32 else "?"


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object, limit: int) -> str:
    return value.strip()[:limit] if isinstance(value, str) else ""

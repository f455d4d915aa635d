"""The contents of the site's page of one order (docs/protocol.md §2.6). Any part may be missing."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

_MAX_CHARACTERS = 200
_MAX_ADDRESS = 2_000
_BETWEEN_GROUPS = re.compile("[;；]")


class OrderDetail(msgspec.Struct, frozen=True):
    """One order. Amount (yuan) and quantity are the site's own texts; missing values are empty.

    ``item_picture`` is the address of the item's picture.
    """

    item_id: str = ""
    buyer_id: str = ""
    amount: str = ""
    quantity: str = ""
    spec_name: str = ""
    spec_value: str = ""
    status_words: str = ""
    item_title: str = ""
    item_picture: str = ""


def read_order_detail(data: Mapping[str, object]) -> OrderDetail:
    """Read the ``data`` of the reply. Never raises: values of an unknown form are left empty."""
    parts = _parts(data.get("components"))
    order, status = parts.get("orderInfoVO", {}), parts.get("orderStatusVO", {})
    item = _object(order.get("itemInfo"))
    paid = _object(_object(order.get("priceInfo")).get("amount"))
    spec_name, spec_value = _spec(_text(item.get("skuInfo")) or _text(item.get("skuText")))
    return OrderDetail(
        item_id=_digits(item.get("itemId")) or _digits(data.get("itemId")),
        buyer_id=_digits(order.get("buyerUserId")) or _digits(data.get("peerUserId")),
        amount=_text(paid.get("value")),
        quantity=_digits(item.get("buyAmount")),
        spec_name=spec_name,
        spec_value=spec_value,
        status_words=_text(_object(status.get("orderStatusInfo")).get("title")),
        item_title=_text(item.get("title")),
        item_picture=_address(item.get("itemMainPictCdnUrl")),
    )


def _parts(components: object) -> dict[str, Mapping[str, object]]:
    rows = components if isinstance(components, list) else []
    found = [(_text(_object(row).get("render")), _object(_object(row).get("data"))) for row in rows]
    return dict(reversed(found))  # the first of a kind counts


def _spec(text: str) -> tuple[str, str]:
    """Split ``尺码:大`` in two; a text without a colon is a value. Names and values of several groups are joined."""
    groups = [group.strip() for group in _BETWEEN_GROUPS.split(text) if group.strip()]
    names, values = [], []
    for group in groups:
        name, colon, value = group.replace("：", ":").partition(":")
        names.append(name.strip() if colon else "")
        values.append(value.strip() if colon else group)
    return "; ".join(name for name in names if name), "; ".join(values)


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    return value.strip()[:_MAX_CHARACTERS] if isinstance(value, str) else ""


def _address(value: object) -> str:
    return value.strip() if isinstance(value, str) and len(value) <= _MAX_ADDRESS else ""


def _digits(value: object) -> str:
    text = _text(value)
    return text if text.isascii() and text.isdigit() and len(text) <= 32 else ""

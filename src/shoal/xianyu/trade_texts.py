"""The site's own phrases: what it says when an order moves, and what nobody should answer (docs/protocol.md §3.8)."""

from __future__ import annotations

PAID_TEXTS = ("我已付款，等待你发货", "我已付款，等待您发货", "[已付款，待发货]", "[记得及时发货]")
"""A card whose reminder or title holds one of these says: paid, not yet shipped."""

GROUP_PRICE_TEXT = "我已小刀，待刀成"

SYSTEM_TEXTS = frozenset({
    "[我已拍下，待付款]",
    "[我已付款，等待你发货]",
    "[我已付款，等待您发货]",
    "[已付款，待发货]",
    "[记得及时发货]",
    "[买家已付款]",
    "[付款完成]",
    "[你已发货]",
    "你已发货",
    "[你已发货，请等待买家确认收货]",
    "[买家确认收货，交易成功]",
    "[你已确认收货，交易成功]",
    "[退款成功，钱款已原路退返]",
    "[你关闭了订单，钱款已原路退返]",
    "[不想宝贝被砍价?设置不砍价回复  ]",
    "AI正在帮你回复消息，不错过每笔订单",
    "发来一条消息",
    "发来一条新消息",
    "快给ta一个评价吧~",
    "快给ta一个评价吧～",
    "卖家人不错？送Ta闲鱼小红花",
})  # fmt: skip


def is_system_text(text: str) -> bool:
    """Tell whether the whole text is a phrase of the site's own, to which nobody expects an answer."""
    return _without_blanks(text) in _SYSTEM_TEXTS_BARE


def _without_blanks(text: str) -> str:
    return "".join(text.split())


_SYSTEM_TEXTS_BARE = frozenset(_without_blanks(text) for text in SYSTEM_TEXTS)


def is_paid_text(text: str) -> bool:
    """Tell whether a card's reminder or title says that the buyer has paid. Says nothing about typed text."""
    return any(phrase in text for phrase in PAID_TEXTS)


def is_group_price_text(text: str) -> bool:
    """Tell whether a card's title says that a group price waits for the seller."""
    return GROUP_PRICE_TEXT in text

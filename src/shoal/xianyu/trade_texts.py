"""The site's own phrases: those about an order's status, and those that need no reply (docs/protocol.md §3.9)."""

from __future__ import annotations

PAID_TEXTS = (
    "我已付款，等待你发货",
    "我已付款，等待您发货",
    "已付款，待发货",
    "记得及时发货",
    "我已成功小刀，待发货",
)
"""A card whose reminder or title contains one of these means: paid, not yet shipped; the last, at a group price."""

GROUP_PRICE_TEXT = "我已小刀，待刀成"

_SAME = str.maketrans({",": "，", "~": "～", "[": None, "]": None, "【": None, "】": None})


def comparable(text: str) -> str:
    """Return a text without brackets and blanks, with the site's own punctuation: it writes a phrase in many ways."""
    return "".join(text.translate(_SAME).split())


GREETING_IN_OUR_NAME = "AI正在帮你回复消息，不错过每笔订单"
"""What the site writes to a buyer under the seller's own id. The owner has not written then."""

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
    GREETING_IN_OUR_NAME,
    "发来一条消息",
    "发来一条新消息",
    "快给ta一个评价吧~",
    "快给ta一个评价吧～",
    "卖家人不错？送Ta闲鱼小红花",
})  # fmt: skip


def is_system_text(text: str) -> bool:
    """Return whether the whole text is one of the site's own phrases, to which no buyer expects a reply."""
    return _without_blanks(text) in _SYSTEM_TEXTS_BARE


def _without_blanks(text: str) -> str:
    return "".join(text.split())


_SYSTEM_TEXTS_BARE = frozenset(_without_blanks(text) for text in SYSTEM_TEXTS)


def is_paid_text(text: str) -> bool:
    """Return whether a card's words report that the buyer has paid, and nothing that came later. Not for typed text."""
    words = comparable(text)
    return any(phrase in words for phrase in PAID_TEXTS) and status_named(text) == "pending_ship"


def is_group_price_text(text: str) -> bool:
    """Return whether a card's words report that a group price waits for the seller."""
    return status_named(text) == "group_pending"


def deciding(reminder: str, title: str) -> str:
    """Return which of a card's texts says how its order stands: the reminder if it does, for the title may be old."""
    return reminder if status_named(reminder) else title


_ENDED_REQUESTS = frozenset({"已撤销", "已拒绝"})
"""What the button of a refund's request says once its buyer withdrew it, or its seller refused it."""


def status_on_card(reminder: str, title: str, button: str) -> str:
    """Return the order status that a card reports, as ``status_named``.

    The card of a refund's request comes again when the request ends: only its button differs then.
    """
    status = status_named(deciding(reminder, title))
    return "refund_cancelled" if status == "refunding" and comparable(button) in _ENDED_REQUESTS else status


_STATUS_WORDS = (
    (("撤销了退款", "撤销退款", "退款撤销", "撤销了退货", "取消了退款"), "refund_cancelled"),
    (("退款成功", "已退款", "原路退返", "原路退回"), "cancelled"),
    (("退款申请", "申请退款", "申请了退款", "退款中", "退货退款"), "refunding"),
    (("关闭了订单", "交易关闭", "订单关闭", "取消了订单"), "cancelled"),
    (("交易成功",), "completed"),
    (("已发货", "等待买家收货"), "shipped"),
    ((GROUP_PRICE_TEXT,), "group_pending"),
    ((*PAID_TEXTS, "买家已付款", "付款完成", "等待卖家发货"), "pending_ship"),
    (("待付款", "等待买家付款", "等待你付款", "等待您付款"), "processing"),
)
"""The site's phrases and the order status they report, the most specific first (§3.9)."""


def status_named(*words: str) -> str:
    """Return the order status that the texts of a card, a mark or an order's page report; empty when there is none.

    One of ``processing``, ``group_pending``, ``pending_ship``, ``shipped``, ``completed``, ``refunding``,
    ``refund_cancelled`` and ``cancelled``. Only a card's own flags make a delivery due.
    """
    texts = [comparable(text) for text in words]
    return next(
        (status for phrases, status in _STATUS_WORDS if any(one in text for one in phrases for text in texts)), ""
    )

"""The events that a push can mean: one frozen class per event. Ids are always text (docs/protocol.md §3.7)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChatImage:
    """One picture of an image message; sizes in pixels, 0 when unknown."""

    url: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A message in a chat, by the buyer, by us (``is_own``) or by the site (``is_system``).

    ``message_id`` is empty only when the payload has no id at all; ``created_at_ms`` is 0 when it has no time. Check
    ``is_own`` before ``is_system``: an owner may type a text that the site uses too.
    """

    chat_id: str
    message_id: str
    sender_id: str
    sender_name: str
    text: str
    content_type: int
    item_id: str | None
    created_at_ms: int
    is_own: bool
    is_system: bool
    images: tuple[ChatImage, ...] = ()


@dataclass(frozen=True, slots=True)
class TradeCard:
    """A card about an order (content type 26); only such a card may lead to a delivery.

    ``is_sale``: it has an order id, and we are the seller. ``paid`` and ``group_price`` are true only then.
    ``task_name`` is the site's name of the step, such as ``已拍下_未付款_卖家``; empty when the card has none.
    """

    chat_id: str
    message_id: str
    order_id: str | None
    title: str
    reminder: str
    buyer_id: str | None
    item_id: str | None
    paid: bool
    group_price: bool
    created_at_ms: int
    content_type: int
    task_name: str = ""
    is_sale: bool = False


@dataclass(frozen=True, slots=True)
class CardUpdate:
    """An earlier card has changed, for example when a buyer pays later. ``content_type`` is None when unknown.

    ``is_sale``, ``paid`` and ``group_price`` as in ``TradeCard``.
    """

    chat_id: str
    message_id: str
    order_id: str | None
    title: str
    reminder: str
    buyer_id: str | None
    item_id: str | None
    paid: bool
    group_price: bool
    created_at_ms: int
    content_type: int | None
    is_sale: bool = False


@dataclass(frozen=True, slots=True)
class OrderMark:
    """The red mark of a chat's order, such as ``等待卖家发货``. It has no order id."""

    chat_id: str
    mark: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class NewMessageMark:
    """A chat has a new message; the message itself comes in another entry."""

    chat_id: str
    message_id: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class ReadReceipt:
    """The other side has read these messages."""

    chat_id: str
    message_ids: tuple[str, ...]
    at_ms: int


@dataclass(frozen=True, slots=True)
class Typing:
    """A user is typing."""

    chat_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class SessionArouse:
    """The site suggests phrases to revive a chat; there is no message."""

    chat_id: str


@dataclass(frozen=True, slots=True)
class UnknownEvent:
    """A payload of unknown form. ``raw_kind`` lists its outer keys and no content."""

    raw_kind: str


Event = (
    ChatMessage
    | TradeCard
    | CardUpdate
    | OrderMark
    | NewMessageMark
    | ReadReceipt
    | Typing
    | SessionArouse
    | UnknownEvent
)

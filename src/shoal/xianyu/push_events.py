"""The events that a push can mean: one frozen class per event. Ids are always text (docs/protocol.md §3.7)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from shoal.xianyu.speakers import Speaker


class ChatImage(msgspec.Struct, frozen=True):
    """One picture of an image message; sizes in pixels, 0 when unknown."""

    url: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A message in a chat. ``speaker`` says whose: only a person's may be answered.

    ``message_id`` is empty only when the payload has no id at all; ``created_at_ms`` is 0 when it has no time.
    """

    chat_id: str
    message_id: str
    sender_id: str
    sender_name: str
    text: str
    content_type: int
    item_id: str | None
    created_at_ms: int
    speaker: Speaker
    images: tuple[ChatImage, ...] = ()


class Parcel(StrEnum):
    """Whether the goods of an order go in a parcel."""

    UNKNOWN = ""
    NO = "no"
    YES = "yes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What a card or its update says about an order. Only the site's own cards of a sale may lead to a delivery.

    ``we_sell``: the site sent it to us as the seller. ``has_paid_text``, ``has_group_price_text``: what its words say,
    also of a purchase. ``task_name`` is the site's name of the step, such as ``已拍下_未付款_卖家``; empty without one.
    ``content_type`` is ``None`` when unknown.
    """

    chat_id: str
    message_id: str
    order_id: str | None
    title: str
    reminder: str
    buyer_id: str | None
    item_id: str | None
    created_at_ms: int
    content_type: int | None
    task_name: str
    we_sell: bool
    has_paid_text: bool
    has_group_price_text: bool
    parcel: Parcel = Parcel.UNKNOWN
    buyer_name: str = ""
    """The buyer's masked name, such as ``t***1``; empty when the card has none."""
    button: str = ""
    """The words on its button, of an update on the changed one; empty when it has none."""

    @property
    def is_sale(self) -> bool:
        """Return whether it is about a known order that we sell."""
        return self.we_sell and self.order_id is not None

    @property
    def paid(self) -> bool:
        """Return whether it says that an order of this account's buyers is paid."""
        return self.is_sale and self.has_paid_text

    @property
    def group_price(self) -> bool:
        """Return whether it says that an order of this account's buyers waits for its group price."""
        return self.is_sale and self.has_group_price_text


@dataclass(frozen=True, kw_only=True, slots=True)
class TradeCard(Card):
    """A card about an order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CardUpdate(Card):
    """An earlier card has changed, for example when a buyer pays later. It has no title."""


@dataclass(frozen=True, slots=True)
class OrderContext:
    """Which order, item and buyer a chat is about. It says nothing about payment. ``item_picture`` is an address."""

    chat_id: str
    order_id: str
    item_id: str | None
    buyer_id: str
    we_sell: bool
    at_ms: int
    item_title: str = ""
    item_picture: str = ""


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
    """A user begins or ends typing."""

    chat_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class SessionArouse:
    """The site suggests phrases to revive a chat; there is no message. It names the item that the chat is about."""

    chat_id: str
    item_id: str = ""
    item_title: str = ""
    we_sell: bool = False


@dataclass(frozen=True, slots=True)
class UnknownEvent:
    """A payload of unknown form. ``raw_kind`` lists its outer keys and no content.

    ``is_expected``: a notice of the site that is none of our business, not a sign that the site has changed.
    """

    raw_kind: str
    is_expected: bool = False


Event = (
    ChatMessage
    | TradeCard
    | CardUpdate
    | OrderContext
    | OrderMark
    | NewMessageMark
    | ReadReceipt
    | Typing
    | SessionArouse
    | UnknownEvent
)

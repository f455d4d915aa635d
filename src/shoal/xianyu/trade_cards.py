"""Reads trade cards and their updates: which order, whose, paid or not, with a parcel or without (protocol.md §3.9)."""

from __future__ import annotations

import re

import msgspec

from shoal.xianyu.identity import strip_address
from shoal.xianyu.push_events import CardUpdate, Parcel, TradeCard
from shoal.xianyu.speakers import CARD_TYPES, is_in_a_persons_chat
from shoal.xianyu.trade_texts import deciding, is_group_price_text, is_paid_text
from shoal.xianyu.wire_values import found, id_of, json_object, ms_of, number_of, object_at, object_in, text_of

TRADE_CARD = 26

ITEM_ID = re.compile(r"[?&]itemId=([0-9]+)")
_PEER_ID = re.compile(r"[?&]peerUserId=([0-9]+)")
_PEER_NAME = re.compile(r"[?&]peerUserNick=([^&]{1,64})")
_BUTTON_ORDER = re.compile(r"orderId=([0-9]{10,32})(?![0-9])")
_TARGET_ORDER = re.compile(r"order_detail\?id=([0-9]{10,32})(?![0-9])")
_ORDER_FIELD = re.compile(r"(?:orderId|bizOrderId)[\"']?\s?[=:]\s?[\"']?([0-9]{10,32})(?![0-9])")
_ANYWHERE_ORDER = (
    _ORDER_FIELD,
    _TARGET_ORDER,
)
_UPDATE_KEY = re.compile(r"[^:]{0,128}:([0-9]{10,32}):(?:([0-9]{1,4}):([A-Za-z_]{1,64}))?")
_ROLE = re.compile(r"[?&]role=(buyer|seller)\b", re.IGNORECASE)
_TASK_ROLE = re.compile(r"[_-](买家|卖家)")
_CHANGED_BUTTON = "_CONTENT_MAP_UPDATE_PRE_dxCard.item.main.exContent.button"

_PAGE_PARCELS = (("noPostageRequired", Parcel.NO), ("idleDeliver", Parcel.YES))
"""The page that a card's button opens for the shipment, and what it says about a parcel."""
_PAID_STEPS = {"64": Parcel.NO, "63": Parcel.YES}
"""The number of the step of a payment in ``updateKey``, and what it says about a parcel."""


class Surroundings(msgspec.Struct, frozen=True):
    """Map 10 of a message (``extension``) with its two inner objects."""

    extension: dict[str, object]
    ext_json: dict[str, object]
    biz_tag: dict[str, object]

    @classmethod
    def of(cls, extension: dict[str, object]) -> Surroundings:
        """Read the two inner objects of map 10: each is a text in every captured frame, and may be an object."""
        inner = [object_at(extension, key) or json_object(text_of(extension.get(key))) for key in ("extJson", "bizTag")]
        return cls(extension, *inner)

    @property
    def source_id(self) -> str:
        """Return what sent the message: ``S:…`` for a person's client, ``C2C:…`` for the site."""
        return text_of(self.biz_tag.get("sourceId"))

    @property
    def session_type(self) -> str:
        """Return the kind of chat: ``1`` with one person; empty when the card has none."""
        return id_of(self.extension.get("sessionType"))

    @property
    def task_name(self) -> str:
        """Return the site's name of the step, such as ``已拍下_未付款_卖家``."""
        return text_of(self.biz_tag.get("taskName"))

    @property
    def update_key(self) -> str:
        """Return ``<chat>:<order>:<step>…``, of ``extJson`` or from beside it."""
        return text_of(self.ext_json.get("updateKey")) or text_of(self.extension.get("updateKey"))

    @property
    def order_id(self) -> str | None:
        """Return the order that a field of the inner objects names, at any depth, else that of ``updateKey``."""
        fields = found(_ORDER_FIELD, f"{self.biz_tag} {self.ext_json}") if self.biz_tag or self.ext_json else None
        return fields or _keyed_order(self.update_key)

    @property
    def item_id(self) -> str | None:
        """Return the item that the chat was about."""
        return found(ITEM_ID, text_of(self.extension.get("reminderUrl")))

    @property
    def peer_name(self) -> str:
        """Return the masked name of the user on the other side; empty when the card has none."""
        return found(_PEER_NAME, text_of(self.extension.get("reminderUrl"))) or ""

    def peer(self, sender_id: str, me: str) -> str | None:
        """Return the id of the user on the other side, as far as it is known."""
        if sender_id and sender_id != me:
            return sender_id
        linked = found(_PEER_ID, text_of(self.extension.get("reminderUrl")))
        return linked if linked != me else None

    def we_sell(self, links: list[str], sender_id: str, me: str) -> bool:
        """Return whether a card is the seller's: by the roles in its links, by its task, by whose act caused it.

        Not a card that a user sent: the site's own cards come from a task.
        """
        if self.source_id.upper().startswith("S:"):
            return False
        roles = {role.lower() for link in links for role in _ROLE.findall(link)}
        if roles:
            return "buyer" not in roles
        tasks = _TASK_ROLE.findall(self.task_name)
        return tasks[-1] == "卖家" if tasks else sender_id != me


def trade_card(
    around: Surroundings,
    content: dict[str, object],
    content_text: str,
    *,
    chat_id: str,
    message_id: str,
    sender_id: str,
    summary: str,
    content_type: int,
    created_at_ms: int,
    me: str,
    beside: str = "",
) -> TradeCard:
    """Read a card. ``beside``: other text of the message in which its order id may stand."""
    main, changed = card_main(content), _changed_main(content)
    links = _links(content)
    buttons = (_button_of(changed), _button_of(main))
    title = text_of(object_at(changed, "exContent").get("title")) or text_of(object_at(main, "exContent").get("title"))
    reminder = _status_text(around.extension) or summary
    order_id = _linked_order(links) or _order_anywhere(content_text, beside) or around.order_id
    return TradeCard(
        chat_id=chat_id,
        message_id=message_id,
        order_id=order_id,
        title=title,
        reminder=reminder,
        buyer_id=around.peer(sender_id, me),
        item_id=around.item_id,
        created_at_ms=created_at_ms,
        content_type=content_type,
        task_name=around.task_name,
        we_sell=around.we_sell(links if any(map(_ROLE.search, links)) else [content_text], sender_id, me),
        has_paid_text=is_paid_text(deciding(reminder, title)),
        has_group_price_text=is_group_price_text(deciding(reminder, title)),
        parcel=_parcel(links, around.update_key),
        buyer_name=around.peer_name,
        button=next((words for one in buttons if (words := text_of(one.get("text")))), ""),
    )


def names_order(around: Surroundings, content: dict[str, object], content_text: str, beside: str) -> bool:
    """Return whether a card's links or fields, or what stands around it, name an order. A link in words does not."""
    named = _linked_order(_links(content)) or around.order_id
    return named is not None or any(found(_ORDER_FIELD, text) for text in (content_text, beside))


def card_update(body: dict[str, object], me: str) -> CardUpdate:
    """Read the update of an earlier card. Only its reminder and its changed button are sure to be new."""
    around = Surroundings.of(object_at(body, "4"))
    changed = json_object(text_of(around.extension.get(_CHANGED_BUTTON)))
    button = text_of(changed.get("targetUrl"))
    sender_id = strip_address(id_of(around.extension.get("senderUserId")))
    reminder = _status_text(around.extension)
    content_type = number_of(around.ext_json.get("contentType"))
    is_card = _is_marked(around, content_type, has_button=bool(button))
    is_card = is_card and is_in_a_persons_chat(around.session_type, sender_id)
    return CardUpdate(
        chat_id=strip_address(id_of(body.get("2"))),
        message_id=id_of(body.get("1")),
        order_id=_linked_order([button]) or around.order_id,
        title="",
        reminder=reminder,
        buyer_id=around.peer(sender_id, me),
        item_id=around.item_id,
        created_at_ms=ms_of(body.get("5")),
        content_type=content_type,
        task_name=around.task_name,
        we_sell=is_card and around.we_sell([button], sender_id, me),
        has_paid_text=is_card and is_paid_text(reminder),
        has_group_price_text=is_card and is_group_price_text(reminder),
        parcel=_parcel([button], around.update_key),
        buyer_name=around.peer_name,
        button=text_of(changed.get("text")),
    )


def _is_marked(around: Surroundings, content_type: int | None, *, has_button: bool) -> bool:
    """Return whether an update bears the mark of a card: what a person wrote can be updated too."""
    if content_type is not None:
        return content_type in CARD_TYPES
    return has_button or around.order_id is not None or bool(around.task_name) or around.source_id.startswith("C2C:")


def holds_card(content: dict[str, object]) -> bool:
    """Return whether a content is a card, whatever its content type says."""
    return "dxCard" in content or "dxCard" in object_in(content, "dynamicOperation", "changeContent")


def card_main(content: dict[str, object]) -> dict[str, object]:
    """Return the part of a card that its reader sees."""
    return object_in(content, "dxCard", "item", "main")


def _changed_main(content: dict[str, object]) -> dict[str, object]:
    return card_main(object_in(content, "dynamicOperation", "changeContent"))


def _links(content: dict[str, object]) -> list[str]:
    """Return the links of a card and of its buttons, the changed ones last."""
    mains = (card_main(content), _changed_main(content))
    return [text_of(one.get("targetUrl")) for main in mains for one in (_button_of(main), main)]


def _button_of(main: dict[str, object]) -> dict[str, object]:
    return object_in(main, "exContent", "button")


def _status_text(extension: dict[str, object]) -> str:
    """Return the words that say how the order stands: the notice is older than the reminder where both are there."""
    return text_of(extension.get("reminderContent")) or text_of(extension.get("detailNotice"))


def _linked_order(links: list[str]) -> str | None:
    """Return the order that the links name, those of the card before those of the changed one."""
    for two in (links[:2], links[2:]):
        for pattern in (_BUTTON_ORDER, _TARGET_ORDER):
            for link in two:
                if (order_id := found(pattern, link)) is not None:
                    return order_id
    return None


def _order_anywhere(*texts: str) -> str | None:
    for text in texts:
        for pattern in _ANYWHERE_ORDER:
            if (order_id := found(pattern, text)) is not None:
                return order_id
    return None


def _keyed_order(update_key: str) -> str | None:
    match = _UPDATE_KEY.match(update_key)
    return match[1] if match else None


def _parcel(links: list[str], update_key: str) -> Parcel:
    """Return whether the goods go in a parcel, as far as the card says: one place that says so outweighs the others."""
    parcels = {parcel for page, parcel in _PAGE_PARCELS if any(page in link for link in links)}
    match = _UPDATE_KEY.match(update_key)
    if match and (match[3] or "").upper() == "TRADE_PAID_DONE_SELLER":
        parcels.add(_PAID_STEPS.get(match[2], Parcel.UNKNOWN))
    return Parcel.YES if Parcel.YES in parcels else Parcel.NO if Parcel.NO in parcels else Parcel.UNKNOWN

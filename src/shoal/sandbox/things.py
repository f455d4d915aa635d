"""What the site keeps: sellers with their logins and items, buyers, chats, messages, orders."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from shoal.sandbox.codec import OrderStatus
from shoal.sandbox.strict.browser import Browser

CHAT_LINES: Final = 500
"""how many lines a chat keeps"""


class UnknownThing(LookupError):
    """Something named in a request does not exist on the site."""


@dataclass(slots=True)
class Item:
    """An item for sale."""

    id: str
    title: str
    price_fen: int
    desc: str = ""
    quantity: int = 99
    specs: tuple[str, ...] = ()
    """what a buyer chooses from, each ``name:value`` or several of them joined by ``;``"""
    spec_prices: tuple[int, ...] = ()
    """the fen of each spec; without them all cost the same"""
    status: str = "在线"
    """what its page says of it, such as ``卖掉了``; only what is ``在线`` is in the seller's list"""

    def price_of(self, place: int) -> int:
        """Return the fen of the spec at that place."""
        return self.spec_prices[place] if place < len(self.spec_prices) else self.price_fen


@dataclass(slots=True)
class Buyer:
    """A user who asks and pays."""

    id: str
    nick: str
    mask: str
    """the login name as the site masks it, ``t***1``"""


@dataclass(slots=True)
class Session:
    """One login in a browser, known by its ``cookie2``."""

    unb: str
    cookie2: str
    alive: bool = True
    tk: str = ""
    tk_enc: str = ""
    tk_expires_ms: int = 0
    ends_ms: int = 0
    """when it ends unless it is renewed; 0: never"""
    kept_until_ms: int = 0
    """``havana_lgc_exp``: until then ``ltl=true`` renews it"""
    backup_until_ms: int = 0
    """``cookie3_bak_exp``: until then ``c2r=true`` renews it"""

    browser: Browser | None = None
    """the identity of the browser that uses it, once it is known"""
    devices: list[str] = field(default_factory=list)
    """the device ids that asked for tokens"""
    token_times: list[int] = field(default_factory=list)
    """when tokens were asked for in the last hour, in ms"""

    def is_over(self, now_ms: int) -> bool:
        """Return whether it must be renewed before it is used again."""
        return 0 < self.ends_ms <= now_ms


@dataclass(slots=True)
class Seller:
    """A seller. ``jar`` contains the cookies of the newest login."""

    unb: str
    nick: str
    jar: dict[str, str]
    items: dict[str, Item] = field(default_factory=dict)


@dataclass(slots=True)
class ImToken:
    """An IM access token and what it is bound to."""

    token: str
    unb: str
    device_id: str
    expires_ms: int
    number: int
    """counts the site's tokens; a higher number is a newer token"""
    agent: str = ""
    """the ``User-Agent`` of the call that brought it"""


@dataclass(frozen=True, slots=True)
class Proof:
    """An ``x5sec`` that a browser got when its user passed the check; ``agent`` empty: of any browser."""

    unb: str
    agent: str
    at_ms: int


@dataclass(slots=True)
class Message:
    """One line of a chat. ``at`` is the site's time, ``wall_ms`` the machine's, both in ms."""

    id: str
    hex_id: str
    sender_id: str
    item_id: str
    at: int
    wall_ms: int
    text: str
    content: str
    content_type: int
    uuid: str = ""
    read: bool = False
    recalled: bool = False
    extra: dict[str, str] = field(default_factory=dict)
    """the changes of map 10 in its push; the history has the same"""


@dataclass(slots=True)
class Chat:
    """The conversation of one buyer with one seller."""

    cid: str
    seller_id: str
    buyer: Buyer
    item_id: str
    lines: deque[Message] = field(default_factory=lambda: deque(maxlen=CHAT_LINES))

    @property
    def unread(self) -> int:
        """Return how many lines of the buyer the seller has not read."""
        return sum(not line.read and line.sender_id != self.seller_id for line in self.lines)


@dataclass(slots=True)
class Attempt:
    """One call of a shipping API for an order; ``at`` in ms of the site's clock, ``wall_ms`` of the machine's."""

    api: str
    at: int
    wall_ms: int
    ret: str


@dataclass(slots=True)
class Order:
    """A purchase, with its former statuses and every attempt to ship it."""

    id: str
    seller_id: str
    buyer_id: str
    item_id: str
    price_fen: int
    status: OrderStatus
    history: list[tuple[OrderStatus, int]]
    attempts: list[Attempt] = field(default_factory=list)
    quantity: int = 1
    is_ready: bool = True
    """a bargain may be shipped only after its ready card"""
    spec: str = ""
    """the chosen variant, ``name:value``; empty when there is none"""
    page_from_ms: int = 0
    """until then its page says neither quantity nor spec"""
    shown_status: OrderStatus = "processing"
    status_from_ms: int = 0
    """until then its page shows ``shown_status``"""
    title: str = ""
    """what its page says of its status instead; empty: the site's usual words"""

    def move(self, status: OrderStatus, at_ms: int) -> None:
        """Set a new status; the old one stays in the history."""
        self.status = status
        self.history.append((status, at_ms))

"""One running site: its world, its connections, its faults, and the logs of all events."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from shoal.sandbox import codec, real_shapes
from shoal.sandbox.clock import wall_ms
from shoal.sandbox.codec import OrderStatus
from shoal.sandbox.faults import Fault, Faults
from shoal.sandbox.journal import Journal, Line
from shoal.sandbox.model_provider import ModelProvider
from shoal.sandbox.qr_logins import QrLogins
from shoal.sandbox.receipts import Receipts
from shoal.sandbox.receivers import Receivers
from shoal.sandbox.strict.record import StrictRecord
from shoal.sandbox.supplier import Counter
from shoal.sandbox.things import Chat, ImToken, Message, Order, Proof
from shoal.sandbox.world import World

BACKLOG: Final = 256
"""how many entries an account's feed keeps for replay"""


@dataclass(slots=True, eq=False)
class Entry:
    """One entry pushed to an account. ``pts`` is its position in the feed, in microseconds (docs/protocol.md §3)."""

    pts: int
    at_ms: int
    data: str
    acked: bool = False
    object_type: int = codec.MESSAGE


class Connection(Protocol):
    """A registered socket, as the site uses it."""

    unb: str
    device_id: str
    token: ImToken | None
    zombie: bool
    mute: bool
    in_flight: dict[str, list[Entry]]

    def push(
        self, entries: list[Entry], lwp: str = "/s/sync", package: dict[str, Any] | None = None, /, **extra: Any
    ) -> None:
        """Send entries in one push; ``package`` changes its envelope."""

    def notify(self, lwp: str, body: dict[str, Any]) -> None:
        """Send a push that is not a sync package."""

    def close(self, code: int) -> None:
        """End the socket; 1006 drops the connection without a close frame."""


@dataclass(slots=True)
class Feed:
    """What was or will be pushed to an account, and counts of its sockets."""

    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=BACKLOG))
    gathered: list[Entry] = field(default_factory=list)
    last_pts: int = 0
    sockets: list[Connection] = field(default_factory=list)
    handshakes: int = 0
    registrations: int = 0
    refusals: int = 0
    most_at_once: int = 0
    cookie: str = ""
    """the cookie header of the newest handshake"""
    sent_times: list[int] = field(default_factory=list)
    """when the account sent messages in the last seconds, in ms"""

    def add(self, data: str, now_ms: int, object_type: int = codec.MESSAGE) -> Entry:
        """Append an entry at a new position."""
        self.last_pts = max(self.last_pts + 1, now_ms * 1000)
        entry = Entry(self.last_pts, now_ms, data, object_type=object_type)
        self.entries.append(entry)
        return entry

    def skip(self) -> None:
        """Drop what was not acknowledged: it stays in the chats and is never pushed again."""
        for entry in self.entries:
            entry.acked = True
        self.gathered.clear()

    @property
    def acked_pts(self) -> int:
        """Return the position up to which everything is acknowledged, in microseconds."""
        unacked = next((entry.pts for entry in self.entries if not entry.acked), self.last_pts + 1)
        return unacked - 1


class Site:
    """The whole state of one sandbox. Several of them in one process are independent."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.base_url = ""
        """where it is reached, as its last caller wrote it; pictures lie there"""
        self.clock = world.clock
        self.faults = Faults(world.clock)
        self.frames = Journal(20_000)
        self.calls = Journal(10_000)
        self.events = Journal(5_000)
        self.receipts = Receipts()
        self.receivers = Receivers()
        self.feeds: dict[str, Feed] = {}
        self.images: dict[str, tuple[str, bytes]] = {}
        self.qr_logins = QrLogins()
        self.strict = StrictRecord(world)
        self.checks: dict[str, int] = {}
        """accounts that must pass a check, and since when"""
        self.proofs: dict[str, Proof] = {}
        """by ``x5sec``"""
        self.socket_numbers = itertools.count(1)
        self.supplier = Counter()
        self.model_provider = ModelProvider()

    def close(self) -> None:
        """Release every waiting reader and held answer before the site ends."""
        self.faults.clear()
        self.supplier.close()
        self.model_provider.close()
        self.receivers.ended.set()
        for journal in (
            self.frames,
            self.calls,
            self.events,
            self.strict.lines,
            self.supplier.calls,
            self.model_provider.calls,
        ):
            journal.close()

    def item_picture(self, item_id: str) -> str:
        """Return the address of the picture of an item."""
        return f"{self.base_url}_sandbox/item-pictures/{item_id}.png"

    def feed(self, unb: str) -> Feed:
        """Return the feed of an account."""
        return self.feeds.setdefault(unb, Feed())

    # -- logs -----------------------------------------------------------------------------------------------------

    def happened(self, kind: str, account: str, *, buyer: str = "", text: str = "", **more: Any) -> Line:
        """Add a line to the log of events; ``at`` is the site's time, ``wall_ms`` the machine's."""
        seller = self.world.sellers.get(account)
        return self.events.add(
            at=self.clock.now_ms(),
            wall_ms=wall_ms(),
            account=account,
            kind=kind,
            buyer=buyer,
            seller=seller.nick if seller else account,
            text=text,
            **more,
        )

    @property
    def is_real(self) -> bool:
        """Return whether the shapes are the captured ones."""
        return self.world.policy.real_shapes

    # -- pushing --------------------------------------------------------------------------------------------------

    def push(self, unb: str, data: str, object_type: int = codec.MESSAGE) -> None:
        """Push one entry (base64, or plain text for a broken one) to an account, subject to the faults."""
        feed = self.feed(unb)
        entries = [feed.add(data, self.clock.now_ms(), object_type)]
        batch = self.faults.find("batch_push", unb)
        if batch:
            feed.gathered += entries
            if len(feed.gathered) < int(batch.options.get("size", 3)):
                return
            self.faults.play(batch)
            entries, feed.gathered = feed.gathered, []
        elif feed.gathered:
            entries, feed.gathered = feed.gathered + entries, []
        twice = self.faults.take("duplicate_push", unb)
        for socket in self._listeners(feed):
            socket.push(entries)
            for _ in range(int(twice.options.get("copies", 1)) if twice else 0):
                socket.push(entries)

    def push_payload(self, unb: str, payload: codec.Payload, object_type: int = codec.MESSAGE) -> None:
        """Push one MessagePack payload to an account."""
        self.push(unb, codec.encode(payload), object_type)

    def whisper(self, unb: str, payload: codec.Payload) -> None:
        """Push something about the moment, such as typing: it is not stored and never repeated."""
        feed = self.feed(unb)
        entry = Entry(feed.last_pts, self.clock.now_ms(), codec.encode(payload), object_type=codec.TYPING)
        for socket in self._listeners(feed):
            socket.push([entry], "/s/para")

    def _listeners(self, feed: Feed) -> list[Connection]:
        live = [socket for socket in feed.sockets if not self.is_zombie(socket)]
        return live[-1:] if self.world.policy.push_to_latest_only else live

    def is_zombie(self, socket: Connection) -> bool:
        """Return whether a socket is a zombie: by a fault, or because its token is old (docs/protocol.md §5)."""
        policy, token = self.world.policy, socket.token
        if socket.zombie or token is None:
            return socket.zombie
        newest = self.world.newest_token.get((socket.unb, socket.device_id), token)
        if policy.new_token_makes_zombie and newest.number > token.number:
            return True
        return policy.expired_token_makes_zombie and token.expires_ms <= self.clock.now_ms()

    # -- sockets --------------------------------------------------------------------------------------------------

    def connected(self, socket: Connection) -> None:
        """Add a socket that has registered; one with the same token is kicked out (docs/protocol.md §5)."""
        feed = self.feed(socket.unb)
        for other in list(feed.sockets):
            if other.token is socket.token:
                self.kick(other)
        feed.registrations += 1
        feed.sockets.append(socket)
        feed.most_at_once = max(feed.most_at_once, len(feed.sockets))
        self.happened("connected", socket.unb)

    def disconnected(self, socket: Connection) -> None:
        """Forget a socket."""
        feed = self.feed(socket.unb)
        if socket in feed.sockets:
            feed.sockets.remove(socket)
            self.happened("disconnected", socket.unb)

    def kick(self, socket: Connection) -> None:
        """Log a socket out because the account signed in elsewhere."""
        self.happened("kicked_out", socket.unb)
        socket.notify("/push/kickout", {"reason": "kickout", "message": "您的账号在其他设备登录"})
        socket.close(1000)

    def sockets_of(self, account: str | None) -> Iterable[Connection]:
        """Return the registered sockets of an account, or all."""
        feeds = self.feeds.values() if account is None else [self.feed(account)]
        return [socket for feed in feeds for socket in feed.sockets]

    # -- chat -----------------------------------------------------------------------------------------------------

    def chat_line(self, chat: Chat, message: Message, **changes: Any) -> codec.ChatLine:
        """Return a message in the codec's form."""
        seller = self.world.seller(chat.seller_id)
        from_buyer = message.sender_id == chat.buyer.id
        fields: dict[str, Any] = {
            "message_id": message.id,
            "cid": chat.cid,
            "sender_id": message.sender_id,
            "sender_nick": chat.buyer.nick if from_buyer else seller.nick,
            "peer_id": chat.buyer.id,
            "peer_mask": chat.buyer.mask,
            "item_id": message.item_id,
            "created_ms": message.at,
            "hex_id": message.hex_id,
            "summary": message.text,
            "content": message.content,
            "content_type": message.content_type,
            "extra": message.extra,
        }
        return codec.ChatLine(**(fields | changes))

    def buyer_message(
        self,
        chat: Chat,
        text: str,
        *,
        message_id: str | None = None,
        content: str | None = None,
        content_type: int = codec.TEXT,
        need_push: bool = True,
        tip: bool = False,
        extra: Mapping[str, str] | None = None,
    ) -> Message:
        """Let the buyer send a message: a line in the chat, pushed to the seller."""
        buyer = chat.buyer
        content = content or codec.text_content(text)
        message = self.world.write(chat, buyer.id, text, content, content_type, message_id=message_id)
        self.happened("said", chat.seller_id, buyer=buyer.nick, text=text, message_id=message.id)
        message.extra = real_shapes.phone_extra() if self.is_real else {}
        message.extra |= (codec.tip_extra(message.hex_id) if tip else {}) | dict(extra or {})
        line = self.chat_line(chat, message, need_push=need_push)
        self.push_payload(chat.seller_id, codec.chat_message(line))
        return message

    def answer(
        self,
        chat: Chat,
        text: str,
        content: str,
        content_type: int,
        *,
        uuid: str = "",
        kind: str = "replied",
        echo: bool = True,
    ) -> Message:
        """Let the seller send a message: the buyer sees it, and the seller's sockets get the echo."""
        message = self.world.write(chat, chat.seller_id, text, content, content_type, uuid=uuid)
        self.happened(kind, chat.seller_id, buyer=chat.buyer.nick, text=text, message_id=message.id)
        message.extra = real_shapes.web_extra() if self.is_real else {}
        order = self.world.newest_order(chat.seller_id, chat.buyer.id)
        self.receipts.add(chat, message, order.id if order else "")
        if echo:
            self.echo(chat, message)
        if chat.buyer.id in self.world.sellers:
            self.push_payload(chat.buyer.id, codec.chat_message(self.chat_line(chat, message)))
        return message

    def echo(self, chat: Chat, message: Message) -> None:
        """Push to the seller what the seller wrote."""
        line = self.chat_line(chat, message, need_push=not self.is_real)
        self.push_payload(chat.seller_id, codec.chat_message(line))

    # -- trade ----------------------------------------------------------------------------------------------------

    def chat_of(self, order: Order) -> Chat:
        """Return the chat an order belongs to."""
        world = self.world
        return world.chat(world.seller(order.seller_id), world.buyer(order.buyer_id), order.item_id)

    def move_order(self, order: Order, status: OrderStatus) -> None:
        """Give an order a new status and log it."""
        order.move(status, self.clock.now_ms())
        kind = {"processing": "ordered", "pending_ship": "paid", "group_pending": "group_bought"}.get(status, status)
        buyer = self.world.buyer(order.buyer_id)
        self.happened(kind, order.seller_id, buyer=buyer.nick, text=order.id, order_id=order.id)

    # -- faults that act at once ----------------------------------------------------------------------------------

    def strike(self, fault: Fault) -> None:
        """Apply a fault to the current connections, if it is of such a kind."""
        account, options = fault.account, fault.options
        if fault.kind == "session_expired":
            fault.options["_logins"] = {
                session.cookie2 for session in self.world.sessions.values() if account in (None, session.unb)
            }
        elif fault.kind == "silent_zombie":
            for socket in self.sockets_of(account):
                socket.zombie, socket.mute = True, not options.get("heartbeats", True)
        elif fault.kind == "undecodable_push":
            for unb in [account] if account else list(self.feeds):
                self.faults.play(fault)
                self.push(unb, str(options.get("data") or "/////w=="))
        elif fault.kind == "kickout" or (fault.kind == "close" and options.get("when", "now") == "now"):
            for socket in self.sockets_of(account):
                if fault.kind == "kickout":
                    self.kick(socket)
                else:
                    socket.close(int(options.get("code", 1000)))
            fault.played, fault.left = fault.played + 1, 0

"""The objects of the site: sellers with their logins and items, buyers, chats, orders. No network code.

All ids are invented. They follow from the seed and the clock, so that a restarted sandbox has the same sellers and
chats but never repeats a message or order id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, replace
from random import Random
from typing import Any, Final

from shoal.sandbox.clock import Clock, wall_ms
from shoal.sandbox.codec import OrderStatus
from shoal.sandbox.policy import Policy
from shoal.sandbox.things import Attempt, Buyer, Chat, ImToken, Item, Message, Order, Seller, Session, UnknownThing

EPOCH_MS: Final = 1_750_000_000_000
"""message and order ids continue from here"""

_NICKS: Final = ("小鱼杂货铺", "拾光书屋", "木子数码", "南风小店", "阿福的闲置", "橘猫会员铺", "青柠素材库", "老友收藏")
_GOODS: Final = (
    ("Python 入门电子书", 1990, "高清 PDF，付款后自动发货。"),
    ("视频会员月卡", 1250, "官方充值，拍下即发卡密。"),
    ("PPT 模板 200 套", 880, "商务风、答辩风都有，网盘发货。"),
    ("考研英语真题合集", 1500, "近二十年真题加解析。"),
    ("手机壁纸素材包", 390, "4K 无水印，打包下载。"),
    ("Excel 函数速查表", 560, "打印版和手机版。"),
)
_BUYERS: Final = ("买家小鱼", "豆豆妈", "路过的风", "柠檬不酸", "北方的狼", "一只咸鱼", "晚安喵", "考研加油")


class World:
    """The state of the site: ``shops`` sellers at the start, each with a valid login and a few items."""

    def __init__(self, seed: int = 0, shops: int = 3, clock: Clock | None = None, policy: Policy | None = None) -> None:
        self.seed = seed
        self.clock = clock or Clock()
        self.policy = policy or Policy()
        self.random = Random(seed)  # noqa: S311 - it must be reproducible
        self.sellers: dict[str, Seller] = {}
        self.buyers: dict[str, Buyer] = {}
        self.items: dict[str, Item] = {}
        self.chats: dict[str, Chat] = {}
        self.orders: dict[str, Order] = {}
        self.sessions: dict[str, Session] = {}
        self.tokens: dict[str, ImToken] = {}
        self.newest_token: dict[tuple[str, str], ImToken] = {}
        self.loose_tks: dict[str, Session] = {}
        self.visitors: dict[str, Session] = {}
        """browsers that have a ``cookie2`` and are not logged in"""
        self._buyers_by_nick: dict[str, Buyer] = {}
        self._pairs: dict[tuple[str, str], Chat] = {}
        self._chats_of: dict[str, list[Chat]] = {}
        self._uuids: dict[tuple[str, str], Message] = {}
        self._newest_orders: dict[tuple[str, str], Order] = {}
        self._next_message = 3_500_000_000_001 + self._since_epoch()
        self._next_order = 4_500_000_000_000_000_001 + self._since_epoch()
        self._next_item = 800_000_000_001
        self._next_token = 0
        for nick in _BUYERS:
            self.buyer(nick)
        for _ in range(shops):
            self.add_seller()

    def change_policy(self, **changes: Any) -> None:
        """Replace fields of the policy."""
        self.policy = replace(self.policy, **changes)

    def _since_epoch(self) -> int:
        return max(0, self.clock.now_ms() - EPOCH_MS)

    def hex(self, digits: int) -> str:
        """Return lowercase hex digits, the next of the seed's sequence."""
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"

    # -- users ----------------------------------------------------------------------------------------------------

    def add_seller(self, nick: str | None = None, items: int = 3, unb: str | None = None) -> Seller:
        """Open a shop with ``items`` items and a valid login."""
        number = len(self.sellers) + 1
        unb = unb or str(2_200_000_000_001 + number)
        while nick is None and unb in self.sellers:
            number += 1
            unb = str(2_200_000_000_001 + number)
        if unb in self.sellers:
            raise ValueError(f"seller {unb} exists already")
        seller = Seller(unb, nick or f"{_NICKS[(number - 1) % len(_NICKS)]}{number}", {})
        self.sellers[unb] = seller
        for _ in range(items):
            self.add_item(seller)
        self.login(seller)
        return seller

    def seller(self, unb: str) -> Seller:
        """Return the seller ``unb``."""
        try:
            return self.sellers[unb]
        except KeyError:
            raise UnknownThing(f"no seller {unb}") from None

    def add_item(self, seller: Seller) -> Item:
        """Put the next item of the catalogue on sale."""
        title, price_fen, desc = _GOODS[(self._next_item - 800_000_000_001) % len(_GOODS)]
        item = Item(str(self._next_item), title, price_fen, desc)
        self._next_item += 1
        seller.items[item.id] = self.items[item.id] = item
        return item

    def seller_of(self, item_id: str) -> str:
        """Return the number of the seller of an item."""
        return next(unb for unb, seller in self.sellers.items() if item_id in seller.items)

    def item(self, item_id: str) -> Item:
        """Return any item on sale."""
        try:
            return self.items[item_id]
        except KeyError:
            raise UnknownThing(f"no item {item_id}") from None

    def buyer(self, who: str) -> Buyer:
        """Return the buyer with this nick or id; an unknown buyer is created."""
        known = self.buyers.get(who) or self._buyers_by_nick.get(who)
        if known:
            return known
        if who.isdecimal():
            buyer = Buyer(who, f"买家{who[-4:]}", f"t***{who[-1]}")
        else:
            number = _digest(f"buyer:{who}") % 10**9
            while str(2_201_000_000_000 + number) in self.buyers:
                number += 1
            buyer = Buyer(str(2_201_000_000_000 + number), who, f"t***{number % 10}")
        self.buyers[buyer.id] = buyer
        self._buyers_by_nick[buyer.nick] = buyer
        return buyer

    # -- logins ---------------------------------------------------------------------------------------------------

    def login(self, seller: Seller, visitor: Session | None = None, *, keep_until_ms: int = 0) -> Session:
        """Log the seller in again, in the browser of a visitor or a new one; older logins stay valid."""
        session = visitor or Session(seller.unb, self.hex(32))
        session.unb, session.tk_expires_ms = seller.unb, 0
        self.sessions[session.cookie2] = session
        self.prolong(session)
        seller.jar = {
            "unb": seller.unb,
            "cookie2": session.cookie2,
            "_m_h5_tk": "",
            "_m_h5_tk_enc": "",
            "sgcookie": f"E100{self.hex(64)}",
            "t": self.hex(32),
            "cna": self.hex(24),
            "_tb_token_": self.hex(13),
            "csg": self.hex(8),
            "tracknick": f"tb{seller.unb[-6:]}",
            "XSRF-TOKEN": f"{self.hex(8)}-{self.hex(4)}-{self.hex(4)}-{self.hex(4)}-{self.hex(12)}",
        }
        self.renew_tk(session)
        if keep_until_ms:
            session.kept_until_ms = session.backup_until_ms = keep_until_ms
            seller.jar |= self.long_cookies(session)
        return session

    def visit(self) -> Session:
        """Give a browser that has none a ``cookie2``."""
        visitor = Session("", self.hex(32))
        self.visitors[visitor.cookie2] = visitor
        while len(self.visitors) > 1_000:
            del self.visitors[next(iter(self.visitors))]
        return visitor

    def prolong(self, session: Session) -> None:
        """Let a login last as long as the policy says, from now on."""
        seconds = self.policy.session_seconds
        session.ends_ms = self.clock.now_ms() + seconds * 1000 if seconds else 0

    def long_cookies(self, session: Session) -> dict[str, str]:
        """Return the cookies that tell a browser how long its login can be renewed silently."""
        return {
            "havana_lgc_exp": str(session.kept_until_ms),
            "cookie3_bak": self.hex(32),
            "cookie3_bak_exp": str(session.backup_until_ms),
        }

    def keep_cookies(self, session: Session, changes: dict[str, str]) -> dict[str, str]:
        """Write changed cookies into the jar of the seller, if this is the newest login, and return them."""
        seller = self.sellers.get(session.unb)
        if seller and seller.jar.get("cookie2") == session.cookie2:
            seller.jar = {name: value for name, value in (seller.jar | changes).items() if value}
        return changes

    def cookie_header(self, seller: Seller | str) -> str:
        """Return the full, valid cookie header of a seller's newest login (docs/protocol.md §1)."""
        if isinstance(seller, str):
            seller = self.seller(seller)
        return "; ".join(f"{name}={value}" for name, value in seller.jar.items())

    def session_of(self, cookies: Mapping[str, str]) -> Session | None:
        """Return the valid login of these cookies, if there is one."""
        session = self.sessions.get(cookies.get("cookie2", ""))
        if session is None or not session.alive or session.unb != cookies.get("unb"):
            return None
        if session.is_over(self.clock.now_ms()):
            return None
        return session

    def browser_session(self, cookies: Mapping[str, str]) -> Session | None:
        """Return the login of these cookies, or the visitor that has no login yet."""
        return self.session_of(cookies) or self.visitors.get(cookies.get("cookie2", ""))

    def renew_tk(self, session: Session) -> dict[str, str]:
        """Give the session a valid ``_m_h5_tk`` pair and return both cookies; a pair that is still valid is returned
        again.

        Two calls that fail at the same time therefore get the same pair.
        """
        now = self.clock.now_ms()
        if session.tk_expires_ms <= now:
            session.tk, session.tk_enc = self.hex(32), self.hex(32)
            session.tk_expires_ms = now + self.policy.tk_seconds * 1000
        pair = {"_m_h5_tk": f"{session.tk}_{session.tk_expires_ms}", "_m_h5_tk_enc": session.tk_enc}
        seller = self.sellers.get(session.unb)
        if seller and seller.jar.get("cookie2") == session.cookie2:
            seller.jar.update(pair)
        return pair

    def loose_tk(self) -> dict[str, str]:
        """Return a ``_m_h5_tk`` pair for a caller who is not logged in yet."""
        session = Session("", "")
        pair = self.renew_tk(session)
        self.loose_tks[session.tk] = session
        while len(self.loose_tks) > 10_000:
            del self.loose_tks[next(iter(self.loose_tks))]
        return pair

    def tk_is_current(self, session: Session | None, tk: str, tk_enc: str) -> bool:
        """Return whether a pair is valid now; a logged-in session takes over a pair that was given out before its
        login.
        """
        now = self.clock.now_ms()
        if session and session.tk == tk:
            return session.tk_expires_ms > now and session.tk_enc == tk_enc
        loose = self.loose_tks.get(tk)
        if loose is None or loose.tk_expires_ms <= now or loose.tk_enc != tk_enc:
            return False
        if session:
            session.tk, session.tk_enc, session.tk_expires_ms = tk, tk_enc, loose.tk_expires_ms
            del self.loose_tks[tk]
        return True

    def rotate_cookie(self, session: Session, name: str, value: str | None, *, drop_old: bool) -> dict[str, str]:
        """Change one cookie of a login and return it; a new ``cookie2`` belongs to the same login."""
        value = value or self.hex(32)
        seller = self.seller(session.unb)
        current = seller.jar.get("cookie2") == session.cookie2
        if name == "cookie2":
            fresh = Session(session.unb, value, True, session.tk, session.tk_enc, session.tk_expires_ms)
            self.sessions[value] = fresh
            session.alive = not drop_old
        if current:
            seller.jar[name] = value
        return {name: value}

    # -- IM tokens ------------------------------------------------------------------------------------------------

    def issue_token(self, unb: str, device_id: str, agent: str = "") -> ImToken:
        """Issue an IM access token, bound to the device (docs/protocol.md §2.1)."""
        self._next_token += 1
        expires_ms = self.clock.now_ms() + self.policy.im_token_seconds * 1000
        token = ImToken(f"oauth_k1:{self.hex(80)}==", unb, device_id, expires_ms, self._next_token, agent)
        self.tokens[token.token] = token
        self.newest_token[unb, device_id] = token
        while len(self.tokens) > 20_000:
            del self.tokens[next(iter(self.tokens))]
        return token

    # -- chats ----------------------------------------------------------------------------------------------------

    def chat(self, seller: Seller, buyer: Buyer, item_id: str | None = None) -> Chat:
        """Return the chat of the two, opened if necessary; ``item_id`` becomes its item."""
        chat = self._pairs.get((seller.unb, buyer.id))
        if chat is None:
            number = 51_000_000_000 + _digest(f"chat:{seller.unb}:{buyer.id}") % 10**9
            while str(number) in self.chats:
                number += 1
            chat = Chat(str(number), seller.unb, buyer, item_id or next(iter(seller.items), "0"))
            self._pairs[seller.unb, buyer.id] = self.chats[chat.cid] = chat
            self._chats_of.setdefault(seller.unb, []).append(chat)
        elif item_id:
            chat.item_id = item_id
        return chat

    def find_chat(self, seller_id: str, buyer_id: str) -> Chat | None:
        """Return the chat of the two if it exists."""
        return self._pairs.get((seller_id, buyer_id))

    def chats_of(self, unb: str) -> list[Chat]:
        """Return a seller's chats, the one with the newest line first."""
        mine = self._chats_of.get(unb, [])
        return sorted(mine, key=lambda chat: chat.lines[-1].at if chat.lines else 0, reverse=True)

    def write(
        self,
        chat: Chat,
        sender_id: str,
        text: str,
        content: str,
        content_type: int,
        *,
        message_id: str | None = None,
        uuid: str = "",
    ) -> Message:
        """Add a line to a chat. A ``message_id`` with the content of an existing line returns that line."""
        for known in reversed(chat.lines) if message_id else ():
            if known.id == message_id and known.content == content:
                return known
        if message_id is None:
            message_id = f"{self._next_message}.PNM"
            self._next_message += 1
        line = Message(
            message_id,
            hashlib.sha256(f"{self.seed}:{message_id}".encode()).hexdigest()[:32],
            sender_id,
            chat.item_id,
            self.clock.now_ms(),
            wall_ms(),
            text,
            content,
            content_type,
            uuid,
        )
        chat.lines.append(line)
        if uuid:
            self._uuids[chat.cid, uuid] = line
            while len(self._uuids) > 50_000:
                del self._uuids[next(iter(self._uuids))]
        return line

    def sent_before(self, chat: Chat, uuid: str) -> Message | None:
        """Return the line that was sent with this uuid."""
        return self._uuids.get((chat.cid, uuid)) if uuid else None

    # -- orders ---------------------------------------------------------------------------------------------------

    def open_order(
        self, seller: Seller, buyer: Buyer, item_id: str, order_id: str | None = None, price_fen: int | None = None
    ) -> Order:
        """Let the buyer order an item: a new order, not paid."""
        if order_id is None:
            order_id = str(self._next_order)
            self._next_order += 1
        item = seller.items.get(item_id)
        price = price_fen if price_fen is not None else item.price_fen if item else 100
        history: list[tuple[OrderStatus, int]] = [("processing", self.clock.now_ms())]
        order = Order(order_id, seller.unb, buyer.id, item_id, price, "processing", history)
        self.orders[order_id] = self._newest_orders[seller.unb, buyer.id] = order
        return order

    def newest_order(self, seller_id: str, buyer_id: str) -> Order | None:
        """Return what the buyer ordered last of the seller."""
        return self._newest_orders.get((seller_id, buyer_id))

    def attempt(self, order: Order, api: str, ret: str) -> None:
        """Record a call that tried to ship an order, whatever its result."""
        order.attempts.append(Attempt(api, self.clock.now_ms(), wall_ms(), ret))

    def order_view(self, order: Order) -> dict[str, Any]:
        """Return an order as JSON, with counts of the shipping attempts."""
        consign = sum("consign" in attempt.api for attempt in order.attempts)
        counts = {"consign_calls": consign, "freeshipping_calls": len(order.attempts) - consign}
        return asdict(order) | counts


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

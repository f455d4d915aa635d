"""What the mtop apis of the site do and answer (docs/protocol.md §2)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from shoal.sandbox import trade
from shoal.sandbox.site import Site
from shoal.sandbox.things import Chat, Item, Order, Seller, Session, UnknownThing

IM_APP_KEY: Final = "444e9908a51d1cb236a27862abc769c9"
SUCCESS: Final = "SUCCESS::调用成功"
ON_SALE: Final = "在线"


@dataclass(slots=True)
class Call:
    """One call as it arrived, and its caller."""

    site: Site
    api: str
    version: str
    query: Mapping[str, str]
    text: str
    """the form field ``data`` before URL-encoding: the signature covers it"""
    cookies: dict[str, str]
    session: Session | None
    agent: str = ""
    """the ``User-Agent``"""
    set_cookies: dict[str, str] = field(default_factory=dict)

    @property
    def account(self) -> str:
        """Return the account of the call; cookies without a valid login still name one."""
        return self.cookies.get("unb", "")

    @property
    def data(self) -> dict[str, Any]:
        """Return the parsed parameters."""
        try:
            parsed = json.loads(self.text)
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}


class Fail(Exception):
    """Ends the call with these ``ret`` entries and this data."""

    def __init__(self, *ret: str, data: dict[str, Any] | None = None) -> None:
        super().__init__(*ret)
        self.ret = list(ret)
        self.data = data or {}


# -- the endpoints ------------------------------------------------------------------------------------------------


def _token(call: Call, session: Session) -> dict[str, Any]:
    data = call.data
    device_id = str(data.get("deviceId", ""))
    if data.get("appKey") != IM_APP_KEY or not device_id:
        raise Fail("FAIL_BIZ_PARAM_ERROR::参数错误")
    token = call.site.world.issue_token(session.unb, device_id, call.agent)
    life_ms = call.site.world.policy.im_token_seconds * 1000
    return {
        "accessToken": quote(token.token, safe=""),
        "accessTokenExpiredTime": str(life_ms),
        "refreshToken": f"r{hashlib.sha256(token.token.encode()).hexdigest()}",
    }


def _login_user(call: Call, session: Session) -> dict[str, Any]:
    seller = call.site.world.seller(session.unb)
    return {"userId": seller.unb, "displayName": seller.nick, "nick": seller.nick, "isLogin": "true"}


def _detail(call: Call, session: Session) -> dict[str, Any]:  # noqa: ARG001 - all endpoints have the same signature
    try:
        item = call.site.world.item(str(call.data.get("itemId", "")))
    except UnknownThing:
        raise Fail("FAIL_BIZ_ITEM_NOT_FOUND::宝贝不存在") from None
    return {
        "itemDO": {
            "itemId": item.id,
            "title": item.title,
            "desc": item.desc,
            "soldPrice": _yuan(item.price_fen),
            "quantity": item.quantity,
            "skuList": [_sku(item, spec, item.price_of(place)) for place, spec in enumerate(item.specs or ("",))],
            "itemStatus": 0 if item.status == ON_SALE else 1,
            "itemStatusStr": item.status,
        },
        "sellerDO": {"sellerId": int(call.site.world.seller_of(item.id))},
    }


def _sku(item: Item, spec: str, price_fen: int) -> dict[str, Any]:
    pairs = [pair.partition(":") for pair in spec.split(";") if pair]
    chosen = [{"propertyText": name, "valueText": value} for name, _, value in pairs]
    return {"price": price_fen, "quantity": item.quantity, "propertyList": chosen}


def _items(call: Call, session: Session) -> dict[str, Any]:
    data = call.data
    number, size = int(data.get("pageNumber", 1)), int(data.get("pageSize", 20))
    seller = call.site.world.sellers.get(str(data.get("userId", session.unb)))
    items = [item for item in seller.items.values() if item.status == ON_SALE] if seller else []
    start = (number - 1) * size
    cards = [
        {
            "cardType": 1003,
            "cardData": {
                "id": item.id,
                "title": item.title,
                "priceInfo": {"preText": "¥", "price": _yuan(item.price_fen)},
                "categoryId": "50025461",
                "itemStatus": 0,
                "detailUrl": f"fleamarket://item?id={item.id}",
                "picInfo": {"picUrl": call.site.item_picture(item.id), "width": 80, "height": 80},
            },
        }
        for item in items[start : start + size]
    ]
    return {"cardList": cards, "nextPage": start + size < len(items), "totalCount": len(items)}


def _yuan(fen: int) -> str:
    return f"{fen / 100:.2f}"


def _my_order(call: Call, session: Session, key: str) -> Order:
    order = call.site.world.orders.get(str(call.data.get(key, "")))
    if order is None or order.seller_id != session.unb:
        raise Fail("FAIL_BIZ_ORDER_NOT_FOUND::订单不存在")
    return order


def _consign(call: Call, session: Session) -> dict[str, Any]:
    order = _my_order(call, session, "orderId")
    trade.buyer_acts(call.site, order, "consign")
    if not order.is_ready:
        refusal = "BUYER_CONFIRM_INFO::买家确认信息后才能发货"
        call.site.world.attempt(order, call.api, refusal)
        call.site.strict.add("ready_card", call.api, session.unb, f"order {order.id} has no ready card", refused=True)
        raise Fail(refusal)
    if order.status != "pending_ship":
        refusal = "FAIL_BIZ_ORDER_STATUS_ERROR::当前订单状态不支持发货"
        call.site.world.attempt(order, call.api, refusal)
        raise Fail(refusal)
    call.site.world.attempt(order, call.api, SUCCESS)
    call.site.move_order(order, "shipped")
    trade.push_card(call.site, order, "shipped")
    return {}


def _free_shipping(call: Call, session: Session) -> dict[str, Any]:
    order = _my_order(call, session, "bizOrderId")
    given = (str(call.data.get("itemId")), str(call.data.get("buyerId")))
    if order.status != "group_pending" or not order.is_ready or given != (order.item_id, order.buyer_id):
        refusal = "FAIL_BIZ_ORDER_STATUS_ERROR::当前订单不支持免拼发货"
        call.site.world.attempt(order, call.api, refusal)
        raise Fail(refusal)
    call.site.world.attempt(order, call.api, SUCCESS)
    if call.site.strict.has("ready_card"):
        order.is_ready = False
        trade.ready_soon(call.site, order)
    else:
        call.site.move_order(order, "pending_ship")
        trade.push_card(call.site, order, "group_ready")
    return {}


def _order_page(call: Call, session: Session) -> dict[str, Any]:
    order = _my_order(call, session, "tid")
    trade.buyer_acts(call.site, order, "order")
    return trade.shown_page(call.site, order)


def _sessions(call: Call, session: Session) -> dict[str, Any]:
    """Return the chats, the one with the newest line first; clients list their conversations with it."""
    wanted = max(1, int(call.data.get("fetchNum", 20)))
    seller = call.site.world.seller(session.unb)
    chats = call.site.world.chats_of(session.unb)
    return {"sessions": [_session(seller, chat) for chat in chats[:wanted]], "hasMore": len(chats) > wanted}


def _session(seller: Seller, chat: Chat) -> dict[str, Any]:
    last = chat.lines[-1] if chat.lines else None
    return {
        "session": {
            "sessionId": chat.cid,
            "sessionType": 1,
            "userInfo": {"userId": chat.buyer.id, "nick": chat.buyer.nick},
            "ownerInfo": {"userId": seller.unb, "nick": seller.nick},
        },
        "message": {
            "summary": {
                "unread": chat.unread,
                "summary": last.text if last else "",
                "ts": last.at if last else 0,
            },
        },
    }


def _who_am_i(call: Call, session: Session) -> dict[str, Any]:
    seller = call.site.world.seller(session.unb)
    picture = f"{call.site.base_url}_sandbox/seller-pictures/{seller.unb}.png"
    return {"module": {"base": {"displayName": seller.nick, "avatar": picture}}}


def _nothing(call: Call, session: Session) -> dict[str, Any]:  # noqa: ARG001 - all endpoints have the same signature
    return {}


APIS: Final[dict[str, Callable[[Call, Session], dict[str, Any]]]] = {
    "mtop.taobao.idlemessage.pc.login.token": _token,
    "mtop.taobao.idlemessage.pc.loginuser.get": _login_user,
    "mtop.taobao.idlemessage.pc.session.sync": _sessions,
    "mtop.idle.web.user.page.nav": _who_am_i,
    "mtop.taobao.idle.pc.detail": _detail,
    "mtop.idle.web.xyh.item.list": _items,
    "mtop.taobao.idle.logistic.consign.dummy": _consign,
    "mtop.idle.groupon.activity.seller.freeshipping": _free_shipping,
    "mtop.idle.trade.pc.message.headinfo": _nothing,
    "mtop.idle.web.trade.order.detail": _order_page,
}
OPEN_APIS: Final = frozenset({"mtop.gaia.nodejs.gaia.idle.data.gw.v2.index.get"})
"""calls without a login; QR logins use one to get a first ``_m_h5_tk``"""

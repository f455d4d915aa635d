"""The mtop gateway of the site (docs/protocol.md §1 and §2)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from shoal.sandbox import trade
from shoal.sandbox.clock import wall_ms
from shoal.sandbox.faults import short_name
from shoal.sandbox.site import Site
from shoal.sandbox.things import Chat, Order, Seller, Session, UnknownThing

IM_APP_KEY: Final = "444e9908a51d1cb236a27862abc769c9"
MTOP_APP_KEY: Final = "34839810"
COOKIE_DOMAIN: Final = ".goofish.com"

SUCCESS: Final = "SUCCESS::调用成功"
TOKEN_EMPTY: Final = "FAIL_SYS_TOKEN_EMPTY::令牌为空"  # noqa: S105 - a return code
TOKEN_EXPIRED: Final = "FAIL_SYS_TOKEN_EXOIRED::令牌过期"  # noqa: S105 - a return code, the site's spelling
SESSION_EXPIRED: Final = "FAIL_SYS_SESSION_EXPIRED::Session过期"
BAD_SIGN: Final = "ILLEGAL_REQUEST::非法请求签名错误"
RISK: Final = ("FAIL_SYS_USER_VALIDATE", "RGV587_ERROR::SM::哎哟喂,被挤爆啦,请稍后重试!")


def parse_cookies(header: str) -> dict[str, str]:
    """Return the pairs of a cookie header, split on the first ``=`` (docs/protocol.md §1)."""
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return {name: value for name, equals, value in pairs if equals}


def sign(tk: str, t: str, data: str) -> str:
    """Return the signature of a call (docs/protocol.md §2)."""
    text = f"{tk}&{t}&{MTOP_APP_KEY}&{data}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


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
    token = call.site.world.issue_token(session.unb, device_id)
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
    sku = {"price": item.price_fen, "quantity": item.quantity, "propertyList": []}
    return {
        "itemDO": {
            "itemId": item.id,
            "title": item.title,
            "desc": item.desc,
            "soldPrice": _yuan(item.price_fen),
            "quantity": item.quantity,
            "skuList": [sku],
            "itemStatus": 0,
        },
    }


def _items(call: Call, session: Session) -> dict[str, Any]:
    data = call.data
    number, size = int(data.get("pageNumber", 1)), int(data.get("pageSize", 20))
    seller = call.site.world.sellers.get(str(data.get("userId", session.unb)))
    items = list(seller.items.values()) if seller else []
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
                "picInfo": {"picUrl": "https://sandbox.invalid/item.jpg", "width": 800, "height": 800},
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
    if order.status != "pending_ship":
        refusal = "FAIL_BIZ_ORDER_STATUS_ERROR::当前订单状态不支持发货"
        call.site.world.attempt(order, call.api, refusal)
        raise Fail(refusal)
    call.site.world.attempt(order, call.api, SUCCESS)
    call.site.move_order(order, "shipped")
    call.site.card(order, "shipped")
    return {}


def _free_shipping(call: Call, session: Session) -> dict[str, Any]:
    order = _my_order(call, session, "bizOrderId")
    given = (str(call.data.get("itemId")), str(call.data.get("buyerId")))
    if order.status != "group_pending" or given != (order.item_id, order.buyer_id):
        refusal = "FAIL_BIZ_ORDER_STATUS_ERROR::当前订单不支持免拼发货"
        call.site.world.attempt(order, call.api, refusal)
        raise Fail(refusal)
    call.site.world.attempt(order, call.api, SUCCESS)
    call.site.move_order(order, "pending_ship")
    return {}


def _order_page(call: Call, session: Session) -> dict[str, Any]:
    return trade.order_page(_my_order(call, session, "tid"))


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
    picture = f"https://img.alicdn.com/sns_logo/{seller.unb}.jpg"
    return {"module": {"base": {"displayName": seller.nick, "avatar": picture}}}


def _nothing(call: Call, session: Session) -> dict[str, Any]:  # noqa: ARG001 - all endpoints have the same signature
    return {}


_APIS: Final[dict[str, Callable[[Call, Session], dict[str, Any]]]] = {
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
_OPEN_APIS: Final = frozenset({"mtop.gaia.nodejs.gaia.idle.data.gw.v2.index.get"})
"""calls without a login; QR logins use one to get a first ``_m_h5_tk``"""


# -- how a call is answered ---------------------------------------------------------------------------------------


def _check(call: Call) -> Session | None:
    """Check a call as the site's gateway does: risk, then session, then ``_m_h5_tk``, then the signature."""
    site, which = call.site, short_name(call.api)
    risk = site.faults.take("risk_control", call.account, which)
    if risk:
        raise Fail(*_risk_ret(risk.options.get("order")), data={"url": punish_url(call.api)})
    expired = site.faults.find("session_expired", call.account, which)
    if expired and call.cookies.get("cookie2") in expired.options.get("_logins", ()):
        site.faults.play(expired)
        raise Fail(SESSION_EXPIRED)
    stale = site.faults.take("token_expired", call.account, which)
    if stale and call.session:
        call.session.tk_expires_ms = 0
    tk, tk_enc = call.cookies.get("_m_h5_tk", ""), call.cookies.get("_m_h5_tk_enc", "")
    tk = tk.partition("_")[0]
    if not tk or not tk_enc:
        call.set_cookies |= _new_tk(call)
        raise Fail(TOKEN_EMPTY)
    if stale or not site.world.tk_is_current(call.session, tk, tk_enc):
        call.set_cookies |= _new_tk(call)
        raise Fail(TOKEN_EXPIRED)
    if call.query.get("appKey") != MTOP_APP_KEY or call.query.get("sign") != sign(
        tk, call.query.get("t", ""), call.text
    ):
        raise Fail(BAD_SIGN)
    return call.session


def _new_tk(call: Call) -> dict[str, str]:
    world = call.site.world
    return world.renew_tk(call.session) if call.session else world.loose_tk()


def _risk_ret(order: object) -> tuple[str, ...]:
    return tuple(reversed(RISK)) if order == "rgv_first" else RISK


def punish_url(api: str) -> str:
    """Return the address of risk control's verification page."""
    return (
        f"https://h5api.m.goofish.com:443//h5/{api}/1.0/_____tmd_____/punish?x5secdata=sandbox&x5step=2&action=captcha"
    )


def _perform(call: Call) -> dict[str, Any]:
    session = _check(call)
    if call.api in _OPEN_APIS:
        if call.site.world.policy.cookie2_by_visit and not call.cookies.get("cookie2"):
            call.set_cookies["cookie2"] = call.site.world.visit().cookie2
        return {}
    endpoint = _APIS.get(call.api)
    if endpoint is None:
        raise Fail("FAIL_SYS_API_NOT_FOUNDED::请求API不存在")
    if session is None:
        raise Fail(SESSION_EXPIRED)
    rotation = call.site.faults.take("rotate_cookie", session.unb, short_name(call.api))
    if rotation:
        options = rotation.options
        call.set_cookies |= call.site.world.rotate_cookie(
            session,
            str(options.get("name") or "cookie2"),
            options.get("value"),
            drop_old=bool(options.get("drop_old", False)),
        )
    refusal = call.site.faults.take("business_error", session.unb, short_name(call.api))
    if refusal:
        raise Fail(str(refusal.options.get("reason") or "FAIL_BIZ_SYSTEM_ERROR::系统繁忙,请稍后重试"))
    try:
        return endpoint(call, session)
    except (TypeError, ValueError):
        raise Fail("FAIL_BIZ_PARAM_ERROR::参数错误") from None


async def mtop_endpoint(request: Request) -> Response:
    """Answer one mtop call (docs/protocol.md §2)."""
    site: Site = request.app.state.site
    form = dict(parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True))
    cookies = parse_cookies(request.headers.get("cookie", ""))
    api, version = request.path_params["api"], request.path_params["version"]
    text = form.get("data", request.query_params.get("data", ""))
    call = Call(site, api, version, request.query_params, text, cookies, site.world.session_of(cookies))
    which = short_name(api)
    broken = broken_answer(site, call.account, which)
    if broken:
        site.calls.add(**_call_line(call, [f"HTTP {broken.status_code}"]))
        return broken
    try:
        data, ret = _perform(call), [SUCCESS]
    except Fail as fail:
        data, ret = fail.data, fail.ret
    site.calls.add(**_call_line(call, ret))
    await site.faults.detain(call.account, which)
    response = JSONResponse({"api": api, "data": data, "ret": ret, "v": version})
    set_cookies(request, response, call.set_cookies)
    return response


def broken_answer(site: Site, account: str, which: str) -> Response | None:
    """Return the answer of the faults ``http_500`` and ``html_answer``, if one of them applies."""
    if site.faults.take("http_500", account, which):
        return Response("Internal Server Error", 500, media_type="text/plain")
    page = site.faults.take("html_answer", account, which)
    if page:
        script = f'<script>location.href="{punish_url(which)}"</script>' if page.options.get("punish") else ""
        return HTMLResponse(f"<html><head><title>亲，访问被拒绝</title></head><body>哎哟喂{script}</body></html>")
    return None


def _call_line(call: Call, ret: list[str]) -> dict[str, Any]:
    return {
        "at": call.site.clock.now_ms(),
        "wall_ms": wall_ms(),
        "account": call.account,
        "api": call.api,
        "ret": ret,
        "data": call.text,
        "cookie2": call.cookies.get("cookie2", ""),
    }


def set_cookies(request: Request, response: Response, cookies: Mapping[str, str]) -> None:
    """Set cookies raw: for a host of the site with its domain, for any other host (such as 127.0.0.1) without a domain.

    A client that keeps cookies by host must have the passport's cookies at the gateway too. An empty value deletes the
    cookie.
    """
    host = request.headers.get("host", "").partition(":")[0].lower()
    domain = f"Domain={COOKIE_DOMAIN};" if host.endswith(COOKIE_DOMAIN) else ""
    for name, value in cookies.items():
        age = 604800 if value else 0
        response.headers.append("set-cookie", f"{name}={value};{domain}Path=/;Max-Age={age}")
    site: Site = request.app.state.site
    if "_m_h5_tk" in cookies and site.world.policy.deletes_tk_elsewhere:
        for name in ("_m_h5_tk", "_m_h5_tk_enc"):
            response.headers.append("set-cookie", f"{name}=;Domain=m.goofish.com;Path=/;Max-Age=0")


def log_call(site: Site, api: str, cookies: Mapping[str, str], ret: str) -> None:
    """Log a call of an endpoint other than mtop in the log of calls."""
    site.calls.add(
        at=site.clock.now_ms(),
        wall_ms=wall_ms(),
        account=cookies.get("unb", ""),
        api=api,
        ret=[ret],
        data="",
        cookie2=cookies.get("cookie2", ""),
    )

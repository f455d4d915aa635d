"""The control routes of the sandbox, under ``/_sandbox``: make buyers talk and pay, cause failures, read the logs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final, Literal, TypeVar, cast

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shoal.sandbox import codec, trade
from shoal.sandbox.bodies import (
    Body,
    CardKind,
    ClearBody,
    ClockBody,
    ExpireBody,
    FaultBody,
    MarkBody,
    PayBody,
    PolicyBody,
    PushBody,
    QrBody,
    ReleaseBody,
    SayBody,
    SellerBody,
    TypedBody,
)
from shoal.sandbox.pictures import image_endpoint
from shoal.sandbox.site import Site
from shoal.sandbox.things import Chat, Item, Message, Seller, UnknownThing

MAX_WAIT_SECONDS: Final = 60.0
BodyT = TypeVar("BodyT", bound=Body)


# -- actions ------------------------------------------------------------------------------------------------------


def _chat(site: Site, account: str, buyer: str, item: str | None = None) -> Chat:
    return site.world.chat(site.world.seller(account), site.world.buyer(buyer), item)


def _say(site: Site, body: SayBody) -> dict[str, Any]:
    chat = _chat(site, body.account, body.buyer, body.item)
    content, content_type = body.content, body.content_type or codec.TEXT
    if body.image_url:
        content, content_type = codec.image_content(body.image_url), codec.IMAGE
    elif body.tip:
        content_type = codec.TIPS
    said = [
        site.say(
            chat,
            body.text,
            message_id=body.message_id,
            content=content,
            content_type=content_type,
            need_push=not body.system,
            tip=body.tip,
        )
        for _ in range(body.times)
    ]
    ids = [message.id for message in said]
    return {"cid": chat.cid, "buyer_id": chat.buyer.id, "message_id": ids[0], "message_ids": ids, "at": said[0].at}


def _seller_say(site: Site, body: TypedBody) -> dict[str, Any]:
    chat = _chat(site, body.account, body.buyer, body.item)
    message = site.answer(chat, body.text, codec.text_content(body.text), codec.TEXT, kind="typed")
    return {"cid": chat.cid, "buyer_id": chat.buyer.id, "message_id": message.id, "at": message.at}


def _pay(site: Site, body: PayBody) -> dict[str, Any]:
    world = site.world
    seller, buyer = world.seller(body.account), world.buyer(body.buyer)
    order = world.orders.get(body.order_id or "")
    if order is None:
        chat = world.chat(seller, buyer, body.item)
        order = world.open_order(seller, buyer, chat.item_id, body.order_id, body.price_fen)
        order.quantity, order.spec = body.quantity, body.spec
        site.happened("ordered", seller.unb, buyer=buyer.nick, text=order.id, order_id=order.id)
    elif (order.seller_id, order.buyer_id) != (seller.unb, buyer.id):
        raise UnknownThing(f"order {order.id} is not between these two")
    cards: list[CardKind] = ["not_paid", "paid"] if body.card == "both" else []
    if body.card not in ("both", "none"):
        cards = [cast("CardKind", body.card)]
    messages = []
    for kind in cards:
        status = trade.status_after(order, kind)
        if status != order.status:
            site.move_order(order, status)
        if body.quiet:
            continue
        message = site.card(order, kind, message_id=body.message_id, mark=body.mark, as_update=body.as_update)
        messages.append(message.id)
    cid = site.chat_of(order).cid
    return {"order_id": order.id, "cid": cid, "buyer_id": buyer.id, "message_ids": messages}


def _order_mark(site: Site, body: MarkBody) -> dict[str, Any]:
    chat = _chat(site, body.account, body.buyer)
    site.push_payload(body.account, codec.order_mark(chat.cid, body.red_reminder, site.clock.now_ms()))
    return {"cid": chat.cid}


def _push(site: Site, body: PushBody) -> dict[str, Any]:
    chat = _chat(site, body.account, body.buyer)
    now, ids = site.clock.now_ms(), body.message_ids or [line.id for line in chat.lines][-1:]
    if body.shape == "typing":
        site.whisper(body.account, codec.typing(chat.cid, chat.buyer.id))
    elif body.shape == "session_remove":
        for socket in site.sockets_of(body.account):
            socket.notify("/s/session/remove", {"reason": "session remove"})
    elif body.shape == "resync":
        if body.skipping:
            site.feed(body.account).skip()
        for socket in site.sockets_of(body.account):
            socket.push([], "/s/vulcan", syncExtraType={"type": 1})
    else:
        about = (chat.cid, chat.buyer.id, chat.item_id, body.text)
        shapes: dict[str, Callable[[], str]] = {
            "read_receipt": lambda: codec.encode(codec.read_receipt(chat.cid, ids, now)),
            "new_message": lambda: codec.encode(codec.new_message_mark(chat.cid, "".join(ids[-1:]), now)),
            "session_arouse": lambda: codec.encode_json(codec.session_arouse(*about)),
            "json_text": lambda: codec.encode_json(codec.json_text(*about)),
            "raw": lambda: body.data,
        }
        site.push(body.account, shapes[body.shape]())
    return {"cid": chat.cid}


def _fault(site: Site, body: FaultBody) -> dict[str, Any]:
    if body.account is not None:
        site.world.seller(body.account)
    options = body.model_dump(exclude_none=True, exclude={"kind", "account", "times", "until_seconds"})
    until_ms = None
    if body.until_seconds is not None:
        until_ms = site.clock.now_ms() + round(body.until_seconds * 1000)
    fault = site.faults.lay(body.kind, body.account, times=body.times, until_ms=until_ms, **options)
    site.strike(fault)
    site.happened("fault", body.account or "", text=body.kind, fault_id=fault.id)
    return fault.view()


def _release(site: Site, body: ReleaseBody) -> dict[str, Any]:
    return {"released": [fault.id for fault in site.faults.release(body.id, body.account, body.which)]}


def _clear(site: Site, body: ClearBody) -> dict[str, Any]:
    return {"cleared": [fault.id for fault in site.faults.clear(body.account, body.kind)]}


def _clock(site: Site, body: ClockBody) -> dict[str, Any]:
    if body.set is not None:
        site.clock.set(body.set)
    elif body.advance is not None:
        site.clock.advance(body.advance)
    else:
        site.clock.real()
    return {"now_ms": site.clock.now_ms(), "frozen": site.clock.frozen}


def _add_seller(site: Site, body: SellerBody) -> dict[str, Any]:
    seller = site.world.sellers.get(body.unb or "")
    if seller is None:
        seller = site.world.add_seller(body.nick, body.items, body.unb)
    else:
        site.world.login(seller)
    return _seller_view(site, seller)


def _expire(site: Site, body: ExpireBody) -> dict[str, Any]:
    world = site.world
    world.seller(body.account)
    ended = 0
    for session in world.sessions.values():
        if session.unb == body.account and body.what == "login":
            session.alive = False
            ended += 1
        elif session.unb == body.account and body.what == "tk":
            session.tk_expires_ms = 0
            ended += 1
    for token in world.tokens.values():
        if token.unb == body.account and body.what == "im_token":
            token.expires_ms = 0
            ended += 1
    return {"expired": ended}


def _qr(site: Site, body: QrBody) -> dict[str, Any]:
    login = site.qr_logins.get(body.ck or next(reversed(site.qr_logins), ""))
    if login is None:
        raise UnknownThing(f"no QR login {body.ck}")
    if body.account:
        login["unb"] = site.world.seller(body.account).unb
    login["status"] = body.status
    return {"status": body.status}


def _policy(site: Site, body: PolicyBody) -> dict[str, Any]:
    site.world.change_policy(**body.model_dump(exclude_none=True))
    return asdict(site.world.policy)


# -- reading ------------------------------------------------------------------------------------------------------


def _item_view(item: Item) -> dict[str, Any]:
    return {"id": item.id, "title": item.title, "price_fen": item.price_fen, "quantity": item.quantity}


def _seller_view(site: Site, seller: Seller) -> dict[str, Any]:
    return {
        "unb": seller.unb,
        "nick": seller.nick,
        "cookie": site.world.cookie_header(seller),
        "items": [_item_view(item) for item in seller.items.values()],
    }


async def _state(request: Request) -> Response:
    site = _site(request)
    return JSONResponse(
        {
            "now_ms": site.clock.now_ms(),
            "frozen": site.clock.frozen,
            "seed": site.world.seed,
            "sellers": len(site.world.sellers),
            "buyers": [{"id": buyer.id, "nick": buyer.nick} for buyer in site.world.buyers.values()],
            "chats": len(site.world.chats),
            "orders": len(site.world.orders),
            "sockets": sum(len(feed.sockets) for feed in site.feeds.values()),
            "faults": [fault.view() for fault in site.faults.all()],
            "policy": asdict(site.world.policy),
            "last_seq": {
                "frames": site.frames.last_seq,
                "calls": site.calls.last_seq,
                "events": site.events.last_seq,
            },
        },
    )


async def _sockets(request: Request) -> Response:
    site = _site(request)
    return JSONResponse(
        {
            unb: {
                "now": len(feed.sockets),
                "max": feed.most_at_once,
                "total": feed.registrations,
                "handshakes": feed.handshakes,
                "refused": feed.refusals,
                "devices": [socket.device_id for socket in feed.sockets],
                "zombies": sum(site.is_zombie(socket) for socket in feed.sockets),
                "cookie": feed.cookie,
                "unacked": sum(not entry.acked for entry in feed.entries),
            }
            for unb, feed in site.feeds.items()
            if request.query_params.get("account") in (None, unb)
        },
    )


async def _frames(request: Request) -> Response:
    return await _journal(request, "frames")


async def _calls(request: Request) -> Response:
    return await _journal(request, "calls")


async def _events(request: Request) -> Response:
    return await _journal(request, "events")


async def _journal(request: Request, name: Literal["frames", "calls", "events"]) -> Response:
    site = _site(request)
    journal = {"frames": site.frames, "calls": site.calls, "events": site.events}[name]
    query = request.query_params
    try:
        after, limit = int(query.get("after", "0")), int(query.get("limit", "1000"))
        wait = min(float(query.get("wait", "0")), MAX_WAIT_SECONDS)
    except ValueError:
        return _problem(422, "invalid", "after, limit and wait are numbers")
    if after < 0 or limit < 1 or wait < 0:
        return _problem(422, "invalid", "after and wait are not negative, limit is at least 1")
    account = query.get("account")
    if wait > 0:
        lines = await journal.wait(after, wait, account=account, limit=limit)
    else:
        lines = journal.after(after, account=account, limit=limit)
    return JSONResponse({"items": lines, "last_seq": journal.last_seq})


async def _sellers(request: Request) -> Response:
    site = _site(request)
    return JSONResponse({"items": [_seller_view(site, seller) for seller in site.world.sellers.values()]})


async def _orders(request: Request) -> Response:
    world, account = _site(request).world, request.query_params.get("account")
    orders = [order for order in world.orders.values() if account in (None, order.seller_id)]
    return JSONResponse({"items": [world.order_view(order) for order in orders]})


async def _chat_seen(request: Request) -> Response:
    site = _site(request)
    account, who = request.path_params["account"], request.path_params["buyer"]
    try:
        seller = site.world.seller(account)
    except UnknownThing as unknown:
        return _problem(404, "unknown", str(unknown))
    chat = site.world.find_chat(seller.unb, site.world.buyer(who).id)
    lines = [_line_view(line, seller) for line in chat.lines] if chat else []
    seen = [line for line in lines if line["from"] == "seller" and not line["recalled"]]
    return JSONResponse({"cid": chat.cid if chat else None, "seen": seen, "lines": lines})


def _line_view(line: Message, seller: Seller) -> dict[str, Any]:
    who = "seller" if line.sender_id == seller.unb else "buyer"
    fields = ("id", "at", "wall_ms", "text", "content_type", "uuid", "item_id", "read", "recalled")
    return {"from": who, **{name: getattr(line, name) for name in fields}}


# -- endpoints ----------------------------------------------------------------------------------------------------


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


def _problem(status: int, code: str, detail: str, errors: list[dict[str, str]] | None = None) -> Response:
    content: dict[str, Any] = {"code": code, "detail": detail}
    return JSONResponse(content | ({"errors": errors} if errors else {}), status)


def _action(
    model: type[BodyT], act: Callable[[Site, BodyT], dict[str, Any]]
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        raw = await request.body()
        try:
            body = model.model_validate_json(raw or b"{}")
        except ValidationError as invalid:
            errors = [
                {"field": ".".join(str(part) for part in error["loc"]), "message": error["msg"]}
                for error in invalid.errors(include_url=False, include_context=False)
            ]
            detail = "; ".join(f"{error['field'] or 'body'}: {error['message']}" for error in errors)
            return _problem(422, "invalid", detail, errors)
        try:
            return JSONResponse(act(_site(request), body))
        except UnknownThing as unknown:
            return _problem(404, "unknown", str(unknown))

    return endpoint


def control_routes() -> list[Route]:
    """Return the routes under ``/_sandbox``."""
    base = "/_sandbox"
    return [
        Route(f"{base}/state", _state),
        Route(f"{base}/sockets", _sockets),
        Route(f"{base}/frames", _frames),
        Route(f"{base}/calls", _calls),
        Route(f"{base}/events", _events),
        Route(f"{base}/orders", _orders),
        Route(f"{base}/sellers", _sellers),
        Route(f"{base}/chats/{{account}}/{{buyer}}", _chat_seen),
        Route(f"{base}/images/{{name}}", image_endpoint),
        Route(f"{base}/say", _action(SayBody, _say), methods=["POST"]),
        Route(f"{base}/seller_say", _action(TypedBody, _seller_say), methods=["POST"]),
        Route(f"{base}/pay", _action(PayBody, _pay), methods=["POST"]),
        Route(f"{base}/order_mark", _action(MarkBody, _order_mark), methods=["POST"]),
        Route(f"{base}/push", _action(PushBody, _push), methods=["POST"]),
        Route(f"{base}/fault", _action(FaultBody, _fault), methods=["POST"]),
        Route(f"{base}/fault/release", _action(ReleaseBody, _release), methods=["POST"]),
        Route(f"{base}/faults/clear", _action(ClearBody, _clear), methods=["POST"]),
        Route(f"{base}/faults", _action(ClearBody, _clear), methods=["DELETE"]),
        Route(f"{base}/clock", _action(ClockBody, _clock), methods=["POST"]),
        Route(f"{base}/sellers", _action(SellerBody, _add_seller), methods=["POST"]),
        Route(f"{base}/expire", _action(ExpireBody, _expire), methods=["POST"]),
        Route(f"{base}/qr", _action(QrBody, _qr), methods=["POST"]),
        Route(f"{base}/policy", _action(PolicyBody, _policy), methods=["POST"]),
    ]

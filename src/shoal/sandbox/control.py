"""The control routes of the sandbox, under ``/_sandbox``: make buyers talk and pay, cause failures, read the logs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, TypeVar

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shoal.sandbox import actions
from shoal.sandbox.bodies import (
    Body,
    BuyerMessageBody,
    CheckBody,
    ClearBody,
    ClockBody,
    ExpireBody,
    FaultBody,
    ItemBody,
    MarkBody,
    ModelBody,
    PayBody,
    PolicyBody,
    PushBody,
    QrBody,
    ReleaseBody,
    SellerBody,
    SupplierBody,
    TypedBody,
)
from shoal.sandbox.bot_signatures import BotBody
from shoal.sandbox.pictures import image_endpoint
from shoal.sandbox.receivers import ReceiverBody, lay_fault, sign_bot
from shoal.sandbox.seller_pictures import item_picture_endpoint, seller_picture_endpoint
from shoal.sandbox.site import Site
from shoal.sandbox.things import Message, Seller, UnknownThing

MAX_WAIT_SECONDS: Final = 60.0
BodyT = TypeVar("BodyT", bound=Body)


# -- reading ------------------------------------------------------------------------------------------------------


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
            "policy": site.world.policy.view(),
            "last_seq": {
                "frames": site.frames.last_seq,
                "calls": site.calls.last_seq,
                "events": site.events.last_seq,
                "refusals": site.strict.lines.last_seq,
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


async def _refusals(request: Request) -> Response:
    return await _journal(request, "refusals")


async def _journal(request: Request, name: Literal["frames", "calls", "events", "refusals"]) -> Response:
    site = _site(request)
    journals = {"frames": site.frames, "calls": site.calls, "events": site.events, "refusals": site.strict.lines}
    journal = journals[name]
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
    return JSONResponse({"items": [actions.seller_view(site, seller) for seller in site.world.sellers.values()]})


async def _orders(request: Request) -> Response:
    world, account = _site(request).world, request.query_params.get("account")
    orders = [order for order in world.orders.values() if account in (None, order.seller_id)]
    return JSONResponse({"items": [world.order_view(order) for order in orders]})


async def _receipts(request: Request) -> Response:
    query = request.query_params
    return JSONResponse(_site(request).receipts.view(query.get("account"), query.get("buyer")))


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
        Route(f"{base}/refusals", _refusals),
        Route(f"{base}/orders", _orders),
        Route(f"{base}/sellers", _sellers),
        Route(f"{base}/receipts", _receipts),
        Route(f"{base}/chats/{{account}}/{{buyer}}", _chat_seen),
        Route(f"{base}/images/{{name}}", image_endpoint),
        Route(f"{base}/seller-pictures/{{unb}}.png", seller_picture_endpoint),
        Route(f"{base}/item-pictures/{{item}}.png", item_picture_endpoint),
        Route(f"{base}/say", _action(BuyerMessageBody, actions.buyer_message), methods=["POST"]),
        Route(f"{base}/seller_say", _action(TypedBody, actions.seller_message), methods=["POST"]),
        Route(f"{base}/pay", _action(PayBody, actions.pay), methods=["POST"]),
        Route(f"{base}/item", _action(ItemBody, actions.item), methods=["POST"]),
        Route(f"{base}/order_mark", _action(MarkBody, actions.order_mark), methods=["POST"]),
        Route(f"{base}/push", _action(PushBody, actions.push), methods=["POST"]),
        Route(f"{base}/fault", _action(FaultBody, actions.fault), methods=["POST"]),
        Route(f"{base}/fault/release", _action(ReleaseBody, actions.release), methods=["POST"]),
        Route(f"{base}/faults/clear", _action(ClearBody, actions.clear), methods=["POST"]),
        Route(f"{base}/receiver", _action(ReceiverBody, lay_fault), methods=["POST"]),
        Route(f"{base}/bot", _action(BotBody, sign_bot), methods=["POST"]),
        Route(f"{base}/faults", _action(ClearBody, actions.clear), methods=["DELETE"]),
        Route(f"{base}/clock", _action(ClockBody, actions.clock), methods=["POST"]),
        Route(f"{base}/sellers", _action(SellerBody, actions.add_seller), methods=["POST"]),
        Route(f"{base}/expire", _action(ExpireBody, actions.expire), methods=["POST"]),
        Route(f"{base}/qr", _action(QrBody, actions.qr), methods=["POST"]),
        Route(f"{base}/check", _action(CheckBody, actions.check), methods=["POST"]),
        Route(f"{base}/model", _action(ModelBody, actions.model), methods=["POST"]),
        Route(f"{base}/supplier", _action(SupplierBody, actions.supplier), methods=["POST"]),
        Route(f"{base}/policy", _action(PolicyBody, actions.policy), methods=["POST"]),
    ]

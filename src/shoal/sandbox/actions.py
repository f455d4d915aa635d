"""What the control routes do: make buyers talk and pay, cause failures, move time, end logins."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from shoal.sandbox import codec, real_shapes, trade
from shoal.sandbox.bodies import (
    BuyerMessageBody,
    CardKind,
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
from shoal.sandbox.cards import Form
from shoal.sandbox.passport import LONG_LOGIN_MS
from shoal.sandbox.policy import STRICT_LEVERS, Policy
from shoal.sandbox.site import Site
from shoal.sandbox.strict.browser import browser_of
from shoal.sandbox.strict.checks import pass_check
from shoal.sandbox.things import Chat, Item, Seller, UnknownThing


def _chat(site: Site, account: str, buyer: str, item: str | None = None) -> Chat:
    return site.world.chat(site.world.seller(account), site.world.buyer(buyer), item)


def buyer_message(site: Site, body: BuyerMessageBody) -> dict[str, Any]:
    """Let a buyer send a message."""
    chat = _chat(site, body.account, body.buyer, body.item)
    content, content_type = body.content, body.content_type or codec.TEXT
    if body.image_url:
        content, content_type = codec.image_content(body.image_url), codec.IMAGE
    elif body.tip:
        content_type = codec.TIPS
    messages = [
        site.buyer_message(
            chat,
            body.text,
            message_id=body.message_id,
            content=content,
            content_type=content_type,
            need_push=not body.system,
            tip=body.tip,
            extra={"sessionType": body.session_type} | body.extra,
        )
        for _ in range(body.times)
    ]
    ids = [message.id for message in messages]
    return {"cid": chat.cid, "buyer_id": chat.buyer.id, "message_id": ids[0], "message_ids": ids, "at": messages[0].at}


def seller_message(site: Site, body: TypedBody) -> dict[str, Any]:
    """Let the seller send a message in the app."""
    chat = _chat(site, body.account, body.buyer, body.item)
    message = site.answer(chat, body.text, codec.text_content(body.text), codec.TEXT, kind="typed")
    return {"cid": chat.cid, "buyer_id": chat.buyer.id, "message_id": message.id, "at": message.at}


def pay(site: Site, body: PayBody) -> dict[str, Any]:
    """Let a buyer order an item and push the cards."""
    world = site.world
    seller, buyer = world.seller(body.account), world.buyer(body.buyer)
    order = world.orders.get(body.order_id or "")
    if order is None:
        chat = world.chat(seller, buyer, body.item)
        _buyable(world.items.get(chat.item_id), body.spec)
        order = world.open_order(seller, buyer, chat.item_id, body.order_id, body.price_fen)
        order.quantity, order.spec = body.quantity, body.spec
        order.page_from_ms = site.clock.now_ms() + round(body.page_lag_seconds * 1000)
        site.happened("ordered", seller.unb, buyer=buyer.nick, text=order.id, order_id=order.id)
    elif (order.seller_id, order.buyer_id) != (seller.unb, buyer.id):
        raise UnknownThing(f"order {order.id} is not between these two")
    order.status_from_ms = site.clock.now_ms() + round(body.status_lag_seconds * 1000)
    order.title = body.title
    cards: list[CardKind] = ["not_paid", "paid"] if body.card == "both" else []
    if body.card not in ("both", "none"):
        cards = [cast("CardKind", body.card)]
    messages = []
    for kind in cards:
        trade.turn(site, order, kind)
        if body.quiet:
            continue
        form: Form = "update" if body.as_update else "dynamic" if body.dynamic else "card"
        message = trade.push_card(
            site, order, kind, form=form, button=body.button, message_id=body.message_id, mark=body.mark,
            bare=body.bare,
        )  # fmt: skip
        messages.append(message.id)
    cid = site.chat_of(order).cid
    return {"order_id": order.id, "cid": cid, "buyer_id": buyer.id, "message_ids": messages}


def _buyable(item: Item | None, spec: str) -> None:
    if item and item.specs and spec and spec not in item.specs:
        raise UnknownThing(f"item {item.id} has no spec {spec}")


def item(site: Site, body: ItemBody) -> dict[str, Any]:
    """Put an item on sale, or change one of the shop's."""
    seller = site.world.seller(body.account)
    if body.item is None:
        found = site.world.add_item(seller)
    elif body.item in seller.items:
        found = seller.items[body.item]
    else:
        raise UnknownThing(f"seller {seller.unb} has no item {body.item}")
    for name, value in body.model_dump(exclude_none=True, exclude={"account", "item"}).items():
        setattr(found, name, tuple(value) if isinstance(value, list) else value)
    return _item_view(found)


def order_mark(site: Site, body: MarkBody) -> dict[str, Any]:
    """Push an order mark."""
    chat = _chat(site, body.account, body.buyer)
    site.push_payload(body.account, codec.order_mark(chat.cid, body.red_reminder, site.clock.now_ms()))
    return {"cid": chat.cid}


def push(site: Site, body: PushBody) -> dict[str, Any]:
    """Push something other than a message."""
    chat = _chat(site, body.account, body.buyer)
    now, ids = site.clock.now_ms(), body.message_ids or [line.id for line in chat.lines][-1:]
    if body.shape in ("typing", "typing_ends"):
        real = real_shapes.typing(chat.cid, chat.buyer.id, begins=body.shape == "typing")
        site.whisper(body.account, real if site.is_real else codec.typing(chat.cid, chat.buyer.id))
    elif body.shape == "payload":
        site.push(body.account, payload_data(body))
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
            "order_context": lambda: codec.encode(_context(site, chat, body.name or "")),
            "new_message": lambda: codec.encode(codec.new_message_mark(chat.cid, "".join(ids[-1:]), now)),
            "session_arouse": lambda: codec.encode_json(codec.session_arouse(*about)),
            "json_text": lambda: codec.encode_json(codec.json_text(*about)),
            "raw": lambda: body.data,
        }
        kinds = {"read_receipt": codec.RECEIPT, "session_arouse": codec.AROUSE}
        if body.shape == "read_receipt" and site.is_real:
            shapes["read_receipt"] = lambda: codec.encode(real_shapes.read_receipt(chat.cid, "".join(ids[-1:]), now))
        site.push(body.account, shapes[body.shape](), kinds.get(body.shape, codec.MESSAGE))
    return {"cid": chat.cid}


def _context(site: Site, chat: Chat, order_id: str) -> codec.Payload:
    item = (chat.item_id, site.world.item(chat.item_id).title, site.item_picture(chat.item_id))
    people = {"seller_id": chat.seller_id, "buyer_id": chat.buyer.id}
    return real_shapes.order_context(cid=chat.cid, order_id=order_id, item=item, at_ms=site.clock.now_ms(), **people)


def payload_data(body: PushBody) -> str:
    """Return the data of an entry for the payload of a body, or of its file."""
    found: Any = body.payload
    if body.file:
        try:
            found = json.loads(Path(body.file).read_text(encoding="utf-8"))
        except (OSError, ValueError) as failure:
            raise UnknownThing(f"no payload in {body.file}: {failure}") from None
    if isinstance(found, list):
        found = next((one for one in found if one.get("name") == body.name), None)
    if isinstance(found, dict) and "payload" in found:
        found = found["payload"]
    if not isinstance(found, dict):
        raise UnknownThing(f"no payload {body.name} in {body.file}")
    text = json.dumps(found, ensure_ascii=False)
    for old, new in body.replace.items():
        text = text.replace(old, new)
    payload = _written(json.loads(text))
    packed = any(name.isdecimal() for name in payload)
    return codec.encode(_numbered(payload)) if packed else codec.encode_json(payload)


def _written(value: Any) -> Any:
    """Return a payload with the text of JSON for ``{"$json": …}``, and with its base64 for ``{"$base64": …}``."""
    if isinstance(value, list):
        return [_written(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    plain = {key: _written(inner) for key, inner in value.items()}
    if "$json" in plain:
        return codec.compact(plain["$json"])
    return base64.b64encode(codec.compact(plain["$base64"]).encode()).decode() if "$base64" in plain else plain


def _numbered(value: Any) -> Any:
    """Return a payload with numbers for the keys that are digits."""
    if isinstance(value, dict):
        return {int(key) if key.isdecimal() else key: _numbered(inner) for key, inner in value.items()}
    return [_numbered(inner) for inner in value] if isinstance(value, list) else value


def fault(site: Site, body: FaultBody) -> dict[str, Any]:
    """Lay a fault out and apply it to what is connected."""
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


def release(site: Site, body: ReleaseBody) -> dict[str, Any]:
    """Release held answers."""
    return {"released": [fault.id for fault in site.faults.release(body.id, body.account, body.which)]}


def clear(site: Site, body: ClearBody) -> dict[str, Any]:
    """Remove faults."""
    return {"cleared": [fault.id for fault in site.faults.clear(body.account, body.kind)]}


def clock(site: Site, body: ClockBody) -> dict[str, Any]:
    """Set the time of the site."""
    if body.set is not None:
        site.clock.set(body.set)
    elif body.advance is not None:
        site.clock.advance(body.advance)
    else:
        site.clock.real()
    return {"now_ms": site.clock.now_ms(), "frozen": site.clock.frozen}


def add_seller(site: Site, body: SellerBody) -> dict[str, Any]:
    """Open a shop, or log its seller in again."""
    world, seller = site.world, site.world.sellers.get(body.unb or "")
    known = seller is not None
    if seller is None:
        seller = world.add_seller(body.nick, body.items, body.unb)
    if known or body.kept or body.headers:
        login = world.login(seller, keep_until_ms=site.clock.now_ms() + LONG_LOGIN_MS if body.kept else 0)
        if body.headers:
            login.browser = browser_of({name.lower(): value for name, value in body.headers.items()})
    return seller_view(site, seller)


def expire(site: Site, body: ExpireBody) -> dict[str, Any]:
    """End logins, IM tokens or signing tokens of a seller."""
    world = site.world
    world.seller(body.account)
    ended = 0
    for session in world.sessions.values():
        if session.unb == body.account and body.what == "login":
            session.alive = False
            ended += 1
        elif session.unb == body.account and body.what == "session":
            session.ends_ms = world.clock.now_ms()
            ended += 1
        elif session.unb == body.account and body.what == "tk":
            session.tk_expires_ms = 0
            ended += 1
    for token in world.tokens.values():
        if token.unb == body.account and body.what == "im_token":
            token.expires_ms = 0
            ended += 1
    return {"expired": ended}


def qr(site: Site, body: QrBody) -> dict[str, Any]:
    """Do with a QR login what the app of the seller does."""
    login = site.qr_logins.get(body.ck) if body.ck else site.qr_logins.newest()
    if login is None:
        raise UnknownThing(f"no QR login {body.ck}")
    if body.account:
        login.unb = site.world.seller(body.account).unb
    if body.status in ("FACE_PASSED", "FACE_FAILED"):
        login.face = "passed" if body.status == "FACE_PASSED" else "failed"
        return {"status": body.status}
    if body.status == "FACE":
        login.htoken, login.iv_jar, login.face = site.world.hex(32), site.world.hex(16), "waiting"
        login.page = body.page
    login.status = body.status
    return {"status": body.status}


def policy(site: Site, body: PolicyBody) -> dict[str, Any]:
    """Change the policy."""
    levers = body.model_dump(exclude_none=True, exclude={"strict", "without", "also"})
    if body.strict is not None:
        lenient = {name: getattr(Policy(), name) for name in STRICT_LEVERS}
        levers = (STRICT_LEVERS if body.strict else lenient) | levers
    rules = levers.get("rules", site.world.policy.rules)
    levers["rules"] = (frozenset(rules) | set(body.also)) - set(body.without)
    site.world.change_policy(**levers)
    if "proof" not in levers["rules"]:
        site.checks.clear()
    return site.world.policy.view()


def check(site: Site, body: CheckBody) -> dict[str, Any]:
    """Let the owner pass the check of risk control in a browser; return the newest cookie, with its proof."""
    x5sec = pass_check(site, body.account, body.user_agent)
    seller = site.world.seller(body.account)
    return {"x5sec": x5sec, "cookie": site.world.cookie_header(seller), "open": body.account in site.checks}


def supplier(site: Site, body: SupplierBody) -> dict[str, Any]:
    """Lay out how the supplier meets the next calls."""
    site.supplier.lay(body.fault, times=body.times, seconds=body.seconds, sells=body.sells, query=body.query)
    return site.supplier.view()


def model(site: Site, body: ModelBody) -> dict[str, Any]:
    """Lay out how the provider of language models meets the next calls."""
    provider = site.model_provider
    if body.outputs is not None:
        provider.script(body.outputs, cycles=body.cycles)
    provider.lay(body.fault, times=body.times, seconds=body.seconds)
    return provider.view()


def _item_view(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "title": item.title,
        "price_fen": item.price_fen,
        "quantity": item.quantity,
        "specs": list(item.specs),
    }


def seller_view(site: Site, seller: Seller) -> dict[str, Any]:
    """Return a seller as JSON, with the cookie of the newest login."""
    return {
        "unb": seller.unb,
        "nick": seller.nick,
        "cookie": site.world.cookie_header(seller),
        "items": [_item_view(item) for item in seller.items.values()],
    }

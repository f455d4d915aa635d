"""The requests of a registered socket: sync position, sending, chats, history (docs/protocol.md §3 and §4)."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any, Final

from shoal.sandbox import codec, real_shapes, trade
from shoal.sandbox.faults import Fault
from shoal.sandbox.site import Connection, Site
from shoal.sandbox.strict.socket import refuse_message
from shoal.sandbox.things import Chat, Message

Frame = dict[str, Any]
Answer = tuple[int, Any]
"""code and body of a reply"""

END_OF_TIME: Final = 9_007_199_254_740_991
"""the cursor of the newest page"""


class Refused(Exception):
    """Answers a request with ``code`` and ``body.reason``."""

    def __init__(self, reason: str, code: int = 401) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


def _ack_diff(site: Site, socket: Connection, body: Any) -> Answer:
    pts = int(body[0]["pts"])
    flying = {id(entry) for entries in socket.in_flight.values() for entry in entries}
    feed = site.feed(socket.unb)
    missed = [
        entry
        for entry in feed.entries
        if entry.pts > pts and id(entry) not in flying and entry not in feed.gathered and (pts == 0 or not entry.acked)
    ]
    if missed and site.world.policy.replays_missed and not site.is_zombie(socket):
        socket.push(missed)
    return 200, {"syncExtensionModel": {"fingerprint": 0}, "syncExtraType": {"type": 0}}


def _get_state(site: Site, socket: Connection, body: Any) -> Answer:
    pts = site.feed(socket.unb).acked_pts
    return 200, {
        "pipeline": "sync",
        "tooLong2Tag": "PNM,1",
        "channel": "sync",
        "topic": str(body[0]["topic"]),
        "highPts": 0,
        "pts": pts,
        "seq": 0,
        "timestamp": site.clock.now_ms(),
    }


def _send(site: Site, socket: Connection, body: Any) -> Answer | None:
    order, receivers = body[0], body[1]["actualReceivers"]
    chat = _my_chat(site, socket.unb, order["cid"])
    if codec.address(chat.buyer.id) not in receivers:
        raise Refused("receivers do not belong to the conversation", 200)
    content = base64.b64decode(order["content"]["custom"]["data"], validate=True).decode()
    text, content_type = _summary(content)
    if broken := refuse_message(site, socket.unb, order, receivers, text, content):
        return 200, broken
    refusal = site.faults.take("send_refused", socket.unb)
    if refusal:
        return 200, _send_refusal(refusal)
    uuid = str(order.get("uuid", ""))
    message = site.world.sent_before(chat, uuid) if site.world.policy.dedupe_uuid else None
    lost = site.faults.take("send_timeout", socket.unb)
    if lost and not lost.options.get("delivered", True):
        return None
    if message is None:
        # the echo must follow the reply; the outbox keeps the order
        message = site.answer(chat, text, content, content_type, uuid=uuid, echo=False)
        asyncio.get_running_loop().call_soon(site.echo, chat, message)
        if bought := site.world.newest_order(chat.seller_id, chat.buyer.id):
            trade.buyer_acts(site, bought, "send")
    if lost:
        return None
    sent = {"messageId": message.id, "uuid": uuid, "createAt": message.at, "receiverCount": 1, "unreadCount": 1}
    if site.is_real:
        sent |= {"receiverCount": 2, "msgReadStatusSetting": 1, "msgReadStatusDowngrade": 0}
        sent |= {name: order[name] for name in ("extension", "content") if name in order}
    return 200, sent


def _my_chat(site: Site, unb: str, cid: object) -> Chat:
    chat = site.world.chats.get(codec.bare(str(cid)))
    if chat is None or chat.seller_id != unb:
        raise Refused("conversation not exist", 200)
    return chat


def _create(site: Site, socket: Connection, body: Any) -> Answer:
    first, second = codec.bare(body[0]["pairFirst"]), codec.bare(body[0]["pairSecond"])
    if socket.unb not in (first, second):
        raise Refused("not auth", 403)
    world = site.world
    buyer = world.buyer(first if second == socket.unb else second)
    item_id = str((body[0].get("extension") or {}).get("itemId") or "") or None
    chat = world.chat(world.seller(socket.unb), buyer, item_id)
    return 200, {"singleChatConversation": _conversation(chat)}


def _conversation(chat: Chat) -> Frame:
    return {
        "cid": codec.address(chat.cid),
        "pairFirst": codec.address(chat.buyer.id),
        "pairSecond": codec.address(chat.seller_id),
        "bizType": "1",
        "extension": {"itemId": chat.item_id},
    }


def _history(site: Site, socket: Connection, body: Any) -> Answer:
    chat = _my_chat(site, socket.unb, body[0])
    before, limit = int(body[2]), min(int(body[3]), 100)
    older = [line for line in reversed(chat.lines) if line.at < before and not line.recalled]
    page = older[:limit]
    # the cursor is a time: lines of the same millisecond must be on one page
    page += [line for line in older[limit:] if line.at == page[-1].at]
    return 200, {
        "hasMore": int(len(older) > len(page)),
        "nextCursor": page[-1].at if page else before,
        "userMessageModels": [_line(site, chat, line) for line in page],
    }


def _line(site: Site, chat: Chat, line: Message) -> Frame:
    model = _model(site, chat, line)
    return real_shapes.history_line(model, line.content_type) if site.is_real else {"message": model}


def _model(site: Site, chat: Chat, line: Message) -> Frame:
    data = base64.b64encode(line.content.encode()).decode()
    return {
        "messageId": line.id,
        "cid": codec.address(chat.cid),
        "createAt": line.at,
        "sender": {"uid": codec.address(line.sender_id)},
        "content": {"contentType": 101, "custom": {"type": 1, "summary": line.text, "data": data}},
        "extension": codec.reminder(site.chat_line(chat, line)),
    }


def _conversations(site: Site, socket: Connection, body: Any) -> Answer:
    before, limit = int(body[0]), min(int(body[1]), 100)
    mine = site.world.chats_of(socket.unb)
    found = [chat for chat in mine if before >= END_OF_TIME or (chat.lines and chat.lines[-1].at < before)]
    page = found[:limit]
    return 200, {
        "hasMore": int(len(found) > len(page)),
        "nextCursor": page[-1].lines[-1].at if page and page[-1].lines else before,
        "userConvs": [{"singleChatUserConversation": _user_conversation(site, chat)} for chat in page],
    }


def _user_conversation(site: Site, chat: Chat) -> Frame:
    last = chat.lines[-1] if chat.lines else None
    return {
        "singleChatConversation": _conversation(chat),
        "redPoint": chat.unread,
        "modifyTime": last.at if last else 0,
        "lastMessage": {"message": _model(site, chat, last)} if last else None,
    }


def _read(site: Site, socket: Connection, body: Any) -> Answer:
    ids = {str(message_id) for message_id in body[0]}
    for chat in site.world.chats_of(socket.unb):
        for line in chat.lines:
            line.read = line.read or line.id in ids
    return 200, {}


def _recall(site: Site, socket: Connection, body: Any) -> Answer:
    for chat in site.world.chats_of(socket.unb):
        for line in chat.lines:
            if line.id == body[0] and line.sender_id == socket.unb:
                line.recalled = True
                return 200, {}
    raise Refused("message not exist", 200)


def _summary(content: str) -> tuple[str, int]:
    """Return the text that a list of chats shows for a content, and its type."""
    parsed = json.loads(content)
    content_type = int(parsed["contentType"])
    if content_type == codec.TEXT:
        return str(parsed["text"]["text"]), content_type
    if content_type == codec.IMAGE:
        return f"[图片] {parsed['image']['pics'][0]['url']}", content_type
    return "[卡片消息]", content_type


def _send_refusal(fault: Fault) -> Frame:
    reason = fault.options.get("reason") or "CSI_FORBID"
    return {
        "reason": reason,
        "code": "400",
        "developerMessage": reason,
        "scope": "im",
        "moreInfo": fault.options.get("more_info") or "CSI_FORBID||安全拦截",
    }


HANDLERS: Final[dict[str, Callable[[Site, Connection, Any], Answer | None]]] = {
    "/r/SyncStatus/ackDiff": _ack_diff,
    "/r/SyncStatus/getState": _get_state,
    "/r/MessageSend/sendByReceiverScope": _send,
    "/r/SingleChatConversation/create": _create,
    "/r/MessageManager/listUserMessages": _history,
    "/r/Conversation/listNewestPagination": _conversations,
    "/r/MessageStatus/read": _read,
    "/r/MessageManager/recallMessage": _recall,
}
"""by lwp path"""

"""The captured shapes of what the site pushes and answers (docs/sandbox.md): the policy's lever ``real_shapes``.

``codec`` and ``cards`` hold the plainer shapes that the sandbox had before; a shape that is the same in both stands
there only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from shoal.sandbox import cards, codec
from shoal.sandbox.cards import CARDS, NO_PARCEL_PAGE, PARCEL_PAGE
from shoal.sandbox.codec import TRADE_CARD, Payload, address, compact

_NOTIFY: Final = {
    "huawei": "EXPRESS",
    "xiaomi": "108000",
    "oppo_notify_level": "16",
    "honor": "NORMAL",
    "agoo": "product",
    "oppo_category": "ORDER",
    "vivo": "ORDER",
}
AROUSES: Final = 14
"""how many entries the first push of a socket has"""


@dataclass(frozen=True, slots=True)
class RealCard:
    """What a captured card says beside the words of ``cards.CARDS``."""

    task: str
    key: str
    """``updateKey`` after the chat and the order"""
    role: str = "Seller"
    button_url: str = ""
    waits: bool = False
    """it has ``csReception`` and ``correlationGroupId``"""


REAL_CARDS: Final[dict[str, RealCard]] = {
    "not_paid": RealCard(
        "已拍下_未付款_卖家",
        "1_not_pay_seller",
        "seller",
        "fleamarket://adjust_price?flutter=true&bizOrderId={order}",
        waits=True,
    ),
    "paid": RealCard("付款完成待发货_卖家-正向升级", "64:TRADE_PAID_DONE_SELLER:26", button_url=NO_PARCEL_PAGE),
    "paid_parcel": RealCard(
        "付款完成待发货_卖家-正向升级", "63:TRADE_PAID_DONE_SELLER:26", button_url=PARCEL_PAGE, waits=True
    ),
    "paid_unsaid": RealCard("付款完成待发货_卖家", "10:TRADE_PAID:26"),
    "group": RealCard("已小刀_待刀成_卖家", "1:G:26", "seller"),
    "group_ready": RealCard("小刀成功_待发货_卖家", "1:G:26", "seller", NO_PARCEL_PAGE),
    "shipped": RealCard("已发货_卖家", "3:SHIPPED:26"),
    "completed": RealCard("交易成功_卖家", "4:DONE:26"),
    "closed": RealCard("交易关闭_卖家", "5:CLOSED:26"),
    "refund_asked": RealCard("退款申请_卖家", "10:TRADE_REFUND:26"),
    "refund_withdrawn": RealCard("退款申请已撤销_卖家", "10:TRADE_REFUND:26"),
    "refund_refused": RealCard("退款申请已拒绝_卖家", "10:TRADE_REFUND:26"),
    "refund_agreed": RealCard("退款申请已同意_卖家", "10:TRADE_REFUND:26"),
    "refunded": RealCard("退款成功_卖家", "10:TRADE_REFUND:26"),
}


def card_content(kind: str, order_id: str, hex_id: str) -> str:
    """Return the content of a trade card as JSON text."""
    card, real = CARDS[kind], REAL_CARDS[kind]
    args = {"task_id": "t1", "source": "im", "msg_id": hex_id}
    colours = {"bgColor": "#FFFFFF", "borderColor": "#FFE60F", "fontColor": "#111111"}
    click = {"arg1": "MsgCardAction", "args": args | {"button_text": card.button}}
    button = colours | {"clickParam": click, "targetUrl": real.button_url.format(order=order_id), "text": card.button}
    upgrade = {"targetUrl": "fleamarket://upgrade", "version": "7.0.0"}
    main = {
        "clickParam": {"arg1": "MsgCard", "args": args},
        "exContent": {
            "bgColor": "#FFFFFF",
            "button": button,
            "desc": "请双方沟通及时确认价格",
            "descColor": "#999999",
            "title": card.title,
            "upgrade": upgrade,
        },
        "targetUrl": f"fleamarket://order_detail?id={order_id}&role={real.role}",
    }
    template = {
        "name": "idlefish_message_trade_chat_card",
        "url": "https://sandbox.invalid/idlefish_message_trade_chat_card.zip",
        "version": "1",
    }
    return compact({"contentType": TRADE_CARD, "dxCard": {"item": {"main": main, "template": template}}})


def bare_content() -> str:
    """Return the content of a trade card that names its order in ``updateKey`` only."""
    return compact({"contentType": TRADE_CARD})


def card_extra(kind: str, order_id: str, *, cid: str, hex_id: str, receiver_id: str) -> dict[str, str]:
    """Return the changes of map 10 for a trade card."""
    real = REAL_CARDS[kind]
    ext: dict[str, Any] = {
        "msgArgs": {"task_id": "t1", "source": "im", "msg_id": hex_id},
        "quickReply": "1",
        "msgArg1": "MsgCard",
        "updateKey": f"{cid}:{order_id}:{real.key}",
        "messageId": hex_id,
        "contentType": "26",
        "multiChannel": _NOTIFY,
    }
    waits = {"csReception": "1"} if real.waits else {}
    ext |= {"correlationGroupId": hex_id} if real.waits else {}
    plain = cards.card_extra(kind, order_id, cid=cid, hex_id=hex_id, receiver_id=receiver_id)
    biz = {"sourceId": "C2C:t1", "taskName": real.task, "materialId": "t1", "taskId": "t1"}
    return plain | waits | {"bizTag": compact(biz), "extJson": compact(ext)}


def phone_extra() -> dict[str, str]:
    """Return what map 10 of a message from a phone has besides."""
    device = {"port": "1", "umid": "x", "umidToken": "x", "utdid": "x"}
    return {"_appVersion": "7.28.20", "_platform": "android", "clientIp": "192.0.2.1"} | device


def web_extra() -> dict[str, str]:
    """Return what map 10 of a message from the web page has besides."""
    return {"_appVersion": "1.0", "_platform": "web"}


def card_update(line: codec.ChatLine) -> Payload:
    """Build the update of a card that is already in the chat."""
    return codec.card_update(line) | {3: 1}


def typing(cid: str, user_id: str, *, begins: bool = True) -> Payload:
    """Build the notice that a user begins or ends to type."""
    return {1: [{1: address(cid), 2: 1, 3: int(begins), 4: address(user_id)}]}


def read_receipt(cid: str, message_id: str, at_ms: int) -> Payload:
    """Build the notice that the peer has read one message."""
    return {1: message_id, 2: 2, 3: 0, 4: address(cid), 5: 1, 6: at_ms}


def order_context(
    *, cid: str, order_id: str, item: tuple[str, str, str], seller_id: str, buyer_id: str, at_ms: int
) -> Payload:
    """Build the notice that says which order, item and buyer a chat is about.

    ``item``: its id and title, and the address of its picture.
    """
    item_id, title, picture = item
    about = {
        "extUserId": buyer_id,
        "extUserType": "0",
        "itemFeatures": compact({"idle_cat_leaf": "50025461"}),
        "itemId": item_id,
        "itemMainPic": picture,
        "itemSellerId": seller_id,
        "itemTitle": title,
        "orderId": order_id,
        "ownerUserId": seller_id,
        "ownerUserType": "0",
        f"squadId_{seller_id}": item_id,
        f"squadId_{buyer_id}": "50025461",
        f"squadName_{seller_id}": title,
        f"squadName_{buyer_id}": "虚拟商品",
    }
    return {1: address(cid), 2: 1, 3: about, 4: at_ms}


def session_arouse(cid: str, *, seller_id: str, buyer_id: str, item: tuple[str, str], text: str, at_ms: int) -> Payload:
    """Build the JSON push that suggests a phrase for a chat."""
    item_id, title = item
    arouse = {"arouseTimeStamp": at_ms, "arouseChatScriptInfo": [{"chatScrip": text}]}
    inner = {"memberFlags": 0, "needKeyBoard": True, "sessionArouseInfo": arouse}
    session = {
        "createTime": at_ms,
        "extensions": {
            "extUserId": buyer_id,
            "itemId": item_id,
            "itemTitle": title,
            "itemSellerId": seller_id,
            "ownerUserId": seller_id,
        },
        "groupOwnerId": seller_id,
        "sessionId": cid,
        "sessionType": 1,
        "type": 1,
    }
    operation = {
        "content": {"contentType": 8, "sessionArouse": inner},
        "receiverIds": [seller_id],
        "sessionInfo": session,
    }
    return {"chatType": 1, "incrementType": 1, "operation": operation, "sessionId": cid}


def history_line(message: dict[str, Any], content_type: int) -> dict[str, Any]:
    """Return a line of the history around a message in the plain form."""
    custom = message["content"]["custom"] | {"title": "", "type": content_type, "degrade": ""}
    shown = message | {
        "content": {"custom": custom, "contentType": 101},
        "sender": message["sender"] | {"tag": 0},
        "receivers": [],
        "receiverCount": 2,
    }
    around = {"readStatus": 2, "userExtension": {"needPush": "false"}, "recallFeature": {}, "msgStatus": 1}
    return around | {"message": shown}


def without_place(body: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a push about the moment, which has no place in the feed."""
    package = body["syncPushPackage"]
    data = [entry | {"syncId": ""} for entry in package["data"]]
    nothing = {"startSeq": 0, "endSeq": 0, "maxPts": 0, "timestamp": 0}
    return body | {"syncPushPackage": package | nothing | {"data": data}, "syncExtensionModel": {}}

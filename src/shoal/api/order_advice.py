"""What keeps an order from being served, and what its owner can do about it, in Chinese and English."""

from __future__ import annotations

from shoal.api.advice import Advice
from shoal.orders.order_status import OrderProblem

_SERVE_ZH = "处理后点击“重新处理”；若您已亲自完成，点击“已处理”。"
_SERVE_EN = "Then press “serve again”; or “it is done”, if you have done it yourself."

ORDER_ADVICE: dict[OrderProblem, Advice] = {
    OrderProblem.REFUND_ASKED: Advice(
        "买家申请退款：在此期间不会发送内容，也不会确认发货。",
        "The buyer asks for the money back: nothing is sent or confirmed meanwhile.",
        "打开 {url} 处理退款。买家撤销申请后，订单会自动继续。",
        "Open {url} and decide about the refund. If the buyer withdraws, the order goes on by itself.",
    ),
    OrderProblem.FREE_SHIPPING_REFUSED: Advice(
        "闲鱼拒绝了免拼发货（{reason}），没有发送任何内容。",
        "The site refused to complete the group price ({reason}); nothing was sent.",
        "打开 {url} 查看。" + _SERVE_ZH,
        "Look at {url}. " + _SERVE_EN,
    ),
    OrderProblem.FREE_SHIPPING_UNCERTAIN: Advice(
        "已提交免拼发货，但没有得到闲鱼答复，不知道是否成功；不会自动重复。",
        "The site was told to complete the group price and did not answer: nobody knows whether it did. It is not told "
        "again by itself.",
        "打开 {url} 查看：已刀成就点击“已处理”，否则点击“重新处理”。",
        "Look at {url}. If the price is complete, press “it is done”; if not, “serve again”.",
    ),
    OrderProblem.PAID_WITHOUT_CARD: Advice(
        "闲鱼显示买家已付款，但没有收到付款卡片；没有卡片就不会自动发送和确认。",
        "The site says that the buyer has paid, but its card never came: without it nothing is sent or confirmed.",
        "打开 {url} 确认已付款。" + _SERVE_ZH,
        "Open {url} and see that it was paid. " + _SERVE_EN,
    ),
    OrderProblem.UNPAID_ON_SITE: Advice(
        "收到了付款卡片，但闲鱼订单页显示未付款或没有这个订单，卡片可能是伪造的，因此没有发送任何内容。",
        "A card says that it was paid, but its page on the site says that it was not, or that there is no such order. "
        "The card may be a forgery: nothing was sent.",
        "打开 {url} 查看：确已付款，点击“重新处理”；否则不要发货。",
        "Look at {url}. If it was paid all the same, press “serve again”; if not, hand nothing out.",
    ),
    OrderProblem.NO_PAID_MESSAGE: Advice(
        "没有可发送的内容：该商品和账号都没有设置付款后消息，因此没有确认发货。",
        "There is nothing to send: neither the item nor the account has a message for paid orders, and so the shipment "
        "was not confirmed.",
        "为商品（{item}）或账号设置付款后消息，或注明该商品无需发送。" + _SERVE_ZH,
        "Set a message for paid orders, for the item ({item}) or the account, or say that the item needs none. "
        + _SERVE_EN,
    ),
    OrderProblem.UNKNOWN_ITEM: Advice(
        "付款后消息按商品设置，但无法得知该订单是哪件商品，因此没有发送。",
        "What is sent depends on the item, and nobody said which item this order is about: nothing was sent.",
        "打开 {url} 查看商品，亲自发送并发货，然后点击“已处理”。",
        "Look at {url}, send the goods and ship the order yourself, then press “it is done”.",
    ),
    OrderProblem.INCOMPLETE_CARD: Advice(
        "无法得知该订单的买家或商品，因此没有处理。",
        "Nobody said who bought, or what: nothing was done.",
        "打开 {url} 查看，亲自处理后点击“已处理”。",
        "Look at {url}, serve the order yourself, then press “it is done”.",
    ),
    OrderProblem.NOT_SERVED_IN_TIME: Advice(
        "付款已超过 24 小时，账号当时没有连接，因此没有自动处理。",
        "It was paid more than 24 hours before the account could serve it, and so was left to you.",
        "打开 {url} 查看。" + _SERVE_ZH,
        "Look at {url}. " + _SERVE_EN,
    ),
    OrderProblem.MESSAGE_REFUSED: Advice(
        "闲鱼拒绝了付款后消息（{reason}），因此没有确认发货。",
        "The site refused the message for the paid order ({reason}), and so the shipment was not confirmed.",
        "修改付款后消息（例如去掉联系方式或网址）。" + _SERVE_ZH,
        "Change the message (contact details or addresses, for instance). " + _SERVE_EN,
    ),
    OrderProblem.MESSAGE_UNCERTAIN: Advice(
        "付款后消息已发出，但没有得到闲鱼确认，不知道买家是否收到；不会自动重发。",
        "The message left and the site did not confirm it: nobody knows whether the buyer has it. It is not sent again "
        "by itself.",
        "在闲鱼中查看该会话：买家已收到就点击“已处理”，否则点击“重新处理”。",
        "Look at the chat on the site. If the buyer has it, press “it is done”; if not, “serve again”.",
    ),
    OrderProblem.CONFIRM_REFUSED: Advice(
        "消息已发给买家，但闲鱼拒绝确认发货（{reason}）。",
        "The buyer has the message, but the site refused to confirm the shipment ({reason}).",
        "打开 {url} 亲自发货，然后点击“已处理”。",
        "Open {url} and ship the order yourself, then press “it is done”.",
    ),
    OrderProblem.CONFIRM_UNCERTAIN: Advice(
        "消息已发给买家；已提交确认发货，但没有得到闲鱼答复，不知道是否成功；不会自动重复。",
        "The buyer has the message. The site was told of the shipment and did not answer: nobody knows whether it took "
        "it. It is not told again by itself.",
        "打开 {url} 查看：已发货就点击“已处理”，否则点击“重新处理”。",
        "Look at {url}. If the order is shipped, press “it is done”; if not, “serve again”.",
    ),
}
"""Every problem."""

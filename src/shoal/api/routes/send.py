"""Sends messages by hand and waits for the site's answer; also in the form of old scripts."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fastapi import Request
from pydantic import BaseModel

from shoal.accounts.account import Account
from shoal.api.http.caller import (
    AcceptLanguage,
    MaybePrincipal,
    ReplyAccount,
    TheCaller,
    TheServer,
    actor_of,
    count_call,
    principal_of,
    wrong_token,
)
from shoal.api.http.changes import require_current
from shoal.api.http.openapi_errors import CHANGING, problems
from shoal.api.http.problems import problem_of
from shoal.api.http.route_rules import ANYBODY
from shoal.api.http.routing import Routes
from shoal.api.routes.manual_sending import send_for
from shoal.api.schemas.chat_requests import OldSendBody, SendBody
from shoal.api.schemas.responses import example
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.clock import now_ms
from shoal.errors import ShoalError
from shoal.language.choice import Language, language_of
from shoal.messages.manual_sending import NotConnected
from shoal.messages.outbox_rows import SendOutcome
from shoal.messages.sender import OutgoingMessage, Sent
from shoal.pictures.pictures import require_showable

routes = Routes(tags=["messages"])

_LINE_BREAKS = re.compile(r"[\r\n]+")
_FIELDS = ("cookie_id", "chat_id", "to_user_id", "message")
NO_KEY = "API秘钥不能为空"
WRONG_KEY = "API秘钥验证失败"
NOT_THERE = "账号实例不存在或未连接，请检查账号状态"
MAY_NOT = "您没有该账号的回复权限"
GONE = "账号WebSocket连接已断开，请等待重连"
SENT = "消息发送成功"
FAILED = "发送消息失败: {why}"


class Sending(BaseModel):
    """The site's answer.

    ``sent``: the site accepted the message, under ``message_id``. ``refused``: it did not, for that ``reason``.
    ``uncertain``: it did not answer, not even when the message was sent again under the same number; the message's echo
    may still settle it (`GET /sendings`). ``dropped``: the account was disabled before the message was sent.
    """

    model_config = example(id=9, outcome="sent", reason="", message_id="31.PNM")
    id: int
    outcome: SendOutcome
    reason: str
    message_id: str


class OldSendAnswer(BaseModel):
    """``success`` only when the site accepted the message. ``message`` is a sentence in Chinese."""

    model_config = example(success=True, message=SENT)
    success: bool
    message: str


@routes.post("/cookies/{cid}/send", summary="Send a message", responses=CHANGING)
async def send_message(body: SendBody, account: ReplyAccount, server: TheServer, caller: TheCaller) -> Sending:
    """Send a text or a picture to a chat, and wait for the site's answer.

    With an `Idempotency-Key` the message is sent once, however often the request is repeated. With `take_over`
    automatic replies in the chat pause for the account's pause duration, as when the owner writes in the site's own
    client. A text in which the output filter finds something is refused with 409 (`filtered`), unless it says `anyway`.
    """
    if not caller.repeats or await server.message_log.outbox.by_op(account.id, caller.op_id) is None:
        await require_current(server, account, caller)
    if body.image_url:
        require_showable(body.image_url)
    buyer_id = body.to_user_id or await _buyer_of(server, account, body.chat_id)
    outgoing = OutgoingMessage(
        chat_id=body.chat_id,
        buyer_id=buyer_id,
        text=body.text,
        image_url=body.image_url,
        actor=caller.actor,
        op_id=caller.op_id,
    )

    sent = await send_for(
        server, account, outgoing, repeats=caller.repeats, anyway=body.anyway, take_over=body.take_over
    )
    return Sending(id=sent.id, outcome=sent.outcome, reason=sent.reason, message_id=sent.message_id)


async def _buyer_of(server: Server, account: Account, chat_id: str) -> str:
    chat = await server.chats.find(account.id, chat_id, now_ms=now_ms())
    return chat.buyer_id if chat is not None else ""


@routes.post(
    "/send-message",
    summary="Send a message (old path)",
    dependencies=[ANYBODY],
    responses=problems(400, 413, 422, 429, 503),
)
async def send_message_compat(
    body: OldSendBody,
    request: Request,
    server: TheServer,
    who: MaybePrincipal,
    accept_language: AcceptLanguage = None,
) -> OldSendAnswer:
    """Send a text in the form of old scripts; answered with 200. `success` is true only when the site accepted it.

    The caller is identified by a session, or by `api_key`, a token from `POST /login` or `POST /tokens`. Line breaks
    are removed. After many wrong keys from one address the next wrong key is answered with 429; a correct key never
    waits.
    """
    values = {name: _LINE_BREAKS.sub("", getattr(body, name)) for name in ("api_key", *_FIELDS)}
    if who is None and not values["api_key"]:
        return OldSendAnswer(success=False, message=NO_KEY)
    if who is None and (who := await principal_of(server, values["api_key"])) is not None:
        count_call(server, who)
    if who is None:
        refusal = await wrong_token(server, request, outcome="wrong_key")
        if refusal is not None:
            raise refusal
        return OldSendAnswer(success=False, message=WRONG_KEY)
    missing = next((name for name in _FIELDS if not values[name]), None)
    if missing is not None:
        return OldSendAnswer(success=False, message=f"参数 {missing} 不能为空")
    return await _send_old(server, who, values, language_of(accept_language))


async def _send_old(server: Server, who: Principal, values: Mapping[str, str], language: Language) -> OldSendAnswer:
    account = server.manager.accounts.get(values["cookie_id"])
    given = server.authorization.permission_on(who, account) if account is not None else None
    if account is None or given is None:
        return OldSendAnswer(success=False, message=NOT_THERE)
    if given < Permission.REPLY:
        return OldSendAnswer(success=False, message=MAY_NOT)
    outgoing = OutgoingMessage(
        chat_id=values["chat_id"], buyer_id=values["to_user_id"], text=values["message"], actor=actor_of(who.user)
    )
    try:
        return _old_answer(await send_for(server, account, outgoing, repeats=False))
    except NotConnected as failure:
        return OldSendAnswer(success=False, message=NOT_THERE if failure.code == "account_disabled" else GONE)
    except ShoalError as failure:
        why = problem_of(failure).sentence(language, failure.params)
        return OldSendAnswer(success=False, message=FAILED.format(why=why))


def _old_answer(sent: Sent) -> OldSendAnswer:
    if sent.outcome is SendOutcome.SENT:
        return OldSendAnswer(success=True, message=SENT)
    why = {
        SendOutcome.REFUSED: f"闲鱼拒绝了这条消息（{sent.reason}）",
        SendOutcome.DROPPED: "账号已停用",
    }.get(sent.outcome, "闲鱼没有回应，不确定是否已送达，请在会话中查看，不要直接重发")
    return OldSendAnswer(success=False, message=FAILED.format(why=why))

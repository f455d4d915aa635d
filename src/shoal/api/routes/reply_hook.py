"""Reply texts for a script that sends them itself, in the REST dialect that sellers come from."""

from __future__ import annotations

from typing import Literal

from fastapi import Request
from pydantic import BaseModel

from shoal.api.http.caller import TheServer, WhoRepliesNamed
from shoal.api.http.idempotency import ignores_keys
from shoal.api.http.openapi_errors import problems
from shoal.api.http.routing import Routes
from shoal.api.http.states_elsewhere import found_account
from shoal.api.schemas.chat_requests import ReplyHookBody
from shoal.api.schemas.responses import example
from shoal.auth.permission import Permission
from shoal.clock import now_ms
from shoal.errors import InvalidInput
from shoal.messages.decisions import Decision
from shoal.messages.given_replies import give, is_once
from shoal.messages.replies import AnswerSource, Asked, choose

routes = Routes(tags=["replies"])


class ReplyWords(BaseModel):
    """The reply: several messages are on separate lines. Empty: the rule has no reply."""

    send_msg: str
    image_urls: list[str]


class ReplyHookAnswer(BaseModel):
    """The reply in the other system's form."""

    model_config = example(code=200, data={"send_msg": "全国包邮", "image_urls": []})
    code: Literal[200] = 200
    data: ReplyWords


@routes.post(
    "/xianyu/reply", summary="Get the reply to a message", responses=problems(400, 401, 403, 404, 413, 422, 503)
)
@ignores_keys
async def get_reply_words(
    body: ReplyHookBody, server: TheServer, who: WhoRepliesNamed, request: Request
) -> ReplyHookAnswer:
    """Return the reply texts to a message. The server sends nothing: the script is expected to send them.

    The rule therefore counts as matched, and a once-only default reply as given. So does an away word, and a hand-off
    leaves the chat to the owner. A disabled account gives no reply.
    """
    request.state.unknown_account = "unknown_account/rules"
    account = await found_account(server, who, body.cookie_id, Permission.REPLY)
    asked = Asked(
        text=body.send_message,
        chat_id=body.chat_id,
        buyer_id=body.send_user_id,
        buyer_name=body.send_user_name,
        item_id=body.item_id or None,
    )
    choice = await choose(account, asked)
    if choice.decision is Decision.FILTERED:
        raise InvalidInput("the output filter holds it back", code="answer_filtered", words=" / ".join(choice.words))
    if (answer := choice.answer) is None or (answer.is_silent and choice.decision is Decision.CLOSED):
        raise InvalidInput("nothing answers this", code="no_reply")
    if is_once(account, choice) and not await server.database.write(
        lambda connection: give(connection, account, choice, now_ms())
    ):
        is_default = choice.source is AnswerSource.DEFAULT_REPLY
        raise InvalidInput("this chat has had the reply", code="said_once" if is_default else "no_reply")
    server.rule_hits.count(account.id, choice.rule_id, now_ms())
    texts = "\n".join(part.text for part in answer.parts if part.text)
    pictures = [part.image_url for part in answer.parts if part.image_url]
    return ReplyHookAnswer(data=ReplyWords(send_msg=texts, image_urls=pictures))

"""The reply texts to a message, for a script that sends them itself."""

from __future__ import annotations

from typing import Any

from shoal.accounts.account import Account
from shoal.api.schemas.chat_requests import ReplyHookBody
from shoal.api.server import Server
from shoal.clock import now_ms
from shoal.errors import InvalidInput
from shoal.messages.decisions import Decision
from shoal.messages.given_replies import give, is_once
from shoal.messages.replies import AnswerSource, Asked, choose


async def reply_words(server: Server, account: Account, body: ReplyHookBody) -> dict[str, Any]:
    """Return the texts and pictures of the reply, and note that it was given. Raise ``InvalidInput`` without one."""
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
    return {"send_msg": texts, "image_urls": pictures}

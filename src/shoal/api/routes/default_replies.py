"""Default replies, in the REST dialect of the system that sellers come from."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from pydantic import BaseModel, ConfigDict, RootModel

from shoal.accounts.account import Account
from shoal.api.http.caller import AccountToChange, AccountToRead, TheCaller, TheServer, WhoReads
from shoal.api.http.changes import changed, require_current
from shoal.api.http.openapi_errors import CHANGING_COMPAT, READING, READING_COMPAT
from shoal.api.http.routing import Routes
from shoal.api.schemas.account_requests import DefaultReplyBody
from shoal.api.schemas.responses import CHANGE_EXAMPLE, ChangeFacts, etag_of, example
from shoal.messages.decisions import forget_once_replies

routes = Routes(tags=["default replies"])

_EXAMPLE: dict[str, Any] = {"enabled": True, "reply_content": "在的，请说", "reply_once": False}


class DefaultReply(BaseModel):
    """The default reply; ``reply_once``: each chat gets it only once."""

    model_config = example(**_EXAMPLE)
    enabled: bool
    reply_content: str
    reply_once: bool


class DefaultReplies(RootModel[dict[str, DefaultReply]]):
    """The default reply of each account, by id."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"my-shop": _EXAMPLE}]})


class DefaultReplyChanged(ChangeFacts):
    """The default reply was changed."""

    model_config = example(msg="default reply updated", enabled=True, reply_once=False, **CHANGE_EXAMPLE)
    msg: str = "default reply updated"
    enabled: bool
    reply_once: bool


class DefaultReplyDeleted(ChangeFacts):
    """The default reply is off and empty."""

    model_config = example(msg="default reply deleted", **CHANGE_EXAMPLE)
    msg: str = "default reply deleted"


class RecordsCleared(BaseModel):
    """Every chat may get the once-only reply again."""

    model_config = example(msg="default reply records cleared")
    msg: str = "default reply records cleared"


@routes.get("/default-replies", summary="List the default replies", responses=READING)
async def list_default_replies(server: TheServer, who: WhoReads) -> DefaultReplies:
    """List the default replies of the caller's accounts."""
    return DefaultReplies({account.id: _shown(account) for account in server.authorization.accounts_of(who)})


@routes.get("/default-replies/{cid}", summary="Get the default reply", responses=READING_COMPAT)
async def get_default_reply(account: AccountToRead, response: Response) -> DefaultReply:
    """Return the reply that the account sends when no rule matches."""
    response.headers["ETag"] = etag_of(account)
    return _shown(account)


@routes.put("/default-replies/{cid}", summary="Change the default reply", responses=CHANGING_COMPAT)
async def update_default_reply(
    body: DefaultReplyBody, account: AccountToChange, server: TheServer, caller: TheCaller, response: Response
) -> DefaultReplyChanged:
    """Change the default reply. A `reply_content` that is left out stays; null empties it."""
    values = {"default_reply_enabled": body.enabled, "default_reply_once": body.reply_once}
    content = {"default_reply": body.reply_content or ""} if "reply_content" in body.model_fields_set else {}
    change = server.manager.update_settings(account.id, {**values, **content}, caller=caller)
    facts = await changed(server, response, account.id, change, _shown)
    return DefaultReplyChanged(enabled=body.enabled, reply_once=body.reply_once, **facts)


@routes.delete("/default-replies/{cid}", summary="Delete the default reply", responses=CHANGING_COMPAT)
async def delete_default_reply(
    account: AccountToChange, server: TheServer, caller: TheCaller, response: Response
) -> DefaultReplyDeleted:
    """Switch the default reply off and empty it."""
    values = {"default_reply_enabled": False, "default_reply": "", "default_reply_once": False}
    change = server.manager.update_settings(account.id, values, caller=caller)
    return DefaultReplyDeleted(**await changed(server, response, account.id, change, _shown))


@routes.post(
    "/default-replies/{cid}/clear-records", summary="Reset the once-only default reply", responses=CHANGING_COMPAT
)
async def clear_default_reply_records(account: AccountToChange, server: TheServer, caller: TheCaller) -> RecordsCleared:
    """Forget which chats got the once-only reply. Settings do not change."""
    await require_current(server, account, caller)
    await forget_once_replies(server.database, account.id)
    return RecordsCleared()


def _shown(account: Account) -> DefaultReply:
    return DefaultReply(
        enabled=account.default_reply_enabled,
        reply_content=account.default_reply,
        reply_once=account.default_reply_once,
    )

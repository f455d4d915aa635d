"""Settings of replies by a language model, as scripts for the older system ask for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from fastapi import Request, Response
from pydantic import BaseModel, Field, StrictFloat, StrictInt

from shoal.accounts.account import Account
from shoal.accounts.change_path import Caller
from shoal.accounts.model_settings import MAX_ITEM_FACTS_CHARACTERS, MAX_TURNS, ModelMode
from shoal.api.http.caller import AccountToChange, AccountToRead, MaybePrincipal, TheCaller, TheServer, WhoReads
from shoal.api.http.changes import changed
from shoal.api.http.disconnects import while_here
from shoal.api.http.openapi_errors import CHANGING_COMPAT, READING, READING_COMPAT
from shoal.api.http.routing import Routes
from shoal.api.routes.ai_providers import note_provider
from shoal.api.schemas.request_texts import Text, body_example
from shoal.api.schemas.responses import CHANGE_EXAMPLE, ChangeFacts, etag_of, example
from shoal.api.server import Server
from shoal.assistant.contexts import context_of
from shoal.assistant.old_prompts import persona_of, prompts_of
from shoal.assistant.prompt import LONGEST_QUESTION
from shoal.assistant.providers import MOST_NAME, Provider, UnknownProvider, checked_base_url, host_of
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.users import User
from shoal.errors import Conflict, Forbidden, InvalidInput
from shoal.logs.redaction import HIDDEN
from shoal.maintenance.moving.plan_models import fen_of

routes = Routes(tags=["replies"])

_SAVED: Final = "AI回复设置更新成功"
_TRIED: Final = "AI回复测试成功"
_NO_REPLY: Final = "AI没有给出可以发送的回复"
_LONGEST_TITLE: Final = 200
_FIRST_MODEL: Final = "qwen-plus"
_FIRST_URL: Final = "https://dashscope.aliyuncs.com/compatible-mode/v1"
"""What the older system's form begins with. Without a model it cannot be saved."""
_EXAMPLE: Final[dict[str, Any]] = {
    "ai_enabled": True, "model_name": "qwen-plus", "api_key": "", "base_url": "https://models.example.com",
    "max_discount_percent": 0, "max_discount_amount": 0, "max_bargain_rounds": 6, "custom_prompts": "说话简短客气",
}  # fmt: skip


class AiReplySettings(BaseModel):
    """The settings of an account in the words of the older system. A key is shown as `***`, or empty without one.

    `base_url` is the host only; without a provider it is what the form of the older system begins with, as is
    `model_name`. The discounts are 0: how low a price may go is said by the lowest price of each item.
    """

    model_config = example(**_EXAMPLE)
    ai_enabled: bool
    model_name: str
    api_key: str = ""
    base_url: str
    max_discount_percent: int = 0
    max_discount_amount: int = 0
    max_bargain_rounds: int
    custom_prompts: str


class AiReplySettingsBody(BaseModel):
    """Settings to change; those left out stay. `base_url` and `model_name` choose one of the owner's providers; with a
    key they make one. `***` leaves the key as it is.
    """

    model_config = body_example(**_EXAMPLE)
    ai_enabled: bool
    model_name: Text = ""
    api_key: Text = ""
    base_url: Text = ""
    max_discount_percent: StrictInt = 0
    max_discount_amount: StrictInt = 0
    max_bargain_rounds: Annotated[StrictInt, Field(ge=0, le=MAX_TURNS)] = 0
    custom_prompts: Text = ""


class AiReplyTestBody(BaseModel):
    """A question to try, and the item that it is about. `item_price` is in yuan, as a number or a text."""

    model_config = body_example(message="能便宜点吗", item_title="月卡", item_price=100, item_desc="当天可用")
    message: Annotated[Text, Field(min_length=1, max_length=LONGEST_QUESTION)] = "你好"
    item_title: Annotated[Text, Field(max_length=_LONGEST_TITLE)] = ""
    item_price: StrictInt | StrictFloat | Text = ""
    item_desc: Annotated[Text, Field(max_length=MAX_ITEM_FACTS_CHARACTERS)] = ""


class AiReplyTested(BaseModel):
    """What the model would have said. `reply` is empty unless it passed every check; `decision` and `why` say more."""

    model_config = example(message=_TRIED, reply="不议价哦，100元包邮", decision="reply", why="")
    message: str
    reply: str
    decision: str
    why: str


class AiReplySettingsChanged(ChangeFacts):
    """The settings were changed."""

    model_config = example(message=_SAVED, **CHANGE_EXAMPLE)
    message: str = _SAVED


@routes.get("/ai-reply-settings", summary="List AI reply settings (older system)", responses=READING)
async def list_ai_reply_settings(server: TheServer, who: WhoReads) -> dict[str, AiReplySettings]:
    """List the settings of a model of the caller's accounts, by id."""
    accounts = server.authorization.accounts_of(who)
    owners = {account.owner_id for account in accounts if account.ai_provider_id}
    providers = {one.id: one for owner in owners for one in await server.assistant.providers.list(owner)}
    return {account.id: _shown(account, providers.get(account.ai_provider_id)) for account in accounts}


@routes.get("/ai-reply-settings/{cid}", summary="Get AI reply settings (older system)", responses=READING_COMPAT)
async def get_ai_reply_settings(account: AccountToRead, server: TheServer, response: Response) -> AiReplySettings:
    """Return the settings of a model of the account."""
    response.headers["ETag"] = etag_of(account)
    return _shown(account, await _provider(server, account, account.ai_provider_id))


@routes.put("/ai-reply-settings/{cid}", summary="Change AI reply settings (older system)", responses=CHANGING_COMPAT)
async def update_ai_reply_settings(
    body: AiReplySettingsBody,
    account: AccountToChange,
    server: TheServer,
    caller: TheCaller,
    who: MaybePrincipal,
    response: Response,
) -> AiReplySettingsChanged:
    """Change the settings of a model. `ai_enabled` sends by itself what passes every check; drafts stay drafts.

    Only the owner enters a key, by a session: it is kept for the provider at this `base_url` with this model, which is
    added if there is none, as at `/ai-providers`. With `ai_enabled` the owner agrees by that to the host that was
    entered. A discount other than 0 is refused: set the lowest price of each item.
    """
    sent = body.model_fields_set
    if body.max_discount_percent or body.max_discount_amount:
        raise InvalidInput("an item has a lowest price instead", code="old_ai_discount")
    values: dict[str, Any] = {}
    if "custom_prompts" in sent:
        values["ai_persona"] = persona_of(prompts_of(body.custom_prompts))
    if "max_bargain_rounds" in sent:
        values["ai_turns_per_chat"] = body.max_bargain_rounds
    if body.api_key in {"", HIDDEN}:
        chosen = await _chosen(server, account, body)
    elif who is None or who.session is None or who.id != account.owner_id:
        raise Forbidden("only the owner enters a key", code="old_ai_key")
    else:
        chosen = await _with_key(server, account, body, who.user, caller)
    if chosen is not None:
        values["ai_provider_id"] = chosen.id
    if not body.ai_enabled:
        values["ai_mode"] = ModelMode.OFF.value
    else:
        asked = chosen or await _provider(server, account, account.ai_provider_id)
        if asked is None:
            raise Conflict("the shop has no provider", code="no_provider")
        asked.require_consent()
        if account.ai_mode == ModelMode.OFF:
            values["ai_mode"] = ModelMode.AUTO.value
    change = server.manager.update_settings(account.id, values, caller=caller)
    return AiReplySettingsChanged(**await changed(server, response, account.id, change))


@routes.post("/ai-reply-test/{cid}", summary="Test AI replies (older system)", responses=CHANGING_COMPAT)
async def try_ai_reply(
    request: Request, body: AiReplyTestBody, account: AccountToChange, server: TheServer
) -> AiReplyTested:
    """Ask the model as for a buyer. Nothing is sent to one; the call costs, and counts against the day.

    `POST /cookies/{cid}/ai/try` tells more: the prompt, the raw output and what each check says.
    """
    price_fen = fen_of(str(body.item_price))
    asked = await context_of(account, body.message, server.assistant.item_of)
    context = replace(asked, item_title=body.item_title, item_price_fen=price_fen, item_facts=body.item_desc)
    tried = await while_here(request, server.assistant.trials.run(account, context, None), lasting=True)
    text = tried.proposal.text if tried.proposal is not None else ""
    return AiReplyTested(
        message=_TRIED if text else _NO_REPLY, reply=text, decision=tried.decision.value, why=tried.why
    )


async def _chosen(server: Server, account: Account, body: AiReplySettingsBody) -> Provider | None:
    """Return the owner's provider that the body names; ``None`` when it names none, or the one that the shop has."""
    host = host_of(checked_base_url(body.base_url)) if body.base_url else ""
    model = body.model_name.strip()
    if not host and not model:
        return None
    found = [
        one
        for one in await server.assistant.providers.list(account.owner_id)
        if host in {"", one.host} and model in {"", one.model}
    ]
    if not found and not body.ai_enabled:
        return None  # the form is sent whole, with what it began with
    if not found:
        raise Conflict("the owner has no such provider", code="old_ai_provider", host=host, model=model)
    return next((one for one in found if one.id == account.ai_provider_id), found[0])


async def _with_key(server: Server, account: Account, body: AiReplySettingsBody, me: User, caller: Caller) -> Provider:
    """Keep the key with the owner's provider that the body names, or with a new one. Raises as its store.

    Who enters a key for a host, and turns the model on, agrees to this host.
    """
    store, values = server.assistant.providers, {"key": body.api_key}
    known = await _chosen(server, account, body.model_copy(update={"ai_enabled": False}))
    if known is None and not (body.base_url or body.model_name):
        known = await _provider(server, account, account.ai_provider_id)
    url = checked_base_url(body.base_url) if body.base_url or known is None else ""
    if body.ai_enabled:
        values["consented_host"] = known.host if known is not None else host_of(url)
    if known is None:
        values |= {"name": host_of(url)[:MOST_NAME], "base_url": url, "model": body.model_name}
        kept = await store.create(me.id, values, op_id=caller.op_id, repeats=caller.repeats)
        await note_provider(server, me, caller.origin, AuditEvent.PROVIDER_ADDED, kept)
        return kept
    if urlsplit(url).path:  # what is shown, and comes back, is the host alone
        values["base_url"] = url
    kept = await store.change(me.id, known.id, values)
    await note_provider(server, me, caller.origin, AuditEvent.PROVIDER_CHANGED, kept)
    return kept


async def _provider(server: Server, account: Account, provider_id: int) -> Provider | None:
    """Return a provider of the account's owner; ``None`` for none, and for one that was removed."""
    if not provider_id:
        return None
    try:
        return await server.assistant.providers.get(account.owner_id, provider_id)
    except UnknownProvider:
        return None


def _shown(account: Account, provider: Provider | None) -> AiReplySettings:
    url = _FIRST_URL if provider is None else provider.host
    return AiReplySettings(
        ai_enabled=account.ai_mode != ModelMode.OFF,
        model_name=_FIRST_MODEL if provider is None else provider.model,
        api_key=HIDDEN if provider is not None and provider.has_key else "",
        base_url=url if "://" in url else f"https://{url}",
        max_bargain_rounds=account.ai_turns_per_chat,
        custom_prompts=account.ai_persona,
    )

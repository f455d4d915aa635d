"""The eight routes that are asked all the time. Each has a row in ``benchmarks/http``."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import Request, Response
from pydantic import BaseModel, Field

from shoal.accounts.callers import LONGEST_WAIT_SECONDS, Caller
from shoal.api.http.caller import (
    account_to_change,
    caller_of,
    known_of,
    maybe_principal,
    read_account,
    require_no_guessing,
    server_in,
    who_reads,
    who_replies_named,
)
from shoal.api.http.changes import facts_of, outcome_of
from shoal.api.http.hot_routes import HotRoutes
from shoal.api.http.idempotency import ignores_keys
from shoal.api.http.json_bodies import JsonAnswer, body_of, query_of
from shoal.api.http.openapi_errors import CHANGING_COMPAT, READING, READING_ONE, TRYING, problems
from shoal.api.http.route_rules import anybody
from shoal.api.http.states_elsewhere import found_account, looked_elsewhere, observed_now
from shoal.api.reply_words import reply_words
from shoal.api.schemas.account_requests import AutoConfirmBody, StatusBody
from shoal.api.schemas.chat_requests import ReplyHookBody
from shoal.api.schemas.hot_answers import (
    AutoConfirmChanged,
    LiveAnswer,
    ReplyHookAnswer,
    StatusAnswer,
    VerifyAnswer,
)
from shoal.api.schemas.responses import AccountBody, DetailRow, etag, etag_of, rfc3339
from shoal.auth.permission import Permission
from shoal.auth.users import Role

hot: Final = HotRoutes()
_encode: Final = msgspec.json.Encoder().encode


def _json(answer: Any, etag: str = "") -> Response:
    return JsonAnswer(_encode(answer), etag)


class _Wait(BaseModel):
    wait: float | None = Field(None, ge=0, le=LONGEST_WAIT_SECONDS, allow_inf_nan=False)


async def _caller(request: Request) -> Caller:
    wait = query_of(request, _Wait).wait if request.scope["query_string"] else None
    return await caller_of(request, if_match=request.headers.get("if-match"), wait=wait)


@hot.add(
    "PUT", "/cookies/{cid}/status", tag="accounts", summary="Enable or disable an account",
    needs=(account_to_change, caller_of), body=StatusBody, answer=StatusAnswer, responses=CHANGING_COMPAT,
)  # fmt: skip
async def update_cookie_status(request: Request) -> Response:
    """Enable or disable the account. `true` also restarts an enabled account that failed or waits for a retry."""
    account = await account_to_change(request, request.path_params["cid"])
    caller, body = await _caller(request), await body_of(request, StatusBody)
    server = server_in(request)
    change = server.manager.update_cookie_status(account.id, body.enabled, caller=caller)
    outcome = await outcome_of(server, account.id, change)
    answer = {**facts_of(outcome), "msg": "status updated", "enabled": body.enabled}
    return _json(answer, etag(outcome.generation))


@hot.add(
    "PUT", "/cookies/{cid}/auto-confirm", tag="account settings", summary="Switch automatic confirmation on or off",
    needs=(account_to_change, caller_of), body=AutoConfirmBody, answer=AutoConfirmChanged, responses=CHANGING_COMPAT,
)  # fmt: skip
async def update_auto_confirm(request: Request) -> Response:
    """Switch automatic confirmation on or off. It applies to the next order at once, without a reconnect."""
    account = await account_to_change(request, request.path_params["cid"])
    caller, body = await _caller(request), await body_of(request, AutoConfirmBody)
    server = server_in(request)
    change = server.manager.update_auto_confirm_setting(account.id, body.auto_confirm, caller=caller)
    outcome = await outcome_of(server, account.id, change)
    message = f"自动确认发货已{'开启' if body.auto_confirm else '关闭'}"
    answer = {**facts_of(outcome), "msg": "success", "auto_confirm": body.auto_confirm, "message": message}
    return _json(answer, etag(outcome.generation))


@hot.add(
    "GET", "/cookies", tag="accounts", summary="List account ids",
    needs=(who_reads,), answer=list[str], responses=READING,
)  # fmt: skip
async def list_cookies(request: Request) -> Response:
    """List the ids of the caller's accounts."""
    server, who = server_in(request), await who_reads(request)
    return JsonAnswer(await server.kept_accounts.ids(server.authorization, who))


@hot.add(
    "GET", "/cookies/details", tag="accounts", summary="List accounts",
    needs=(who_reads,), answer=list[DetailRow], responses=READING,
)  # fmt: skip
async def list_cookie_details(request: Request) -> Response:
    """List the caller's accounts with their settings and their observed state."""
    server, who = server_in(request), await who_reads(request)
    await looked_elsewhere(server, who)
    return JsonAnswer(await server.kept_accounts.details(server.authorization, who))


@hot.add(
    "GET", "/cookies/{cid:account}", tag="accounts", summary="Get an account",
    needs=(read_account,), answer=AccountBody, responses=READING_ONE,
)  # fmt: skip
async def get_cookie(request: Request) -> Response:
    """Return the desired and the observed state. The `ETag` covers all that the owner set for the account."""
    server, account = server_in(request), await read_account(request, request.path_params["cid"])
    await observed_now(server, account)
    text = server.kept_accounts.body(account, known_of(request)["permission"])
    return JsonAnswer(text, etag_of(account))


@hot.add(
    "GET", "/verify", tag="session", summary="Check a token",
    needs=(anybody, maybe_principal), answer=VerifyAnswer, responses=problems(429, 503),
    response_model_exclude_none=True,
)  # fmt: skip
async def verify(request: Request) -> Response:
    """Return the user of this token. Never answers 401."""
    who = await maybe_principal(request)
    if who is None:
        require_no_guessing(request)
        return _json({"authenticated": False})
    user = who.user
    is_admin = user.role is Role.ADMIN
    return _json({"authenticated": True, "user_id": user.id, "username": user.username, "is_admin": is_admin})


@hot.add(
    "GET", "/health/live", tag="system", summary="Check that the process is alive",
    needs=(anybody,), answer=LiveAnswer, responses={},
)  # fmt: skip
async def get_live(request: Request) -> Response:
    """Answer without checking anything else: the event loop works."""
    return _json({"status": "alive", "started_at": rfc3339(server_in(request).started_at_ms)})


@hot.add(
    "POST", "/xianyu/reply", tag="replies", summary="Get the reply to a message",
    needs=(who_replies_named,), body=ReplyHookBody, answer=ReplyHookAnswer,
    responses=TRYING,
)  # fmt: skip
@ignores_keys
async def get_reply_words(request: Request) -> Response:
    """Return the reply texts to a message. The server sends nothing: the script is expected to send them.

    The rule therefore counts as matched, and a once-only default reply as given. So does an away word, and a hand-off
    leaves the chat to the owner. A disabled account gives no reply.
    """
    server, who = server_in(request), await who_replies_named(request)
    body = await body_of(request, ReplyHookBody)
    known_of(request)["unknown_account"] = "unknown_account/rules"
    account = await found_account(server, who, body.cookie_id, Permission.REPLY)
    return _json({"code": 200, "data": await reply_words(server, account, body)})

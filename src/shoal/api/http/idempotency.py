"""Runs a request with an ``Idempotency-Key`` once; repeated requests get the same answer."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import Any, Final, TypeVar

import structlog
from fastapi import Request, Response, params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from shoal.api.http.caller import actor_of, maybe_principal
from shoal.api.http.json_bodies import JsonRequest
from shoal.api.http.older_routes import OLDER_ROUTES
from shoal.api.http.problems import answer_to
from shoal.api.http.query_names import require_names
from shoal.api.http.route_rules import Asks, Shop, are_for_tokens, notes_of, parts_of, rule_of, strictest
from shoal.api.schemas.op_ids import check_key, new_op_id
from shoal.api.schemas.shown_once import to_keep
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.users import Role
from shoal.errors import (
    AccountBeingDeleted,
    AnswerLost,
    CommitUnknown,
    Forbidden,
    NotApplied,
    RemovedSince,
    ShoalError,
    StaleGeneration,
    StoreError,
    TooManyAttempts,
    Unauthenticated,
    UnknownAccount,
)
from shoal.storage.idempotency_keys import KeyedRequest, StoredAnswer

log = structlog.get_logger("shoal.idempotency")

HEADER = "Idempotency-Key"
LONGEST_PATH = 256
REPLAYED = "Idempotent-Replayed"
_NOT_KEPT: Final = frozenset({"content-length", "set-cookie"})
CHANGING_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})

_PARAMETER: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9._~-]+$"},
    "description": "1 to 128 letters, digits or . _ ~ - chosen by the caller. The same request with the same key is "
    "carried out once and answered alike for 24 h; `GET /ops/{op_id}` tells what became of it.",
}
"""In the document. No dependency reads the header by itself, so that FastAPI does not know of it."""

SECURITY_SCHEME: Final = "HTTPBearer"
"""In the document. No dependency reads the token by itself, so that FastAPI does not know of it."""

PASSING = (StoreError, Unauthenticated, Forbidden, TooManyAttempts, StaleGeneration, AccountBeingDeleted)
"""Errors whose answer is not stored. Nothing was done: the request may succeed later, or with a newer ETag."""

Handle = Callable[[Request], Coroutine[Any, Any, Response]]
Function = TypeVar("Function", bound=Callable[..., Any])


def ignores_keys(function: Function) -> Function:
    """Mark the function of a route that ignores keys: it signs in or out, or only shows something."""
    function.__dict__["ignores_keys"] = True
    return function


class ChangingRoute(APIRoute):
    """A route that applies the ``Idempotency-Key`` of a signed-in user (see ``answered_once``)."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._parts = tuple(parts_of(endpoint, self.dependencies))
        self.rule = strictest(self._parts)
        token: dict[str, Any] = {"security": [{SECURITY_SCHEME: []}]} if are_for_tokens(self._parts) else {}
        key = {"parameters": [_PARAMETER]} if token and self.heeds_keys else {}
        self.openapi_extra = {**token, **key, **(self.openapi_extra or {})}

    request_class: type[Request] = JsonRequest
    """Reads the body for FastAPI."""

    @cached_property
    def heeds_keys(self) -> bool:
        """Whether the same key gives the same thing."""
        return bool(CHANGING_METHODS & (self.methods or set())) and "ignores_keys" not in self.endpoint.__dict__

    @cached_property
    def query_names(self) -> frozenset[str] | None:
        """The names that a query may have; ``None``: any, as for routes of the older system and what anybody reads."""
        methods, rule = self.methods or set(), self.rule
        if any((method, self.path) in OLDER_ROUTES for method in methods):
            return None
        if not CHANGING_METHODS & methods and (rule is None or rule.asks is Asks.NOTHING):
            return None
        return frozenset(note.alias or name for part in self._parts for name, note in notes_of(part, params.Query))

    def require_names(self, query: bytes) -> None:
        """Raise ``InvalidInput`` for a name in a query that the route does not take."""
        if query and self.query_names is not None:
            require_names(query, self.query_names)

    def get_route_handler(self) -> Handle:
        """Return the handler of the route, which runs at most once for each key."""
        handle = super().get_route_handler()
        once = answered_once(handle) if self.heeds_keys else handle

        async def read(sent: Request) -> Response:
            self.require_names(sent.scope["query_string"])
            return await once(self.request_class(sent.scope, sent.receive))

        return read


def answered_once(handle: Handle) -> Handle:
    """Return a function that handles a request at most once for each key of a signed-in user.

    The key is stored as reserved before the request is handled. A final answer is stored and given again. Final are
    2xx, and a refusal of what the request asks for. Not final are 5xx, a missing permission, a body that cannot be
    read, and errors that may pass (``PASSING``). A request whose key is reserved but has no stored answer runs again
    under the same op id, which does nothing twice.
    """

    async def once(request: Request) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return await handle(request)
        server: Server = request.app.state.server
        who = await maybe_principal(request)
        if who is None:
            return await handle(request)  # the route refuses it
        keyed = await _keyed(request, who, check_key(key))
        async with server.idempotency_keys.turn(keyed):
            return await _answered(server, who, keyed, request, handle)

    return once


def leave_open(request: Request) -> None:
    """Mark the answer as not final: the same request with the same key may continue later."""
    request.state.is_final = False


async def _keyed(request: Request, who: Principal, key: str) -> KeyedRequest:
    try:
        body = await request.body()
    except ClientDisconnect:
        raise HTTPException(400) from None  # the client is gone and receives no answer
    server: Server = request.app.state.server
    return KeyedRequest(
        user_id=who.id,
        token_id=None if who.token is None else who.token.id,
        actor=actor_of(who.user),
        key=key,
        method=request.method,
        path=_storable(request.scope["path"]),
        request_hash=server.idempotency_keys.hash_of(request.url.query.encode() + b"\n" + body),
    )


def _storable(path: str) -> str:
    """Return the path, or its hash when it is very long or not printable, which a database key may refuse."""
    return path if len(path) <= LONGEST_PATH and path.isprintable() else hashlib.sha256(path.encode()).hexdigest()


async def _answered(server: Server, who: Principal, keyed: KeyedRequest, request: Request, handle: Handle) -> Response:
    op_id = new_op_id(keyed.user_id, keyed.key)
    try:
        reserved = await server.idempotency_keys.reserve(keyed, op_id)
    except CommitUnknown as error:  # may be a repeated request: the client can look up the op id
        raise CommitUnknown(str(error), op_id=op_id) from None
    request.state.op = reserved
    if reserved.answer is not None:
        if _is_refused_now(server, who, request):
            return await handle(request)  # the route gives the reason
        return _again(reserved.answer)
    if not reserved.is_new and await server.idempotency_keys.is_noted_done(reserved.op_id):
        raise AnswerLost
    begun = not reserved.is_new and await server.idempotency_keys.begun(reserved.op_id)
    try:
        response = await handle(request)
    except (RequestValidationError, HTTPException):
        await server.idempotency_keys.release(reserved.op_id)
        raise
    except ShoalError as error:
        # "No such account" would mean to the client that the change was never made.
        gone = begun and isinstance(error, (UnknownAccount, StaleGeneration))
        final = RemovedSince(op_id=reserved.op_id) if gone else error
        if isinstance(final, PASSING):
            raise
        response = answer_to(final, request)
    if response.status_code < 500 and getattr(request.state, "is_final", True):
        kept = await _keep(server, reserved.op_id, request, response)
        if not kept and not begun and response.status_code >= 400:
            # A repeated request might succeed. A refusal that is not stored is therefore not final.
            raise NotApplied("the refusal could not be stored")
    if begun:
        response.headers[REPLAYED] = "true"
    return response


def _is_refused_now(server: Server, who: Principal, request: Request) -> bool:
    """Return whether the caller no longer has the permission that the stored answer needed."""
    rule = rule_of(request.scope["route"])
    if rule is not None and rule.asks is Asks.ADMINISTRATOR and who.user.role is not Role.ADMIN:
        return True
    account = server.manager.accounts.get(request.path_params.get("cid", ""))
    if rule is None or rule.shop is not Shop.PATH or account is None:
        return False
    return (server.authorization.permission_on(who, account) or 0) < rule.permission


async def _keep(server: Server, op_id: str, request: Request, response: Response) -> bool:
    """Store the answer, without what it shows once, and return whether that worked.

    If not, a repeated request finds the result by its op id.
    """
    headers = tuple((name, value) for name, value in response.headers.items() if name not in _NOT_KEPT)
    body = bytes(response.body).decode()
    if response.status_code < 300:
        body = to_keep(request.scope["route"].response_model, body)
    answer = StoredAnswer(status=response.status_code, headers=headers, body=body)
    try:
        async with asyncio.timeout(server.settings.database_deadline_seconds):
            await server.idempotency_keys.keep(op_id, answer)
    except (StoreError, TimeoutError) as error:
        why = error.code if isinstance(error, StoreError) else CommitUnknown.code
        log.warning("answer not stored", op_id=op_id, why=why)
        return False
    return True


def _again(answer: StoredAnswer) -> Response:
    return Response(answer.body, answer.status, headers={**dict(answer.headers), REPLAYED: "true"})

"""What other servers of the same database ask of this one, about accounts that run here and about itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final

from fastapi import HTTPException, Request, Response

from shoal.accounts.account import Account
from shoal.accounts.ownership import NOT_OWNER
from shoal.api.http.caller import TheServer
from shoal.api.http.idempotency import ignores_keys
from shoal.api.http.route_rules import ANYBODY
from shoal.api.http.routing import Routes
from shoal.api.metrics.whole_page import FIGURES, answer_figures
from shoal.api.routes import imports_anywhere, items_anywhere, qr_logins_anywhere
from shoal.api.routes.item_pages import READ_PAGE, answer_read_page
from shoal.api.routes.live_facts import DIAGNOSE, answer_diagnose
from shoal.api.routes.manual_sending import SEND, answer_send
from shoal.api.routes.node_states import answer_watch
from shoal.api.routes.ops import OPS, answer_op
from shoal.api.routes.order_delivery import SEND_AGAIN, answer_send_again
from shoal.api.routes.orders import LOOK, REFUND, answer_look, answer_refund
from shoal.api.server import Server
from shoal.cluster.call_signing import CallSigner, NotSigned
from shoal.cluster.node_calls import ANSWER_HEADER, CALL_HEADER, PATH, NodeCalls
from shoal.cluster.node_watch import WATCH
from shoal.errors import ShoalError

routes = Routes(include_in_schema=False)

Operation = Callable[[Server, Account, dict[str, Any]], Awaitable[dict[str, Any]]]
NodeOperation = Callable[[Server, dict[str, Any]], Awaitable[dict[str, Any]]]
OPERATIONS: Final[dict[str, Operation]] = {
    SEND: answer_send,
    LOOK: answer_look,
    REFUND: answer_refund,
    SEND_AGAIN: answer_send_again,
    DIAGNOSE: answer_diagnose,
    items_anywhere.ITEMS: items_anywhere.answer_items,
    READ_PAGE: answer_read_page,
}
"""What is asked of the server that runs an account."""
NODE_OPERATIONS: Final[dict[str, NodeOperation]] = {
    WATCH: answer_watch,
    items_anywhere.KEPT_ITEMS: items_anywhere.answer_kept_items,
    qr_logins_anywhere.LOOK: qr_logins_anywhere.answer_login,
    qr_logins_anywhere.LIST: qr_logins_anywhere.answer_logins,
    qr_logins_anywhere.CANCEL: qr_logins_anywhere.answer_cancel,
    imports_anywhere.PLAN: partial(imports_anywhere.answer_with_plan, operation=imports_anywhere.PLAN),
    imports_anywhere.ROWS: partial(imports_anywhere.answer_with_plan, operation=imports_anywhere.ROWS),
    imports_anywhere.FORGET: partial(imports_anywhere.answer_with_plan, operation=imports_anywhere.FORGET),
    imports_anywhere.BEGIN: partial(imports_anywhere.answer_with_plan, operation=imports_anywhere.BEGIN),
    OPS: answer_op,
    FIGURES: answer_figures,
}
"""What is asked of a server by its name."""
ONLY_ASKED: Final = frozenset({WATCH, FIGURES})
"""What ends when the server that asked leaves: it changes nothing."""
BEHIND_SECONDS: Final = 1.0
"""How long a call waits for the change that its caller has already seen."""


class _NotHere(ShoalError):
    """Another node may run the account."""

    code = NOT_OWNER


@routes.post(PATH + "/{operation}", dependencies=[ANYBODY])
@ignores_keys
async def answer_call(operation: str, request: Request, server: TheServer) -> Response:
    """Carry out an operation for another server, which signs it by the key that all share. No person calls this."""
    calls = server.node_calls
    if calls is None:
        raise NotSigned("a single server serves this database")
    content = await request.body()
    name, inc = calls.me
    header = request.headers.get(CALL_HEADER, "")
    key, number = calls.signer.check(header, operation, content, me=name, my_inc=inc)
    work = _carried_out(server, calls, operation, json.loads(content))
    answer = json.dumps(await (_while_asked(request, work) if operation in ONLY_ASKED else work)).encode()
    signature = CallSigner.answer(key, number, answer)
    return Response(answer, media_type="application/json", headers={ANSWER_HEADER: signature})


async def _while_asked(request: Request, work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Wait for what is of no use, and is given up, once the server that asked has left."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise HTTPException(400)  # the caller has left
        return await working
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _carried_out(server: Server, calls: NodeCalls, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
    try:
        if operation in NODE_OPERATIONS:
            return {"done": await NODE_OPERATIONS[operation](server, asked)}
        if operation not in OPERATIONS:
            raise _NotHere("this server has another version", code="unknown_operation")
        account = await _account(server, calls, asked)
        return {"done": await OPERATIONS[operation](server, account, asked)}
    except ShoalError as error:
        return {"refused": {"code": error.code, "params": error.params, "message": str(error)}}


async def _account(server: Server, calls: NodeCalls, asked: dict[str, Any]) -> Account:
    """Return the account as its caller has seen it, or newer. Raises ``_NotHere`` unless it runs here."""
    name = str(asked["account"])
    if server.follower is not None:
        await server.follower.passed(int(asked["rev"]), within_seconds=BEHIND_SECONDS)
    account = server.manager.accounts.get(name)
    if account is None or not calls.is_mine(name):
        raise _NotHere("another server may run this account")
    return account

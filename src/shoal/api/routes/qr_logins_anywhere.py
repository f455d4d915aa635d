"""The QR logins of a user on all servers: a login is at the server that began it, which its id names."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any, Final

from shoal.api.server import Server
from shoal.cluster.node_calls import AnswerLost, NodeCalls, OwnerAway, RefusedThere
from shoal.connection.qr_logins import QrLoginView, unknown_qr_login
from shoal.connection.qr_steps import QrLoginState
from shoal.errors import InvalidInput, ShoalError
from shoal.storage.qr_login_rows import QrLoginRow, rows_of

LOOK: Final = "qr_login"
LIST: Final = "qr_logins"
CANCEL: Final = "qr_cancel"
ASK_SECONDS: Final = 10.0
_PLAIN: Final = (
    "id", "owner_id", "account_id", "content", "action_url", "is_new_account", "created_at_ms", "expires_at_ms",
    "ended_at_ms",
)  # fmt: skip
_UNKNOWN: Final = unknown_qr_login().code


async def find_login(server: Server, owner_id: int, login_id: str) -> QrLoginView:
    """Return a login of a user, on whatever server it is.

    Raise ``InvalidInput`` (``unknown_qr_login``), and of several servers ``OwnerAway``, ``AnswerLost``, ``StoreError``.
    """
    calls = server.node_calls
    if calls is None:
        return server.qr_logins.get(owner_id, login_id)
    if _node_of(login_id) != calls.me[0]:
        return await _asked(server, calls, LOOK, owner_id, login_id)
    try:
        return server.qr_logins.get(owner_id, login_id)
    except InvalidInput:  # an earlier life of this server may have begun it
        return await _left(server, owner_id, login_id)


async def cancel_login(server: Server, owner_id: int, login_id: str) -> QrLoginView:
    """Cancel a login of a user, on whatever server it is. Raise like ``find_login``."""
    calls = server.node_calls
    if calls is None or _node_of(login_id) == calls.me[0]:
        return await server.qr_logins.cancel(owner_id, login_id)
    return await _asked(server, calls, CANCEL, owner_id, login_id)


async def cancel_all_logins(server: Server, owner_id: int) -> None:
    """Cancel the logins of a user who is leaving. One whose server does not answer adds no shop for them anyway."""
    for login in await all_logins(server, owner_id):
        if not login.state.is_over:
            with suppress(OwnerAway, AnswerLost, InvalidInput):
                await cancel_login(server, owner_id, login.id)


async def all_logins(server: Server, owner_id: int) -> list[QrLoginView]:
    """Return the logins of a user on all servers, the newest first.

    Those of a server that does not answer are shown without their code.
    """
    mine, calls = server.qr_logins.of(owner_id), server.node_calls
    if calls is None:
        return mine
    rows = await server.database.read(partial(rows_of, owner_id=owner_id))
    here, known = calls.me, {view.id: view for view in mine}
    others = {row.node for row in rows if row.is_followed and row.node != here[0]}
    answers = await asyncio.gather(*(_list_of(calls, node, owner_id) for node in others))
    answered = {node for node, views in zip(others, answers, strict=True) if views is not None}
    known |= {view.id: view for views in answers for view in views or ()}
    silent = (row for row in rows if row.id not in known and not _is_forgotten(row, {*answered, here[0]}))
    known |= {row.id: _of_row(row) for row in silent}
    return sorted(known.values(), key=lambda view: -view.created_at_ms)


def _is_forgotten(row: QrLoginRow, answered: set[str]) -> bool:
    """Return whether the server that follows a login has answered without it."""
    return row.is_followed and row.node in answered


async def _list_of(calls: NodeCalls, node: str, owner_id: int) -> list[QrLoginView] | None:
    try:
        done = await calls.ask_node(node, LIST, {"owner": owner_id}, seconds=ASK_SECONDS)
    except (OwnerAway, AnswerLost):
        return None
    return [_view_of(fields) for fields in done["logins"]]


async def _asked(server: Server, calls: NodeCalls, operation: str, owner_id: int, login_id: str) -> QrLoginView:
    try:
        asked = {"owner": owner_id, "login": login_id}
        return _view_of(await calls.ask_node(_node_of(login_id), operation, asked, seconds=ASK_SECONDS))
    except OwnerAway as away:
        if away.code != "node_gone":
            raise
    except RefusedThere as refusal:
        if refusal.code != _UNKNOWN:
            raise
    return await _left(server, owner_id, login_id)


async def _left(server: Server, owner_id: int, login_id: str) -> QrLoginView:
    """Return what a server that has ended left of a login. Raise ``InvalidInput`` (``unknown_qr_login``)."""
    rows = await server.database.read(partial(rows_of, owner_id=owner_id, login_id=login_id))
    if not rows or rows[0].is_followed:
        raise unknown_qr_login()
    return _of_row(rows[0])


def _of_row(row: QrLoginRow) -> QrLoginView:
    """Return a login without its code; one whose server has ended has failed."""
    state, error, ended_at_ms = QrLoginState(row.state), None, row.ended_at_ms
    if not row.is_followed and not state.is_over:
        state, error = QrLoginState.FAILED, ShoalError("its server has ended", code="qr_login_left", node=row.node)
        ended_at_ms = row.created_at_ms
    return QrLoginView(
        id=row.id,
        owner_id=row.owner_id,
        account_id=row.account_id,
        state=state,
        error=error,
        created_at_ms=row.created_at_ms,
        expires_at_ms=row.expires_at_ms,
        ended_at_ms=ended_at_ms,
    )


def _node_of(login_id: str) -> str:
    return login_id.rpartition(".")[0].replace("_", "/")


def _payload(view: QrLoginView) -> dict[str, Any]:
    error: dict[str, Any] | None = None
    if (why := view.error) is not None:
        params = {name: value if isinstance(value, str | int) else str(value) for name, value in why.params.items()}
        error = {"code": why.code, "message": str(why), "params": params}
    return {**{name: getattr(view, name) for name in _PLAIN}, "state": view.state.value, "error": error}


def _view_of(fields: dict[str, Any]) -> QrLoginView:
    why = fields["error"]
    error = None if why is None else ShoalError(why["message"], code=why["code"], **why["params"])
    return QrLoginView(**{name: fields[name] for name in _PLAIN}, state=QrLoginState(fields["state"]), error=error)


async def answer_login(server: Server, asked: dict[str, Any]) -> dict[str, Any]:
    """Show a login to another server."""
    return _payload(server.qr_logins.get(int(asked["owner"]), str(asked["login"])))


async def answer_cancel(server: Server, asked: dict[str, Any]) -> dict[str, Any]:
    """Cancel a login for another server."""
    return _payload(await server.qr_logins.cancel(int(asked["owner"]), str(asked["login"])))


async def answer_logins(server: Server, asked: dict[str, Any]) -> dict[str, Any]:
    """List a user's logins for another server."""
    return {"logins": [_payload(view) for view in server.qr_logins.of(int(asked["owner"]))]}

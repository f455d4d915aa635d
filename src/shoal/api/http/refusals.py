"""Records refusals in the audit log: missing permissions and too many calls."""

from __future__ import annotations

from typing import Final

from fastapi import Request

from shoal.api.http.caller import actor_of, origin_for
from shoal.api.server import Server
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.authorization import Principal
from shoal.errors import Forbidden, ShoalError, TooManyCalls

_OF_RIGHTS: Final = frozenset({"right_missing", "token_not_allowed", "staff_owns_none", Forbidden.code})


async def note_refusal(request: Request, error: ShoalError) -> None:
    """Record a caller who lacks a permission or calls too often. The audit log limits repeated entries itself."""
    code = error.code.partition("/")[0]
    if isinstance(error, TooManyCalls):
        event = AuditEvent.REFUSED_RATE
    elif isinstance(error, Forbidden) and code in _OF_RIGHTS:
        event = AuditEvent.REFUSED_PERMISSION
    else:
        return
    server: Server = request.app.state.server
    who: Principal | None = getattr(request.state, "principal", None)
    account = server.manager.accounts.get(request.path_params.get("cid", ""))
    await server.audit_log.record(
        event,
        actor="" if who is None else actor_of(who.user),
        user_id=None if who is None else who.id,
        origin=origin_for(request, who),
        outcome=code,
        account=None if account is None else account.id,
        method=request.method,
        path=request.scope["route"].path if "route" in request.scope else "",
    )

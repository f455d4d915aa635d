"""Compares the stored accounts with the published ones, and loads what differs. For administrators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import BaseModel, Field

from shoal.accounts.drift import Difference
from shoal.api.http.caller import AcceptLanguage, Administrator, TheServer
from shoal.api.http.idempotency import ignores_keys
from shoal.api.http.openapi_errors import READING_COMPAT
from shoal.api.http.problems import problem_of
from shoal.api.http.routing import Routes
from shoal.api.schemas.responses import example
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.language.choice import Language, language_of

routes = Routes(tags=["system"])

MOST_LISTED = 200
"""How many accounts an answer lists; ``differed`` counts all."""


class DifferenceRow(BaseModel):
    """One account whose stored values differ from the published ones.

    A cookie appears as its fingerprint, a proxy without its password.
    """

    id: str
    fields: list[str]
    changes: dict[str, Any] | None = Field(
        description="For each field the published and the stored value. `null` when it is not your account."
    )
    outside: bool = Field(description="Whether another program wrote it, without an entry in the history.")
    taken_over: bool
    code: str = Field(description="Why the value was not published; empty when it was published, or in a dry run.")
    detail: str


class ReloadAnswer(BaseModel):
    """The result of reading the database again; ``differed`` is how many accounts had other stored values."""

    model_config = example(
        message="系统缓存已刷新", success=True, dry_run=False, differed=1,
        differences=[{
            "id": "my-shop", "fields": ["remark"], "changes": {"remark": ["old", "new"]}, "outside": True,
            "taken_over": True, "code": "", "detail": "",
        }],
    )  # fmt: skip
    message: str = "系统缓存已刷新"
    success: bool = True
    dry_run: bool
    differed: int
    differences: list[DifferenceRow] = Field(description=f"The first {MOST_LISTED} of them.")


@routes.post(
    "/system/reload-cache",
    summary="Reload accounts from the database",
    responses={
        207: {"model": ReloadAnswer, "description": "Some of the accounts could not be taken over"},
        **READING_COMPAT,
    },
)
@ignores_keys
async def reload_cache(
    server: TheServer,
    me: Administrator,
    response: Response,
    *,
    dry_run: Annotated[bool, Query(description="Only report the differences; change nothing.")] = False,
    accept_language: AcceptLanguage = None,
) -> ReloadAnswer:
    """Compare stored accounts with the published ones, field by field, and load and publish what differs.

    The connections follow the loaded values. A change by another program becomes an entry in the account's history,
    with the actor `outside`. Only one run happens at a time; a request during a run shares the next one. `?dry_run=1`
    only reports the differences. For administrators.
    """
    reload = server.reload
    found = await (reload.look() if dry_run else reload.take_over())
    failed = sum(one.error is not None for one in found)
    response.status_code = 207 if failed else 200
    who, language = Principal(user=me), language_of(accept_language)
    return ReloadAnswer(
        **_old_message(failed, dry_run=dry_run),
        dry_run=dry_run,
        differed=len(found),
        differences=[_row(server, who, one, language, dry_run=dry_run) for one in found[:MOST_LISTED]],
    )


def _old_message(failed: int, *, dry_run: bool) -> dict[str, Any]:
    """Return the message that old scripts look for, when it is true."""
    if failed:
        return {"message": f"{failed} 个账号未能刷新", "success": False}
    return {"message": "仅查看差异，未作更改"} if dry_run else {}


def _row(server: Server, who: Principal, one: Difference, language: Language, *, dry_run: bool) -> DifferenceRow:
    account, error = server.manager.accounts.get(one.account_id), one.error
    may_read = one.owner_id == who.id or (
        account is not None and server.authorization.permission_on(who, account) is not None
    )
    return DifferenceRow(
        id=one.account_id,
        fields=sorted(one.changes),
        changes=one.changes if may_read else None,
        outside=one.outside,
        taken_over=not dry_run and error is None,
        code=error.code if error else "",
        detail=problem_of(error).sentence(language, error.params) if error else "",
    )

"""What is stored against what is published: a look, and taking it over. For administrators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header, Query, Response
from pydantic import BaseModel, Field

from shoal.accounts.drift import Difference
from shoal.api.http.caller import Administrator, TheServer
from shoal.api.http.openapi_errors import problems
from shoal.api.http.problems import problem_of
from shoal.api.http.routing import Routes
from shoal.api.schemas.responses import example
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.language.choice import Language, language_of

routes = Routes(tags=["system"])

MOST_LISTED = 200
"""How many accounts an answer lists; ``differed`` counts them all."""


class DifferenceRow(BaseModel):
    """One account that was otherwise stored than shown: a cookie as its fingerprint, a proxy without its password."""

    id: str
    fields: list[str]
    changes: dict[str, Any] | None = Field(
        description="For each field what was shown and what is stored, as in the history. `null`: not your shop."
    )
    outside: bool = Field(description="No entry of the history told of it: another program wrote it.")
    taken_over: bool
    code: str = Field(description="Why it was not taken over; empty when it was, or was only looked at.")
    detail: str


class ReloadAnswer(BaseModel):
    """What is stored was read again; ``differed`` accounts were not as they were shown."""

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
    summary="Read the database again",
    responses={
        207: {"model": ReloadAnswer, "description": "Some of the accounts could not be taken over"},
        **problems(401, 403, 422, 503),
    },
)
async def reload_cache(
    server: TheServer,
    me: Administrator,
    response: Response,
    *,
    dry_run: Annotated[bool, Query(description="Only say what differs.")] = False,
    accept_language: Annotated[str | None, Header()] = None,
) -> ReloadAnswer:
    """Compare what is stored with what is shown, field by field, and take over what differs: it is published, and the
    connections follow. For administrators.

    What another program wrote becomes an entry of the account's history, by the actor `outside`. One such reading runs
    at a time; who asks during it shares the next one. `?dry_run=1` only says what differs.
    """
    reload = server.reload
    found = await (reload.look() if dry_run else reload.take_over())
    failed = sum(one.error is not None for one in found)
    response.status_code = 207 if failed else 200
    who, language = Principal(user=me), language_of(accept_language)
    return ReloadAnswer(
        **_told(failed, dry_run=dry_run),
        dry_run=dry_run,
        differed=len(found),
        differences=[_row(server, who, one, language, dry_run=dry_run) for one in found[:MOST_LISTED]],
    )


def _told(failed: int, *, dry_run: bool) -> dict[str, Any]:
    """The words that old scripts look for, where they are true."""
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

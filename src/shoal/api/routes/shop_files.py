"""Shops as a file: exported, and applied after a look at what that would change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query, Request, Response
from pydantic_core import to_json

from shoal.accounts.account import Account
from shoal.accounts.change_path import Caller
from shoal.accounts.delivery_rule import Deliveries
from shoal.api.http.caller import TheCaller, TheServer, WhoOperatesNamed, WhoReadsNamed, actor_of
from shoal.api.http.disconnects import while_here
from shoal.api.http.idempotency import PASSING, leave_open
from shoal.api.http.openapi_errors import CHANGING, READING_ONE
from shoal.api.http.problems import problem_of
from shoal.api.http.route_rules import ANYBODY
from shoal.api.http.routing import Routes
from shoal.api.http.rule_goods import require_own_goods
from shoal.api.http.table_files import file_headers
from shoal.api.routes.rule_changes import measured, new_rule_ids
from shoal.api.schemas.op_ids import shown_op_id
from shoal.api.schemas.rules import TheLanguage
from shoal.api.schemas.shop_files import MOST_DIFFERENCES, FileApplied, FileRow, ShopFileBody, difference_shapes
from shoal.api.server import Server
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.clock import now_ms
from shoal.concurrency.fair_threads import beside
from shoal.errors import InvalidInput
from shoal.language.catalogue import translate
from shoal.language.choice import Language
from shoal.maintenance.shop_file.applying import Applied, Applying, Outcome
from shoal.maintenance.shop_file.export import Row, file_of, shop_row, written_yaml
from shoal.maintenance.shop_file.file_reader import SMALL
from shoal.maintenance.shop_file.plan import Planner, ShopPlan, StaffChange
from shoal.maintenance.shop_file.reading import ReadFile
from shoal.maintenance.shop_file.sections import Faults
from shoal.maintenance.shop_file.shapes import schema
from shoal.maintenance.shop_file.yaml_values import FileFault, UnusableFile

routes = Routes(tags=["accounts"])

SCHEMA_PATH = "/shops.schema.json"
YAML = "application/yaml"
_MOST_FAULTS = 200


@routes.get(SCHEMA_PATH, summary="Get the schema of a file of shops", dependencies=[ANYBODY], response_class=Response)
async def get_shop_schema() -> Response:
    """Return the JSON schema by which an editor checks a file of shops and completes its names."""
    return Response(to_json(schema()), media_type="application/schema+json")


@routes.get("/export", summary="Export shops as a file", response_class=Response, responses=READING_ONE)
async def export_shops(
    request: Request,
    server: TheServer,
    who: WhoReadsNamed,
    *,
    account: Annotated[list[str] | None, Query(description="Only these; all that the caller sees by default.")] = None,
    format: Annotated[Literal["yaml", "json"], Query(description="`yaml` is easier to edit.")] = "yaml",  # noqa: A002
) -> Response:
    """Return settings, rules, delivery rules and staff of shops as one file, which `POST /apply` takes back.

    It has no secret: no cookie, no proxy, no unit of a stock. Staff are listed for shops that the caller owns.
    """
    rows = [await _row(server, who, one) for one in _chosen(server, who, account)]
    if format == "json":
        data, media_type = (
            await while_here(request, beside(lambda: to_json(file_of(rows), indent=2))),
            "application/json",
        )
    else:
        url = str(request.base_url).rstrip("/") + SCHEMA_PATH
        text = await while_here(request, beside(lambda: written_yaml(file_of(rows), schema_url=url)))
        data, media_type = text.encode(), YAML
    name = f"shops_{now_ms() // 1000}.{format}"
    return Response(data, media_type=media_type, headers=file_headers(name))


@routes.post(
    "/apply",
    summary="Apply a file of shops",
    responses={207: {"model": FileApplied, "description": "Some of the shops failed"}, **CHANGING},
)
async def apply_shops(
    body: ShopFileBody,
    server: TheServer,
    who: WhoOperatesNamed,
    caller: TheCaller,
    request: Request,
    response: Response,
    *,
    language: TheLanguage,
    prune: Annotated[
        bool, Query(description="Also delete item replies and take permissions that the file does not name.")
    ] = False,
    dry_run: Annotated[bool, Query(description="Only report what would change; change nothing.")] = False,
) -> FileApplied:
    """Change shops to what a file says, each in one change; nothing is changed when the file has a fault.

    What the file does not have stays; `rules` and `deliveries` are whole lists. A shop that somebody else changes at
    the same time fails, and the same request goes on with it. No shop is created or deleted. `params.faults` has the
    line, the place and the reason of each fault.
    """
    if caller.if_match is not None:
        raise InvalidInput("a batch has no ETag", code="bad_if_match/batch")
    with _with_faults(language):
        file = await while_here(request, server.shop_files.read(body.file), lasting=len(body.file) > SMALL)
        plans = await _plans(server, who, caller, file, prune=prune)
    applying = Applying(change=server.manager.apply_edit, share=_sharing(server, who, caller), store=server.store)
    applied = await applying.apply(plans, caller, dry_run=dry_run)
    if any(isinstance(one.error, PASSING) for one in applied):
        leave_open(request)
    response.status_code = 207 if any(one.outcome is Outcome.FAILED for one in applied) else 200
    return FileApplied(dry_run=dry_run, accounts=[_shape(one, caller, language) for one in applied])


class _Here(msgspec.Struct, frozen=True):
    """What the sections of a file name on this server."""

    server: Server
    caller: Caller

    async def users(self) -> Mapping[int, str]:
        return {user.id: user.username for user in await self.server.users.list_users()}

    async def goods(self, owner_id: int) -> Mapping[int, str]:
        return {one.id: one.name for one in await self.server.goods.store.list(owner_id)}

    async def measured(self, values: dict[str, Any]) -> dict[str, Any]:
        return await measured(self.server, values)

    async def require_own_goods(self, account: Account, rules: Deliveries) -> None:
        await require_own_goods(self.server, account, rules, self.caller)


def _chosen(server: Server, who: Principal, names: list[str] | None) -> list[Account]:
    if names is None:
        return server.authorization.accounts_of(who)
    return [server.authorization.require(who, name, Permission.READ) for name in dict.fromkeys(names)]


async def _row(server: Server, who: Principal, account: Account) -> Row:
    here = _Here(server, Caller(actor=actor_of(who.user)))
    goods = await here.goods(account.owner_id) if account.deliveries else {}
    staff: Mapping[str, str] | None = None
    if server.authorization.permission_on(who, account) is Permission.OWN:
        grants = server.authorization.staff_of(account)
        names = await here.users() if grants else {}
        staff = {names[one.user_id]: one.permission.word for one in grants if one.user_id in names}
    return await beside(shop_row, account, goods, staff)


async def _plans(server: Server, who: Principal, caller: Caller, file: ReadFile, *, prune: bool) -> list[ShopPlan]:
    planner = Planner(
        authorization=server.authorization,
        here=_Here(server, caller),
        who=who,
        file=file,
        faults=Faults(file),
        prune=prune,
        new_ids=lambda account_id, number: new_rule_ids(replace(caller, op_id=f"{caller.op_id}:{account_id}"), number),
    )
    return await planner.plan()


@contextmanager
def _with_faults(language: Language) -> Iterator[None]:
    """Add to the error of a refused file its faults, in the reader's language."""
    try:
        yield
    except UnusableFile as error:
        rows = [_fault_row(fault, language) for fault in error.faults[:_MOST_FAULTS]]
        lines = "\n".join(
            translate("shop_file.fault" if row["place"] else "shop_file.fault_at_top", language, **row) for row in rows
        )
        raise InvalidInput(str(error), code=error.code, count=len(error.faults), faults=rows, said=lines) from None


def _fault_row(fault: FileFault, language: Language) -> dict[str, Any]:
    return {
        "line": fault.line,
        "place": fault.place,
        "code": fault.error.code.partition("/")[0],
        "detail": problem_of(fault.error).sentence(language, fault.error.params),
    }


def _sharing(server: Server, who: Principal, caller: Caller) -> Callable[[ShopPlan, StaffChange], Any]:
    async def share(plan: ShopPlan, staff: StaffChange) -> None:
        account = server.authorization.require(who, plan.account_id, Permission.OWN)
        if staff.permission is None:
            changed = await server.authorization.take(account.id, staff.user_id)
            event, facts = AuditEvent.PERMISSION_TAKEN, {}
        else:
            changed = await server.authorization.give(
                account, staff.user_id, staff.permission, given_by=actor_of(who.user)
            )
            event, facts = AuditEvent.PERMISSION_GIVEN, {"permission": staff.permission.word}
        if changed:
            await server.audit_log.record(
                event,
                actor=actor_of(who.user),
                user_id=staff.user_id,
                origin=caller.origin,
                account=account.id,
                username=staff.username,
                **facts,
            )

    return share


def _shape(one: Applied, caller: Caller, language: Language) -> FileRow:
    error = one.error
    found = one.plan.differences
    detail = problem_of(error).sentence(language, error.params) if error is not None else ""
    if one.outcome is Outcome.ABSENT:
        detail = translate("shop_file.absent", language)
    return FileRow(
        id=one.plan.account_id,
        outcome=one.outcome,
        code="unknown_account" if one.outcome is Outcome.ABSENT else error.code.partition("/")[0] if error else "",
        detail=detail,
        generation=one.generation,
        rev=one.rev,
        differences=difference_shapes(found, language),
        more=max(0, len(found) - MOST_DIFFERENCES),
        op_id=shown_op_id(f"{caller.op_id}:{one.plan.account_id}"),
    )

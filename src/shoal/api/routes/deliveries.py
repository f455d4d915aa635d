"""Delivery rules of an account: what its buyers get after paying."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import Query, Response

from shoal.accounts import edits
from shoal.accounts.account import Account
from shoal.accounts.change_path import Caller
from shoal.accounts.delivery_edits import Values
from shoal.accounts.delivery_rule import Deliveries
from shoal.api.http.caller import OperateAccount, ReadAccount, TheCaller, TheServer
from shoal.api.http.changes import facts_of, made, untouched
from shoal.api.http.openapi_errors import CHANGING, READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.http.rule_goods import is_done, require_own_goods
from shoal.api.routes.rule_changes import measured
from shoal.api.schemas.deliveries import (
    DeliveriesBody,
    DeliveriesReplaced,
    DeliveryList,
    delivery_list,
    delivery_shape,
    delivery_values,
)
from shoal.api.schemas.responses import etag_of
from shoal.api.server import Server

routes = Routes(tags=["deliveries"])

Mode = Annotated[
    Literal["replace", "merge"],
    Query(description="`replace` deletes rules that are not in the request; `merge` keeps them."),
]
DryRun = Annotated[bool, Query(description="Only report what would change; change nothing.")]


@routes.get("/cookies/{cid}/deliveries", summary="List delivery rules", responses=READING_ONE)
async def list_deliveries(account: ReadAccount, response: Response) -> DeliveryList:
    """List what buyers of each item and spec get after paying."""
    response.headers["ETag"] = etag_of(account)
    return delivery_list(account)


@routes.put("/cookies/{cid}/deliveries", summary="Replace delivery rules", responses=CHANGING)
async def replace_deliveries(
    body: DeliveriesBody,
    account: OperateAccount,
    server: TheServer,
    caller: TheCaller,
    response: Response,
    *,
    mode: Mode = "replace",
    dry_run: DryRun = False,
) -> DeliveriesReplaced:
    """Replace the delivery rules in one change. The rules of one account fit another, so they can be copied.

    A rule that is sent takes the place of the one for the same item, title and spec. Rules of one text for an item or
    the whole shop also show as `paid_message` and `nothing_to_send` in the settings.
    """
    wanted = [await measured(server, delivery_values(row)) for row in body.rules]
    return await replaced(server, account, caller, response, wanted, merge=mode == "merge", dry_run=dry_run)


async def replaced(
    server: Server,
    account: Account,
    caller: Caller,
    response: Response,
    wanted: Sequence[Values],
    *,
    merge: bool,
    dry_run: bool,
) -> DeliveriesReplaced:
    """Replace the delivery rules, or add these (``merge``), or only report what that would change (``dry_run``)."""
    edit = edits.deliveries(wanted, merge=merge)
    if not await is_done(server, caller):
        await require_own_goods(server, account, (await edits.apply_edit(edit, account)).deliveries, caller)
    facts: dict[str, Any]
    if dry_run:
        after = await server.manager.preview_rules(account.id, edit, caller=caller)
        facts = untouched(server, account, caller)
    else:
        change = server.manager.update_deliveries(account.id, edit, caller=caller)
        outcome = await made(server, response, account.id, change, _current)
        after, facts = outcome.account, facts_of(outcome)
    return DeliveriesReplaced(
        dry_run=dry_run,
        **_counts(account.deliveries, after.deliveries),
        rules=[delivery_shape(rule) for rule in after.deliveries],
        **facts,
    )


def _current(account: Account) -> dict[str, Any]:
    """Return the body of a 412: the current rules."""
    return delivery_list(account).model_dump()


def _counts(before: Deliveries, after: Deliveries) -> dict[str, Any]:
    old, new = {rule.key: rule for rule in before}, {rule.key: rule for rule in after}
    same = sum(old.get(key) == rule for key, rule in new.items())
    return {
        "added": len(new.keys() - old.keys()),
        "removed": len(old.keys() - new.keys()),
        "edited": len(new.keys() & old.keys()) - same,
        "unchanged": same,
    }

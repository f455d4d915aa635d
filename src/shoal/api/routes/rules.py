"""An account's rules with all their fields: read, add, change, order and delete one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Path, Query, Response

from shoal.accounts import edits
from shoal.accounts.account import Account
from shoal.accounts.change_path import Caller
from shoal.api.http.caller import OperateAccount, ReadAccount, TheCaller, TheServer
from shoal.api.http.changes import facts_of
from shoal.api.http.json_bodies import has_many_rules, large_answer
from shoal.api.http.openapi_errors import CHANGING, READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.routes.rule_changes import measured, new_rule_ids, rules_made, warnings_about, warnings_found
from shoal.api.schemas.cursors import cursor_of, place_of
from shoal.api.schemas.responses import etag_of
from shoal.api.schemas.rules import (
    OrderBody,
    RuleBody,
    RuleChanged,
    RuleChangesBody,
    RuleList,
    RuleRemoved,
    RuleShape,
    RulesOrdered,
    TheLanguage,
    rule_shape,
    values_of,
)
from shoal.api.server import Server
from shoal.errors import InvalidInput
from shoal.language.choice import Language
from shoal.language.folding import folded
from shoal.rules.rule import Rule

routes = Routes(tags=["rules"])

RuleId = Annotated[str, Path(description="The rule's `id` in the list.", examples=["5f2b9c0d1e3a4b6c"])]

_MOST_LISTED = 1_000


@routes.get(
    "/cookies/{cid}/rules", summary="List rules with all their details", response_model=RuleList, responses=READING_ONE
)
async def list_rules(
    account: ReadAccount,
    server: TheServer,
    language: TheLanguage,
    *,
    q: Annotated[str, Query(max_length=200, description="Only rules with a keyword that contains this text.")] = "",
    item_id: Annotated[str, Query(max_length=64, description="Only rules for this item.")] = "",
    cursor: Annotated[str | None, Query(max_length=200, description="`next` from the previous page.")] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST_LISTED, description="Maximum number of entries.")] = 200,
) -> Response:
    """List rules in matching order, how often each matched, and warnings about rules that never match."""
    (start,) = (0,) if cursor is None else place_of(cursor, 1)
    hits = await server.rule_hits.of(account.id)

    def listed() -> RuleList:
        found = _found(account.keywords, folded(q.strip()), item_id)
        page = found[start : start + limit]
        return RuleList(
            items=[rule_shape(rule, hits) for rule in page],
            warnings=warnings_about(account, {rule.id for rule in page}, language),
            next=cursor_of(start + limit) if start + limit < len(found) else None,
        )

    return await large_answer(listed, large=has_many_rules(account), headers={"ETag": etag_of(account)})


def _found(rules: Sequence[Rule], sought: str, item_id: str) -> list[Rule]:
    return [
        rule
        for rule in rules
        if (not item_id or item_id in rule.item_ids) and (not sought or any(sought in folded(w) for w in rule.words))
    ]


@routes.get("/cookies/{cid}/rules/{rule_id}", summary="Get a rule", responses=READING_ONE)
async def get_rule(rule_id: RuleId, account: ReadAccount, server: TheServer, response: Response) -> RuleShape:
    """Return one rule, how often it matched, and when last."""
    rule = _rule(account, rule_id)
    if rule is None:
        raise InvalidInput("there is no such rule", code="unknown_rule")
    response.headers["ETag"] = etag_of(account)
    return rule_shape(rule, await server.rule_hits.of(account.id))


@routes.post("/cookies/{cid}/rules", summary="Add a rule", responses=CHANGING)
async def add_rule(
    body: RuleBody,
    account: OperateAccount,
    server: TheServer,
    caller: TheCaller,
    response: Response,
    *,
    language: TheLanguage,
) -> RuleChanged:
    """Add a rule after all others of its priority. It applies from the next message on."""
    (rule_id,) = new_rule_ids(caller, 1)
    edit = edits.new_rule(rule_id, await measured(server, values_of(body)))
    return await _rule_changed(server, response, account, (rule_id, edit), caller, language)


@routes.put("/cookies/{cid}/rules/order", summary="Change the order of the rules", responses=CHANGING)
async def order_rules(
    body: OrderBody,
    account: OperateAccount,
    server: TheServer,
    caller: TheCaller,
    response: Response,
    *,
    language: TheLanguage,
) -> RulesOrdered:
    """Set the order in which rules are matched: every id once, none before a rule of a higher priority.

    To move a rule past one of another priority, send its new priority in `priorities`: both are one change.
    """
    outcome = await rules_made(server, response, account.id, edits.rule_order(body.ids, body.priorities), caller)
    ids = [rule.id for rule in outcome.account.keywords]
    warnings = await warnings_found(outcome.account, set(ids), language)
    return RulesOrdered(ids=ids, warnings=warnings, **facts_of(outcome))


@routes.patch("/cookies/{cid}/rules/{rule_id}", summary="Change a rule", responses=CHANGING)
async def change_rule(
    rule_id: RuleId,
    body: RuleChangesBody,
    account: OperateAccount,
    server: TheServer,
    caller: TheCaller,
    response: Response,
    *,
    language: TheLanguage,
) -> RuleChanged:
    """Change the fields that are sent; the others stay."""
    edit = edits.changed_rule(rule_id, await measured(server, values_of(body)))
    return await _rule_changed(server, response, account, (rule_id, edit), caller, language)


@routes.delete("/cookies/{cid}/rules/{rule_id}", summary="Delete a rule", responses=CHANGING)
async def remove_rule(
    rule_id: RuleId, account: OperateAccount, server: TheServer, caller: TheCaller, response: Response
) -> RuleRemoved:
    """Delete one rule. The history keeps its fields."""
    return RuleRemoved(**facts_of(await rules_made(server, response, account.id, edits.no_keyword(rule_id), caller)))


def _rule(account: Account, rule_id: str) -> Rule | None:
    return next((rule for rule in account.keywords if rule.id == rule_id), None)


async def _rule_changed(
    server: Server,
    response: Response,
    account: Account,
    apply_edit: tuple[str, edits.Edit],
    caller: Caller,
    language: Language,
) -> RuleChanged:
    """Change one rule and return it as it is now."""
    rule_id, edit = apply_edit
    hits = await server.rule_hits.of(account.id)  # before the change: a failed read after it would hide success
    outcome = await rules_made(server, response, account.id, edit, caller)
    rule = _rule(outcome.account, rule_id)
    if rule is None:  # deleted since the change
        return RuleChanged(rule=None, warnings=[], **facts_of(outcome))
    warnings = await warnings_found(outcome.account, {rule_id}, language)
    return RuleChanged(rule=rule_shape(rule, hits), warnings=warnings, **facts_of(outcome))

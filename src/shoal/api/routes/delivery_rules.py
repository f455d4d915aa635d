"""Delivery rules by keyword, as scripts for the older system ask for them: views of the rules of all shops."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from shoal.accounts import delivery_edits, edits
from shoal.accounts.account import Account
from shoal.api.http.caller import TheServer
from shoal.api.http.card_caller import CallerOf, TheCallers
from shoal.api.http.goods_caller import WhoAddsGoods, WhoListsGoods
from shoal.api.http.idempotency import ChangingRoute
from shoal.api.http.openapi_errors import CHANGING, READING, READING_ONE, problems
from shoal.api.http.routing import Routes
from shoal.api.schemas.cards import CardRuleBody, CardRuleShape, Made, Said, card_rule_shape
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.errors import Conflict, InvalidInput
from shoal.goods.card_rules import CardRule, card_rules, rule_id
from shoal.goods.cards import Card
from shoal.goods.goods import Goods, UnknownGoods

routes = Routes(tags=["goods"], route_class=ChangingRoute)
RuleId = Annotated[int, Path(ge=1, le=2**53, description="The id of the rule, from the list.", examples=[163511209731])]


@routes.get("/delivery-rules", summary="List delivery rules by keyword", responses={**READING, **problems(403)})
async def list_card_rules(server: TheServer, who: WhoListsGoods) -> list[CardRuleShape]:
    """List the rules by title of the caller's shops, each once, with the cards that they send."""
    return await _shapes(server, who)


@routes.post(
    "/delivery-rules",
    summary="Add a delivery rule by keyword",
    responses=problems(400, 401, 403, 404, 409, 413, 422, 503),
)
async def add_card_rule(body: CardRuleBody, server: TheServer, who: WhoAddsGoods, callers: TheCallers) -> Made:
    """Give each of the caller's shops a rule: buyers of items whose title contains the keyword get the card.

    The spec, the delay and the text are those of the card. A shop that is added later has no such rule.
    """
    goods, card = await _card_of(server, who, body.card_id)
    await _put(server, who, body, goods, card, callers)
    return Made(id=rule_id(body.keyword.strip(), goods.id), message="发货规则创建成功")


@routes.get(
    "/delivery-rules/{card_rule_id}",
    summary="Get a delivery rule by keyword",
    responses={**READING_ONE, **problems(403)},
)
async def get_card_rule(card_rule_id: RuleId, server: TheServer, who: WhoListsGoods) -> CardRuleShape:
    """Return a rule by title with the card that it sends."""
    found = next((one for one in await _shapes(server, who) if one.id == card_rule_id), None)
    if found is None:
        raise UnknownGoods(code="unknown_card_rule")
    return found


@routes.put("/delivery-rules/{card_rule_id}", summary="Change a delivery rule by keyword", responses=CHANGING)
async def change_card_rule(
    card_rule_id: RuleId, body: CardRuleBody, server: TheServer, who: WhoAddsGoods, callers: TheCallers
) -> Said:
    """Put this rule in the place of another on each shop. Its id follows from keyword and card."""
    old = _rule(server, who, card_rule_id)
    goods, card = await _card_of(server, who, body.card_id)
    await _put(server, who, body, goods, card, callers, instead_of=old)
    return Said(message="发货规则更新成功")


@routes.delete("/delivery-rules/{card_rule_id}", summary="Delete a delivery rule by keyword", responses=CHANGING)
async def delete_card_rule(card_rule_id: RuleId, server: TheServer, who: WhoAddsGoods, callers: TheCallers) -> Said:
    """Take a rule by title from each of the caller's shops."""
    old = _rule(server, who, card_rule_id)
    for account in _shops(server, who):
        if any(old.has(rule) for rule in account.deliveries):
            edit = edits.deliveries_instead(old.has, [])
            await server.manager.update_deliveries(account.id, edit, caller=callers(account))
    return Said(message="发货规则删除成功")


def shops_with(server: Server, goods: Goods) -> list[Account]:
    """Return the owner's shops that have a delivery rule for these goods."""
    shops = server.manager.accounts.values()
    mine = (account for account in shops if account.owner_id == goods.owner_id)
    return [account for account in mine if any(rule.goods_id == goods.id for rule in account.deliveries)]


async def remade(server: Server, goods: Goods, before: Card, after: Card, callers: CallerOf) -> None:
    """Let the rules by title of a card follow what it says now."""
    if before == after:
        return
    for account in shops_with(server, goods):
        mine = [rule for rule in account.deliveries if rule.goods_id == goods.id and rule.title_contains]
        wanted = [after.rule(goods, keyword=rule.title_contains, count=rule.count) for rule in mine]
        edit = edits.deliveries_instead(lambda rule: rule.goods_id == goods.id and bool(rule.title_contains), wanted)
        await server.manager.update_deliveries(account.id, edit, caller=callers(account))


async def _put(
    server: Server,
    who: Principal,
    body: CardRuleBody,
    goods: Goods,
    card: Card,
    callers: CallerOf,
    *,
    instead_of: CardRule | None = None,
) -> None:
    if not body.enabled:
        raise InvalidInput("a rule that is off is not kept", code="card_rule_off")
    if not body.keyword.strip():
        raise InvalidInput("a rule has a keyword", code="card_keyword_missing")
    shops = _shops(server, who)
    if not shops:
        raise Conflict("there is no shop to have the rule", code="no_shop_for_rule")
    wanted = card.rule(goods, keyword=body.keyword.strip(), count=body.delivery_count)
    edit = edits.deliveries_instead(lambda rule: instead_of is not None and instead_of.has(rule), [wanted])
    (made,) = delivery_edits.merged((), [wanted])
    for account in shops:
        others = [rule for rule in account.deliveries if rule.place == made.place and rule.goods_id != goods.id]
        if any(instead_of is None or not instead_of.has(rule) for rule in others):
            raise Conflict("another rule is for the same orders", code="card_rule_exists", id=account.id)
    for account in shops:
        await server.manager.update_deliveries(account.id, edit, caller=callers(account))


async def _card_of(server: Server, who: Principal, card_id: int) -> tuple[Goods, Card]:
    goods = await server.goods.store.get(card_id)
    if goods is None or goods.owner_id != who.id:
        raise UnknownGoods(code="unknown_card")
    return goods, (await server.goods.cards.of_owner(who.id)).get(goods.id, Card())


def _rule(server: Server, who: Principal, number: int) -> CardRule:
    found = next((one for one in card_rules(_shops(server, who)) if one.id == number), None)
    if found is None:
        raise UnknownGoods(code="unknown_card_rule")
    return found


def _shops(server: Server, who: Principal) -> list[Account]:
    """Return the shops that the caller owns: goods are for no others."""
    return [one for one in server.authorization.accounts_of(who, Permission.OPERATE) if one.owner_id == who.id]


async def _shapes(server: Server, who: Principal) -> list[CardRuleShape]:
    shops = [one for one in server.authorization.accounts_of(who) if one.owner_id == who.id]
    goods = {one.id: one for one in await server.goods.store.list(who.id)}
    kept = await server.goods.cards.of_owner(who.id)
    rules = [rule for rule in card_rules(shops) if rule.goods_id in goods]
    return [card_rule_shape(rule, goods[rule.goods_id], kept.get(rule.goods_id, Card())) for rule in rules]

"""Delivery rules by keyword, as scripts for the older system ask for them: views of the rules of all shops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import Path

from shoal.accounts import delivery_edits, edits
from shoal.accounts.account import Account
from shoal.accounts.change_path import Caller
from shoal.accounts.delivery_rule import DeliveryRule
from shoal.api.http.caller import TheServer
from shoal.api.http.goods_caller import CallerOfShops, WhoAddsGoods, WhoListsGoods
from shoal.api.http.openapi_errors import CHANGING, POSTING, READING, READING_ONE, problems
from shoal.api.http.routing import Routes
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.errors import Conflict, InvalidInput
from shoal.goods.card_rules import CardRule, card_rules, rule_id
from shoal.goods.cards import Card
from shoal.goods.goods import Goods, UnknownGoods
from shoal.goods.off_rules import OffRule
from shoal.older_system.card_bodies import CardDone, CardRuleBody, CardRuleShape, Made, card_rule_shape

routes = Routes(tags=["goods"])
RuleId = Annotated[int, Path(ge=1, le=2**53, description="The id of the rule, from the list.", examples=[163511209731])]


@routes.get("/delivery-rules", summary="List delivery rules by keyword", responses={**READING, **problems(403)})
async def list_card_rules(server: TheServer, who: WhoListsGoods) -> list[CardRuleShape]:
    """List the rules by title of the caller's shops, each once, with the cards that they send. Some may be off."""
    return await _shapes(server, who)


@routes.post("/delivery-rules", summary="Add a delivery rule by keyword", responses=POSTING)
async def add_card_rule(body: CardRuleBody, server: TheServer, who: WhoAddsGoods, caller: CallerOfShops) -> Made:
    """Give each of the caller's shops a rule: buyers of items whose title contains the keyword get the card.

    The spec, the delay and the text are those of the card. All shops get it or none. A shop that is added later has
    no such rule. One that is not `enabled` is kept, and no shop has it.
    """
    goods, card = await _card_of(server, who, body.card_id)
    await _set(server, who, body, goods, card, caller=caller, old=None)
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
    card_rule_id: RuleId, body: CardRuleBody, server: TheServer, who: WhoAddsGoods, caller: CallerOfShops
) -> CardDone:
    """Put this rule in the place of another on each shop, on all or none. Its id follows from keyword and card. What
    the request does not name stays, such as a confirmation that was set in the console. A rule that is not `enabled` is
    taken from each shop and kept as it was there, until it is enabled again.
    """
    old = await _rule(server, who, card_rule_id, caller)
    goods, card = await _card_of(server, who, body.card_id)
    await _set(server, who, body, goods, card, caller=caller, old=old)
    return CardDone(message="发货规则更新成功")


@routes.delete("/delivery-rules/{card_rule_id}", summary="Delete a delivery rule by keyword", responses=CHANGING)
async def delete_card_rule(
    card_rule_id: RuleId, server: TheServer, who: WhoAddsGoods, caller: CallerOfShops
) -> CardDone:
    """Take a rule by title from each of the caller's shops, from all or none."""
    old = await _rule(server, who, card_rule_id, caller)
    if old is None:
        return CardDone(message="发货规则删除成功")
    await _take(server, who, [old], caller)
    await server.goods.off_rules.forget(old)
    return CardDone(message="发货规则删除成功")


def shops_with(server: Server, goods: Goods) -> list[Account]:
    """Return the owner's shops that have a delivery rule for these goods."""
    shops = server.manager.accounts.values()
    mine = (account for account in shops if account.owner_id == goods.owner_id)
    return [account for account in mine if any(rule.goods_id == goods.id for rule in account.deliveries)]


async def remade(server: Server, before: tuple[Goods, Card], after: tuple[Goods, Card], caller: Caller) -> None:
    """Let the rules by title of a card follow what was changed of it. All else of them stays, such as a confirmation
    that was set in the console.
    """
    (old, card), (goods, changed) = before, after
    was, now = (one.rule(of, keyword="", count=1) for of, one in ((old, card), (goods, changed)))
    named = {name: value for name, value in now.items() if was[name] != value}
    if not named:
        return
    edit = edits.deliveries_instead(
        lambda rule: rule.goods_id == goods.id and bool(rule.title_contains),
        lambda rules: [{**delivery_edits.values_of(rule), **named} for rule in rules],
    )
    shops = [account.id for account in shops_with(server, goods)]
    await server.manager.update_deliveries_of(dict.fromkeys(shops, edit), caller=caller)


async def _set(
    server: Server,
    who: Principal,
    body: CardRuleBody,
    goods: Goods,
    card: Card,
    *,
    caller: Caller,
    old: CardRule | None,
) -> None:
    """Put a rule on the shops, or keep it off. What is off is kept before it is taken from them, and is forgotten after
    it is on them: at no moment between is there neither.
    """
    keyword = body.keyword.strip()
    if not keyword:
        raise InvalidInput("a rule has a keyword", code="card_keyword_missing")
    new = CardRule(id=rule_id(keyword, goods.id), keyword=keyword, goods_id=goods.id, count=body.delivery_count)
    off = await server.goods.off_rules.of_owner(who.id)
    kept = next((off[one.id][1].shops for one in (old, new) if one is not None and one.id in off), {})
    if body.enabled:
        await _put(server, who, body, goods, card, caller, instead_of=old, kept=kept)
    else:
        gone = [new] if old is None else [new, old]
        there = {one.id: _values(one, gone) for one in _shops(server, who)}
        shops = kept | {name: values for name, values in there.items() if values}
        await server.goods.off_rules.keep(goods.id, OffRule(keyword=keyword, count=body.delivery_count, shops=shops))
        await _take(server, who, gone, caller)
    for one in (old, new):
        if one is not None and one.id in off and (body.enabled or one.id != new.id):
            await server.goods.off_rules.forget(one)


def _values(account: Account, rules: Sequence[CardRule]) -> list[dict[str, Any]]:
    """Return the values of an account's delivery rules that are part of these."""
    mine = (rule for rule in account.deliveries if any(one.has(rule) for one in rules))
    return [delivery_edits.values_of(rule) for rule in mine]


async def _take(server: Server, who: Principal, rules: Sequence[CardRule], caller: Caller) -> None:
    """Take rules from each of the caller's shops, from all or none."""
    shops = [one.id for one in _shops(server, who) if _values(one, rules)]
    edit = edits.deliveries_instead(lambda rule: any(one.has(rule) for one in rules), lambda _: [])
    await server.manager.update_deliveries_of(dict.fromkeys(shops, edit), caller=caller)


async def _put(
    server: Server,
    who: Principal,
    body: CardRuleBody,
    goods: Goods,
    card: Card,
    caller: Caller,
    *,
    instead_of: CardRule | None,
    kept: Mapping[str, Sequence[Mapping[str, Any]]],
) -> None:
    """Put a rule on each shop. ``kept``: what it was on each before it was switched off."""
    shops = _shops(server, who)
    if not shops:
        raise Conflict("there is no shop to have the rule", code="no_shop_for_rule")
    wanted = card.rule(goods, keyword=body.keyword.strip(), count=body.delivery_count)
    (made,) = delivery_edits.merged((), [wanted])

    def is_old(rule: DeliveryRule) -> bool:
        return (instead_of is not None and instead_of.has(rule)) or (
            rule.goods_id == goods.id and rule.place == made.place
        )

    for account in shops:
        if any(rule.place == made.place and not is_old(rule) for rule in account.deliveries):
            raise Conflict("another rule is for the same orders", code="card_rule_exists", id=account.id)

    def edit(account: Account) -> edits.Edit:
        before = delivery_edits.replaced((), kept.get(account.id, ()))
        return edits.deliveries_instead(is_old, lambda rules: _changed(rules or before, goods, wanted))

    await server.manager.update_deliveries_of({account.id: edit(account) for account in shops}, caller=caller)


def _changed(rules: Sequence[DeliveryRule], goods: Goods, wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rules with what a request names: the keyword, the card and how many of it. All else stays; the text,
    the delay and the spec are those of the card only where the card is another one.
    """
    same = [rule for rule in rules if rule.goods_id == goods.id]
    if not same:
        kept = {"confirm": rules[0].confirm} if rules else {}
        return [{**wanted, **kept}]
    named = {name: wanted[name] for name in ("title_contains", "count")}
    return [{**delivery_edits.values_of(rule), **named} for rule in same]


async def _card_of(server: Server, who: Principal, card_id: int) -> tuple[Goods, Card]:
    goods = await server.goods.store.get(card_id)
    if goods is None or goods.owner_id != who.id:
        raise UnknownGoods(code="unknown_card")
    return goods, (await server.goods.cards.of_owner(who.id)).get(goods.id, Card())


async def _rules(server: Server, who: Principal, shops: Sequence[Account]) -> list[CardRule]:
    """Return the rules of these shops, and those that are off."""
    on = card_rules(shops)
    off = await server.goods.off_rules.of_owner(who.id)
    return [*on, *(listed for number, (listed, _) in off.items() if all(one.id != number for one in on))]


async def _rule(server: Server, who: Principal, number: int, caller: Caller) -> CardRule | None:
    """Return a rule; ``None`` when an earlier try of the same request put it away."""
    found = next((one for one in await _rules(server, who, _shops(server, who)) if one.id == number), None)
    if found is None and not caller.repeats:
        raise UnknownGoods(code="unknown_card_rule")
    return found


def _shops(server: Server, who: Principal) -> list[Account]:
    """Return the shops that the caller owns: goods are for no others."""
    return [one for one in server.authorization.accounts_of(who, Permission.OPERATE) if one.owner_id == who.id]


async def _shapes(server: Server, who: Principal) -> list[CardRuleShape]:
    shops = [one for one in server.authorization.accounts_of(who) if one.owner_id == who.id]
    goods = {one.id: one for one in await server.goods.store.list(who.id)}
    kept = await server.goods.cards.of_owner(who.id)
    rules = [rule for rule in await _rules(server, who, shops) if rule.goods_id in goods]
    return [card_rule_shape(rule, goods[rule.goods_id], kept.get(rule.goods_id, Card())) for rule in rules]

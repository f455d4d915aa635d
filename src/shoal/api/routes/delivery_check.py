"""Whether an account's items would be delivered, and what a buyer would get: nothing is sent."""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from pydantic import BaseModel, Field

from shoal.accounts.account import Account
from shoal.accounts.delivery_rule import folded_spec
from shoal.api.advice import advice_on
from shoal.api.http.caller import ReadAccount, TheServer
from shoal.api.http.idempotency import ignores_keys
from shoal.api.http.openapi_errors import READING_ONE, problems
from shoal.api.http.routing import Routes
from shoal.api.http.rule_goods import stock_of_rules
from shoal.api.routes.compared_items import compared
from shoal.api.routes.items_anywhere import items_of
from shoal.api.schemas.request_texts import Text, body_example
from shoal.api.schemas.responses import example
from shoal.api.schemas.rules import TheLanguage
from shoal.api.server import Server
from shoal.concurrency.fair_threads import beside
from shoal.errors import ShoalError
from shoal.items.known_items import named_items
from shoal.language.choice import Language
from shoal.orders.delivery_check import AnyObstacle, Checked, SpecObstacle, check_items, check_purchase
from shoal.orders.explain_order import messages_of
from shoal.orders.order_status import sentence_of
from shoal.orders.sold_specs import sold_specs
from shoal.rules.rule import Part
from shoal.storage.spec_incidents import MOST_NAMED

routes = Routes(tags=["deliveries"])
log = structlog.get_logger("shoal.deliveries")

EXAMPLE_ORDER = "1000000000000000001"
SITE_SECONDS = 3.0
"""How long an answer waits for the pages of items. Those that come later count in the next."""


class CheckedItem(BaseModel):
    """One item and spec. ``ok``: a buyer gets ``gets``; else ``obstacle`` is the first thing in the way.

    ``detail`` says what it is, ``do`` what to do about it. ``confirms``: the shipment is confirmed afterwards.
    ``rule_spec``: the spec that the rule names, empty when it names none; null without a rule. When it is not ``spec``,
    it is a value alone that only this spec of the item has.
    """

    item_id: str
    title: str
    spec: str
    rule_spec: str | None
    ok: bool
    obstacle: AnyObstacle | None
    detail: str
    do: str
    gets: list[str]
    goods_id: int | None
    confirms: bool


class DeliveryCheck(BaseModel):
    """Every item on sale, with what its buyers would get.

    ``listed``: the items are those of the site's own list; otherwise (the shop is not connected, or the site did not
    answer) those of the rules and orders. ``reading``: how many pages of items are still being read, so that their
    specs are compared with the rules soon.
    """

    model_config = example(
        listed=True, reading=0, items=[{
            "item_id": "700000000001", "title": "电子书", "spec": "时长:月卡", "rule_spec": None, "ok": False,
            "obstacle": "unknown_spec", "detail": "规格“时长:月卡”没有发货规则，只有其他规格的。",
            "do": "为这个规格添加一条发货规则。", "gets": [], "goods_id": None, "confirms": False,
        }],
    )  # fmt: skip
    listed: bool
    reading: int
    items: list[CheckedItem]


class TriedPurchaseBody(BaseModel):
    """What is bought, in a rehearsal. The ids stand for the variables of a text; left out: examples."""

    model_config = body_example(item_id="700000000001", spec="时长:月卡", quantity=2)
    item_id: Text
    spec: Text = ""
    quantity: int = Field(1, ge=1, le=10_000)
    order_id: Text = EXAMPLE_ORDER
    buyer_id: Text = ""


class TriedPurchase(BaseModel):
    """The messages that the buyer would get, with example codes, and what stands in the way. Pictures are addresses."""

    model_config = example(messages=["您的卡密：EXAMPLE-0001"], obstacle=None, detail="", do="", confirms=True)
    messages: list[str]
    obstacle: AnyObstacle | None
    detail: str
    do: str
    confirms: bool


@routes.get("/cookies/{cid}/deliveries/check", summary="Check whether items would be delivered", responses=READING_ONE)
async def check_deliveries(account: ReadAccount, server: TheServer, language: TheLanguage) -> DeliveryCheck:
    """Return for each item on sale and each spec what a buyer would get, or the one thing that stands in the way.

    The items are asked of the site, page by page, at most once a minute. Specs are those that an item's own page shows,
    and those of orders since. The pages of items whose rules name specs are read, at most 20 at a time, and at most
    once a minute each.
    """
    titles = await _on_sale(server, account)
    sold = await server.database.read(lambda connection: sold_specs(connection, account.id))
    known = titles if titles is not None else dict.fromkeys(sorted({*sold, *named_items(account)}), "")
    found = await compared(server, account, known, sold, seconds=SITE_SECONDS)
    stock = await stock_of_rules(server, account.deliveries)
    await server.manager.look([account.id])
    observed = server.manager.observation(account.id)

    def checked() -> list[CheckedItem]:
        return [_line(account, line, language) for line in check_items(account, observed, stock, found.items)]

    items = await beside(checked)  # a shop may have thousands of lines
    return DeliveryCheck(listed=titles is not None, reading=found.reading, items=items)


@routes.post(
    "/cookies/{cid}/deliveries/try", summary="Rehearse a purchase", responses=problems(400, 401, 404, 413, 422, 503)
)
@ignores_keys
async def try_purchase(
    body: TriedPurchaseBody, account: ReadAccount, server: TheServer, language: TheLanguage
) -> TriedPurchase:
    """Return the very messages that a buyer would get, with example codes. Nothing is sent or taken from the stock."""
    titles = await _on_sale(server, account) or {}
    sold = await server.database.read(lambda connection: sold_specs(connection, account.id))
    named = {body.item_id: titles.get(body.item_id, "")}
    (item,) = (await compared(server, account, named, sold, seconds=SITE_SECONDS)).items
    stock = await stock_of_rules(server, account.deliveries)
    await server.manager.look([account.id])
    observed = server.manager.observation(account.id)
    line = check_purchase(account, observed, stock, item, folded_spec(body.spec), body.quantity)
    codes = [f"EXAMPLE-{number:04}" for number in range(1, min(line.explained.wanted, 200) + 1)]
    values = {
        "send_user_name": "", "send_user_id": body.buyer_id, "send_message": "", "item_id": body.item_id,
        "order_id": body.order_id,
    }  # fmt: skip
    detail, do = _advice(line, language)
    parts = () if line.explained.sends_nothing else messages_of(line.explained, codes, values)
    return TriedPurchase(
        messages=[_shown(part) for part in parts],
        obstacle=line.obstacle,
        detail=detail,
        do=do,
        confirms=_confirms(account, line),
    )


async def _on_sale(server: Server, account: Account) -> Mapping[str, str] | None:
    try:
        listed = await items_of(server, account)
    except ShoalError as error:
        log.info("items on sale not read", account=account.id, why=error.code)
        return None
    return None if listed is None else listed.titles


def _line(account: Account, line: Checked, language: Language) -> CheckedItem:
    rule, (detail, do) = line.explained.rule, _advice(line, language)
    return CheckedItem(
        item_id=line.item.item_id,
        title=line.item.title or "",
        spec=line.spec,
        rule_spec=rule.spec if rule is not None else None,
        ok=line.obstacle is None,
        obstacle=line.obstacle,
        detail=detail,
        do=do,
        gets=[_shown(part) for part in line.explained.parts],
        goods_id=rule.goods_id if rule is not None else None,
        confirms=_confirms(account, line),
    )


def _advice(line: Checked, language: Language) -> tuple[str, str]:
    if line.obstacle is None:
        return "", ""
    specs = line.item.specs
    without = line.obstacle is SpecObstacle.NO_SUCH_SPEC and not specs
    name = "no_specs" if without else sentence_of(line.obstacle.value, line.spec)
    shown = (*specs[:MOST_NAMED], *("…" for _ in specs[MOST_NAMED : MOST_NAMED + 1]))
    return advice_on(f"obstacle.{name}", language, {"spec": line.spec, "specs": shown})


def _confirms(account: Account, line: Checked) -> bool:
    rule = line.explained.rule
    return account.auto_confirm and rule is not None and rule.confirm != "no"


def _shown(part: Part) -> str:
    return part.image_url or part.text

"""The items that are known of shops, as scripts for the older system ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated

from fastapi import Path, Request, Response
from sqlalchemy import Connection

from shoal.accounts.account import Account
from shoal.api.http.caller import AccountToRead, TheServer, WhoReads, WhoReadsNamed
from shoal.api.http.json_bodies import large_answer
from shoal.api.http.openapi_errors import READING, READING_COMPAT, problems
from shoal.api.http.problems import problem_of
from shoal.api.http.routing import Routes
from shoal.api.routes.items_anywhere import items_of, items_soon, kept_items
from shoal.api.schemas.rules import TheLanguage
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.errors import InvalidInput, ShoalError
from shoal.items.known_items import KnownItem, known_items
from shoal.language.choice import Language
from shoal.messages.manual_sending import NotConnected
from shoal.older_system.item_bodies import (
    AccountOfItemsBody,
    ItemPageAnswer,
    ItemPageBody,
    ItemsRequested,
    KnownItemAnswer,
    KnownItems,
    KnownItemShape,
    ShortItems,
    known_item_shape,
    short_item,
)
from shoal.orders.sold_specs import sold_specs
from shoal.storage.known_item_rows import ItemFacts, ItemKey, items_of_shops
from shoal.xianyu.items_on_sale import PAGE_SIZE

routes = Routes(tags=["items"])

ItemId = Annotated[str, Path(description="The item's id on the site.", examples=["700000000001"])]
SITE_SECONDS = 3.0
"""How long a list of one account waits for the site. The site is asked at most once a minute."""
_READ_AT_ONCE = 100
"""Of how many accounts the sold items are read in one turn of the database."""
_MANY = 200
"""A list of more items is made on another thread."""
_ASKING = problems(400, 401, 403, 413, 422, 503)


@routes.get("/items", summary="List known items (older system)", response_model=KnownItems, responses=READING)
async def list_known_items(server: TheServer, who: WhoReads) -> Response:
    """List the items of the caller's accounts: those with settings or delivery rules, those sold, and those of the
    site's list where it was asked for within a day. The site is not asked.
    """
    shapes = await items_of_all(server, who)
    return await large_answer(lambda: KnownItems(items=list(shapes())), large=True)


async def items_of_all(server: Server, who: Principal) -> Callable[[], Iterator[KnownItemShape]]:
    """Return what makes the items of all accounts of a caller, which takes long for many: not for the event loop."""
    mine = server.authorization.accounts_of(who)
    listed = await kept_items(server, mine)
    sold: dict[str, dict[str, dict[str, int]]] = {}
    facts: dict[ItemKey, ItemFacts] = {}
    for start in range(0, len(mine), _READ_AT_ONCE):
        of_some, more = await server.database.read(partial(_sold, accounts=mine[start : start + _READ_AT_ONCE]))
        sold |= of_some
        facts |= more

    def shapes() -> Iterator[KnownItemShape]:
        for account in mine:
            on_sale = listed[account.id]
            for item in known_items(account, on_sale.titles, on_sale.prices, sold[account.id], facts):
                yield known_item_shape(account.id, item)

    return shapes


@routes.get(
    "/items/cookie/{cid}",
    summary="List an account's known items (older system)",
    response_model=KnownItems,
    responses=READING_COMPAT,
)
async def list_known_items_of(account: AccountToRead, server: TheServer) -> Response:
    """List the items of one account: those on sale, asked of the site at most once a minute, and the others known."""
    items = await _of(server, account)
    return await large_answer(
        lambda: KnownItems(items=[known_item_shape(account.id, item) for item in items]), large=len(items) > _MANY
    )


@routes.get("/items/{cid}", summary="List an account's items to choose from", responses=READING_COMPAT)
async def list_items_to_choose(account: AccountToRead, server: TheServer) -> ShortItems:
    """List the items of one account as `GET /items/cookie/{cid}`, with titles and prices only."""
    items = [short_item(one) for one in await _of(server, account)]
    return ShortItems(items=items, count=len(items))


@routes.get(
    "/items/{cid}/{item_id}",
    summary="Get a known item (older system)",
    responses={**READING_COMPAT, **problems(404)},
)
async def get_known_item(item_id: ItemId, account: AccountToRead, server: TheServer) -> KnownItemAnswer:
    """Return one item of the account's list."""
    found = next((item for item in await _of(server, account) if item.item_id == item_id), None)
    if found is None:
        raise InvalidInput("nothing is known of that item", code="unknown_item/old")
    return KnownItemAnswer(item=known_item_shape(account.id, found))


@routes.post("/items/get-all-from-account", summary="Ask the site for all items (older system)", responses=_ASKING)
async def ask_for_all_items(
    body: AccountOfItemsBody, server: TheServer, who: WhoReadsNamed, request: Request, language: TheLanguage
) -> ItemsRequested:
    """Read the site's list of the items on sale, and count them. A failure is answered with `success: false`."""
    try:
        on_sale = await _asked(server, who, body.cookie_id, request)
    except _NotAsked as failure:
        return ItemsRequested(success=False, message=failure.sentence(language))
    pages = -(-len(on_sale) // PAGE_SIZE)
    message = f"成功获取 {len(on_sale)} 个商品（共{pages}页）"
    return ItemsRequested(success=True, message=message, total_count=len(on_sale), total_pages=pages)


@routes.post("/items/get-by-page", summary="Ask the site for a page of items (older system)", responses=_ASKING)
async def ask_for_item_page(
    body: ItemPageBody, server: TheServer, who: WhoReadsNamed, request: Request, language: TheLanguage
) -> ItemPageAnswer:
    """Read the site's list of the items on sale, and count those of a page, as `POST /items/get-all-from-account`."""
    try:
        on_sale = await _asked(server, who, body.cookie_id, request)
    except _NotAsked as failure:
        return ItemPageAnswer(success=False, message=failure.sentence(language))
    count = len(list(on_sale)[(body.page_number - 1) * body.page_size :][: body.page_size])
    return ItemPageAnswer(
        success=True,
        message=f"成功获取第{body.page_number}页 {count} 个商品",
        page_number=body.page_number,
        page_size=body.page_size,
        current_count=count,
    )


class _NotAsked(Exception):
    """The site's list was not read."""

    def __init__(self, cause: ShoalError) -> None:
        super().__init__(cause.code)
        self._cause = cause

    def sentence(self, language: Language) -> str:
        return problem_of(self._cause).sentence(language, self._cause.params)


async def _asked(server: Server, who: Principal, account_id: str, request: Request) -> Mapping[str, str]:
    """Return the titles of the items on sale. Raise ``UnknownAccount``, and ``_NotAsked``."""
    request.state.unknown_account = "unknown_account/read"
    account = server.authorization.require(who, account_id, Permission.READ)
    try:
        listed = await items_of(server, account)
    except ShoalError as error:
        raise _NotAsked(error) from None
    if listed is None:
        raise _NotAsked(NotConnected(code="not_connected/items"))
    return listed.titles


async def _of(server: Server, account: Account) -> list[KnownItem]:
    listed = await items_soon(server, account, seconds=SITE_SECONDS)
    sold, facts = await server.database.read(partial(_sold, accounts=[account]))
    return known_items(account, listed.titles, listed.prices, sold[account.id], facts)


def _sold(
    connection: Connection, accounts: Sequence[Account]
) -> tuple[dict[str, dict[str, dict[str, int]]], dict[ItemKey, ItemFacts]]:
    """Return the specs in which each item of accounts was sold, and what the site reported of their items."""
    sold = {account.id: sold_specs(connection, account.id) for account in accounts}
    return sold, items_of_shops(connection, list(sold)) if sold else {}

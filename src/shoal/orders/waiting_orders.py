"""Orders that wait for units of goods: which there are, and which of them the stock is enough for. Oldest first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import msgspec
from sqlalchemy import Connection, and_, select

from shoal.accounts.account import Account
from shoal.goods.goods import Goods, Stock
from shoal.goods.goods_store import GoodsStore, stock_of
from shoal.goods.unit_states import UnitState
from shoal.items.item_page_rows import read_stored_pages
from shoal.orders.delivery_check import stock_ids
from shoal.orders.explain_order import MAX_UNITS, Obstacle, Purchase, explain_order, purchase_of
from shoal.orders.order_actions import Action, ActionState
from shoal.orders.order_records import Order, order_of
from shoal.orders.order_status import NOTHING_DUE
from shoal.orders.order_store import OrderStore
from shoal.storage.among import among
from shoal.storage.database import Database
from shoal.storage.known_item_rows import ItemKey
from shoal.storage.order_tables import order_actions, orders

MOST_WAITING = 1_000
"""How many waiting orders of an owner are looked at."""


Titles = Callable[[Account], Awaitable[Mapping[str, str]]]
"""Returns the titles of an account's items by their ids, as far as they are known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitingOrder:
    """An order whose ``action`` waits for units. It ``gets`` all of them or none; ``obstacle`` says why none."""

    order: Order
    action: Action
    wanted: int
    gets: int
    obstacle: Obstacle | None


class OutOfStock(msgspec.Struct, frozen=True, kw_only=True):
    """An order that was out of stock, and what it buys by its page and its item's title."""

    account: Account
    order: Order
    action: Action
    purchase: Purchase


def share_out(
    goods: Goods, left: int | None, stock: Mapping[int, Stock], found: Iterable[OutOfStock]
) -> list[WaitingOrder]:
    """Return the orders whose rule names the goods, with what each gets of the units ``left`` (``None``: no limit).

    An order that needs more than what is left gets none, and a later one that needs less gets its units.
    """
    waiting = []
    for one in found:
        free = MAX_UNITS if left is None else left
        explained = explain_order(one.account, {**stock, goods.id: stock_of(goods, free)}, one.purchase)
        if explained.rule is None or explained.rule.goods_id != goods.id:
            continue
        gets = 0 if explained.obstacle is not None else explained.wanted
        left = None if left is None else left - gets
        waiting.append(
            WaitingOrder(
                order=one.order, action=one.action, wanted=explained.wanted, gets=gets, obstacle=explained.obstacle
            )
        )
    return waiting


class WaitingOrders:
    """Finds the orders that wait for goods, and has them served."""

    def __init__(
        self,
        database: Database,
        store: GoodsStore,
        order_store: OrderStore,
        accounts: Callable[[], Collection[Account]],
        titles: Titles,
    ) -> None:
        """``accounts`` returns the published accounts. ``titles`` is asked only for rules by title."""
        self._database = database
        self._store = store
        self._order_store = order_store
        self._accounts = accounts
        self._titles = titles

    async def of_goods(self, goods: Goods) -> list[WaitingOrder]:
        """Return the orders that were not served because these goods were out of stock, oldest first."""
        mine = {
            account.id: account
            for account in self._accounts()
            if account.owner_id == goods.owner_id and goods.id in stock_ids(account)
        }
        if not mine:
            return []
        found = await self._database.read(lambda connection: _out_of_stock(connection, mine))
        titles = {
            account.id: await self._titles(account)
            for account in mine.values()
            if _by_title(account, goods) and any(order.account_id == account.id for order, _ in found)
        }
        specs = await self._database.read(lambda connection: _item_specs(connection, mine, goods, found))
        free = (await self._store.counts([goods.id]))[goods.id][UnitState.FREE]
        left = (await self._store.uses_left([goods])).get(goods.id, free) if free else 0
        stock = await self._store.stock({goods_id for account in mine.values() for goods_id in stock_ids(account)})
        waiting = (
            OutOfStock(
                account=mine[order.account_id],
                order=order,
                action=action,
                purchase=purchase_of(
                    order,
                    title=titles.get(order.account_id, {}).get(order.item_id or ""),
                    item_specs=specs.get((order.account_id, order.item_id or "")),
                ),
            )
            for order, action in found
        )
        return share_out(goods, left, stock, waiting)

    async def serve(
        self, goods: Goods, *, actor: str, only: Collection[tuple[str, str]] | None = None
    ) -> list[WaitingOrder]:
        """Ask again for each waiting order that the stock is enough for (``only``: those of these accounts and ids).

        Return all waiting orders as they were; ``gets`` is 0 for one that is not asked for. An account that is not
        connected serves its orders when it is.
        """
        asked = []
        for one in await self.of_goods(goods):
            key = (one.order.account_id, one.order.order_id)
            is_wanted = one.gets > 0 and (only is None or key in only)
            is_asked = is_wanted and await self._order_store.ask_again(*key, one.action, actor=actor)
            asked.append(one if is_asked else replace(one, gets=0))
        return asked


def _by_title(account: Account, goods: Goods) -> bool:
    return any(rule.title_contains and rule.goods_id == goods.id for rule in account.deliveries)


def _item_specs(
    connection: Connection, accounts: Mapping[str, Account], goods: Goods, found: Iterable[tuple[Order, Action]]
) -> dict[ItemKey, tuple[str, ...] | None]:
    """Return the specs of the items that were bought, of the accounts with rules by spec for the goods."""
    items: defaultdict[str, set[str]] = defaultdict(set)
    for order, _ in found:
        rules = accounts[order.account_id].deliveries
        if order.item_id and any(rule.spec and rule.goods_id == goods.id for rule in rules):
            items[order.account_id].add(order.item_id)
    return {
        (account_id, item_id): page.item_specs
        for account_id, of_account in items.items()
        for item_id, page in read_stored_pages(connection, accounts[account_id], of_account).items()
    }


def _out_of_stock(connection: Connection, account_ids: Collection[str]) -> list[tuple[Order, Action]]:
    """Return the orders with the action that waits: that of the message, or of the group price before it."""
    same = and_(order_actions.c.account_id == orders.c.account_id, order_actions.c.order_id == orders.c.order_id)
    query = (
        select(orders, order_actions.c.action)
        .join(order_actions, same)
        .where(
            among(orders.c.account_id, account_ids),
            orders.c.problem == Obstacle.OUT_OF_STOCK.value,
            orders.c.status.not_in([status.value for status in NOTHING_DUE]),
            order_actions.c.action.in_([Action.FREE_SHIPPING.value, Action.PAID_MESSAGE.value]),
            order_actions.c.state == ActionState.FAILED.value,
            order_actions.c.detail == Obstacle.OUT_OF_STOCK.value,
        )
        .order_by(orders.c.created_at_ms, orders.c.account_id, orders.c.order_id)
        .limit(MOST_WAITING)
    )
    rows = connection.execute(query).mappings()
    return [(order_of(row), Action(row["action"])) for row in rows]

"""A shop with goods in both databases, whose orders are begun, sent and settled without a site."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from sqlalchemy import select

from shoal.goods.bindings import units_of_order
from shoal.goods.goods import Goods
from shoal.goods.imports import Imports
from shoal.goods.unit_lines import lines_of_list
from shoal.goods.unit_messages import UnitMessages
from shoal.messages.outbox import Outbox
from shoal.messages.outbox_rows import OutboxKind, OutboxRow, Sending, SendOutcome
from shoal.orders.delivery_rows import Delivery, read_delivery
from shoal.orders.delivery_store import Begun
from shoal.orders.order_store import OrderStore
from shoal.orders.planned_messages import PlannedMessage
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.schema import accounts
from shoal.storage.vault import Vault
from support.databases.store_steps import Clock, an_account, created
from support.orders.goods_steps import an_owner, by, some_goods, unit_texts

_numbers = itertools.count()
CODES = [f"CANARY7-{number:04}" for number in range(4)]


class Shop:
    """A book of orders that can open units, with goods and an outbox."""

    def __init__(self, book: OrderStore, sealed: UnitMessages, goods: Goods, unb: str, clock: Clock) -> None:
        self.book, self.sealed, self.goods, self.unb = book, sealed, goods, unb
        self.database = book._database
        self.outbox = Outbox(self.database, now_ms=clock, sealed=sealed)

    def planned(self, order_id: str, count: int = 2) -> Delivery:
        """A greeting, then a message for each unit."""
        each = (PlannedMessage(text="码 {codes}", first=number, count=1) for number in range(count))
        return Delivery(
            unb=self.unb, order_id=order_id, owner_id=self.goods.owner_id, goods_id=self.goods.id, wanted=count,
            messages=(PlannedMessage(text="您好"), *each),
        )  # fmt: skip

    async def begin(
        self, order_id: str, count: int = 2, account_id: str = "shop", *, may: Callable[[], bool] = lambda: True
    ) -> Begun:
        """Begin a delivery, or go on with one."""
        found = await self.delivery(order_id, account_id)
        delivery = found if found is not None and found.state.goes_on else self.planned(order_id, count)
        rows = [
            OutboxRow(
                account_id=account_id, chat_id="c", uuid=f"{account_id}-{order_id}-{part}-{next(_numbers)}",
                kind=OutboxKind.PAID, order_id=order_id, buyer_id="b", text=one.text, part=part,
            )
            for part, one in enumerate(delivery.messages)
            if part >= delivery.arrived
        ]  # fmt: skip
        return await self.book.deliveries.begin(account_id, delivery, rows, may)

    async def delivery(self, order_id: str, account_id: str = "shop") -> Delivery | None:
        """The delivery of an order."""
        return await self.database.read(lambda connection: read_delivery(connection, account_id, order_id))

    async def arrived(self, sendings: Sequence[Sending]) -> None:
        """Let these messages arrive."""
        for sending in sendings:
            await self.outbox.begin(sending)
            assert await self.outbox.settle(sending.id, SendOutcome.SENT, "", f"s{sending.id}")

    async def texts(self, sendings: Sequence[Sending]) -> list[str]:
        """The texts as the buyer gets them."""
        return [await self.outbox.text_of(one.row) for one in sendings]

    async def units(self, order_id: str) -> list[tuple[int, str]]:
        """The units of an order, with the states of their bindings."""
        found = await self.database.read(lambda connection: units_of_order(connection, self.unb, order_id))
        return [(one.unit_id, one.state) for one in found]


async def a_shop(database: Database, vault: Vault, manager: DBManager, clock: Clock) -> Shop:
    """The shop, beside another one of another seller."""
    await created(manager, an_account("shop"), an_account("other"))
    goods = await some_goods(database, await an_owner(database))
    texts = await unit_texts(database, vault)
    await Imports(database, texts).run(goods, lines_of_list(CODES), by())
    number = select(accounts.c.unb).where(accounts.c.id == "shop")
    unb = str(await database.read(lambda connection: connection.scalar(number)))
    return Shop(OrderStore(database, now_ms=clock, texts=texts), UnitMessages(texts), goods, unb, clock)

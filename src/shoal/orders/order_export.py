"""Orders as a file: CSV or Excel, page by page in constant memory, shop by shop, newest first."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, func, literal, select

from shoal.errors import InvalidInput
from shoal.language.catalogue import translate
from shoal.language.choice import Language
from shoal.orders.order_lists import ListedOrder, Place, SoughtOrders, after, narrowed, with_names
from shoal.orders.order_records import Order, order_of
from shoal.sheets.csv_rows import CSV_MARK, csv_rows, guarded
from shoal.sheets.sheet_stream import Cell, SheetStream
from shoal.storage.order_tables import orders

MOST_ORDERS: Final = 100_000
"""A file of more orders is refused: Excel opens no much larger one, and a part of the orders looks like all."""
PAGE_ROWS: Final = 1_000
_LONGEST_EXACT: Final = 11
"""Programs show a number of more digits in another form, and lose the last digits of an order's number."""
_AMOUNT: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,2})?", re.ASCII)
_WHOLE: Final = re.compile(r"[0-9]{1,6}", re.ASCII)
_COLUMNS: Final = (
    ("order", 24), ("shop", 18), ("item_id", 18), ("item", 36), ("spec", 18), ("quantity", 8), ("amount", 10),
    ("status", 12), ("needs_owner", 12), ("buyer", 18), ("buyer_id", 18), ("received", 20), ("updated", 20),
)  # fmt: skip

Run = Callable[[Callable[[Connection], Any]], Awaitable[Any]]


class _File(Protocol):
    """A file that is written while it is sent."""

    def begin(self, title: str, heads: Sequence[tuple[str, int]]) -> bytes: ...

    def rows(self, rows: Sequence[Sequence[Cell]]) -> bytes: ...

    def end(self) -> bytes: ...


class CsvStream:
    """The same as ``SheetStream`` for a CSV file."""

    def begin(self, title: str, heads: Sequence[tuple[str, int]]) -> bytes:  # noqa: ARG002  a CSV file has no title
        """Return the heads."""
        return CSV_MARK + csv_rows([[head for head, _ in heads]])

    def rows(self, rows: Sequence[Sequence[Cell]]) -> bytes:
        """Return rows."""
        return csv_rows([_csv_text(cell) for cell in row] for row in rows)

    def end(self) -> bytes:
        """Return nothing: the last row is the end."""
        return b""


class OrderFile(msgspec.Struct, frozen=True):
    """The file of the orders that are sought.

    ``shops``: the names of the accounts whose orders are wanted, by id. Times are those of ``zone``.
    """

    shops: Mapping[str, str]
    sought: SoughtOrders
    language: Language
    zone: ZoneInfo
    file: _File

    async def checked(self, run: Run) -> None:
        """Raise ``InvalidInput`` (``too_many_orders``) when the file would have too many rows."""
        found = await run(self._count)
        if found > MOST_ORDERS:
            raise InvalidInput("too many orders for a file", code="too_many_orders", limit=MOST_ORDERS)

    async def chunks(self, run: Run, check: Callable[[], None] = lambda: None) -> AsyncIterator[bytes]:
        """Yield the file. ``run`` runs a job on the database; a caller who stops reading ends it.

        ``check`` is asked before each page is sent. What it raises breaks the file off: a part must not look like all.
        """
        heads = [(translate(f"order_file.{name}", self.language), width) for name, width in _COLUMNS]
        yield self.file.begin(translate("order_file.title", self.language), heads)
        place: _Next | None = _Next(tuple(sorted(self.shops)), None)
        while place is not None:
            data, place = await run(place.read(self))
            check()
            if data:
                yield data
        yield self.file.end()

    def _count(self, connection: Connection) -> int:
        some = narrowed(select(literal(1)).select_from(orders), self.shops.keys(), self.sought).limit(MOST_ORDERS + 1)
        return connection.scalar(select(func.count()).select_from(some.subquery())) or 0

    def row(self, listed: ListedOrder) -> list[Cell]:
        """Return the cells of an order."""
        order = listed.order
        spec = ":".join(part for part in (order.spec_name, order.spec_value) if part)
        status = translate(f"order_status.{order.status or 'unknown'}", self.language)
        needs = translate("order_file.yes", self.language) if order.problem else ""
        return [
            order.order_id, self.shops.get(order.account_id, order.account_id), order.item_id or "", listed.item_title,
            spec, int(order.quantity) if _WHOLE.fullmatch(order.quantity) else order.quantity,
            Decimal(order.amount) if _AMOUNT.fullmatch(order.amount) else order.amount,
            status, needs, listed.buyer_name, order.buyer_id, self._time(order.created_at_ms),
            self._time(order.updated_at_ms),
        ]  # fmt: skip

    def _time(self, at_ms: int) -> str:
        there = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self.zone)
        return there.strftime("%Y-%m-%d %H:%M:%S")


class _Next(msgspec.Struct, frozen=True):
    """Where the file goes on: the accounts whose orders are not all written, and the place in the first of them."""

    account_ids: tuple[str, ...]
    place: Place | None

    def read(self, file: OrderFile) -> Callable[[Connection], tuple[bytes, _Next | None]]:
        """Return the job that writes the next rows, and says where they end."""

        def job(connection: Connection) -> tuple[bytes, _Next | None]:
            found: list[Order] = []
            account_ids, place = self.account_ids, self.place
            while account_ids and len(found) < PAGE_ROWS:
                room = PAGE_ROWS - len(found)
                more = _page(connection, account_ids[:1], file.sought, place, room)
                found += more
                if len(more) < room:
                    account_ids, place = account_ids[1:], None
                else:
                    place = more[-1].cursor
            data = file.file.rows([file.row(one) for one in with_names(connection, found)]) if found else b""
            return data, _Next(account_ids, place) if account_ids else None

        return job


def _page(
    connection: Connection, account_ids: Collection[str], sought: SoughtOrders, place: Place | None, limit: int
) -> list[Order]:
    """Return the next orders of one account, newest first, by the index of its times."""
    wanted = narrowed(select(orders), account_ids, sought)
    wanted = wanted if place is None else wanted.where(after(place))
    wanted = wanted.order_by(orders.c.created_at_ms.desc(), orders.c.order_id).limit(limit)
    return [order_of(row) for row in connection.execute(wanted).mappings()]


def _csv_text(cell: Cell) -> str:
    """Return a cell for programs that guess what a text is: no formula, and no long number."""
    if not isinstance(cell, str):
        return str(cell)
    return f"\t{cell}" if cell.isdigit() and len(cell) > _LONGEST_EXACT else guarded(cell)


def file_of(kind: str) -> _File:
    """Return an empty file of a kind: ``csv`` or ``xlsx``."""
    return SheetStream() if kind == "xlsx" else CsvStream()

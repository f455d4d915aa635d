"""Opens what all connections to the site share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

import msgspec

from shoal.accounts.account import Account
from shoal.accounts.account_task import Connect, Link
from shoal.accounts.events import EventBus
from shoal.accounts.ownership import carrying
from shoal.accounts.published import PublishedAccounts
from shoal.accounts.task_manager import own_starts
from shoal.assistant.assistant import Assistant
from shoal.assistant.assistant_components import AssistantComponents, open_assistant
from shoal.assistant.contexts import Item
from shoal.auth.audit_entries import AuditEvent
from shoal.clock import now_ms, steady_ms
from shoal.cluster.paces import NodeStarts, Paces, SharedPace
from shoal.concurrency.fair_limiter import StartLimiters, Turns, evenly
from shoal.config import Settings
from shoal.connection.xianyu_live import ConnectionDeps, XianyuLive
from shoal.errors import StoreError
from shoal.goods.goods_components import open_supplier_units
from shoal.goods.sent_units import SentUnits
from shoal.goods.stock_events import StockEvents
from shoal.goods.supplier_units import SupplierUnits
from shoal.goods.unit_messages import UnitMessages
from shoal.goods.unit_texts import UnitTexts
from shoal.items.item_lists import ItemLists
from shoal.items.item_on_page import item_on_page
from shoal.items.item_pages import ItemPages
from shoal.items.known_item_store import KnownItemStore
from shoal.items.known_items import may_have_specs
from shoal.maintenance.backup.new_life import restored_at_ms
from shoal.messages.live_connections import LiveConnections
from shoal.messages.message_log import MessageLog
from shoal.network.outbound import Outbound
from shoal.orders.order_store import OrderStore, order_event
from shoal.orders.sent_again import SentAgain
from shoal.orders.spec_pages import SpecPages
from shoal.pictures.database_pictures import PURPOSE, DatabasePictures
from shoal.pictures.picture_files import PictureFiles
from shoal.pictures.pictures import Pictures
from shoal.pictures.uploaded_pictures import UploadedPictures
from shoal.server.closing import Closing
from shoal.server.open_storage import ITSELF, Storage
from shoal.storage.credentials import Credentials
from shoal.storage.data_directory import PICTURE_DIRECTORY, UNITS_FILE, own_file
from shoal.storage.sync_cursors import SyncCursors
from shoal.streams.published_ids import follow_writes
from shoal.xianyu.items_on_sale import ListedItem
from shoal.xianyu.site_session import open_site_session

ITEM_SECONDS = 3.0
"""How long a question to a model waits for the item's page, and then for the list of items, when no price is known."""


class Connections(msgspec.Struct, frozen=True, kw_only=True):
    """What connections share, and the function that runs one."""

    published: PublishedAccounts
    deps: ConnectionDeps
    connect: Connect
    starts: StartLimiters
    supplier_units: SupplierUnits
    assistant: AssistantComponents
    spec_pages: SpecPages
    sent_again: SentAgain


@asynccontextmanager
async def open_connections(storage: Storage, settings: Settings, connect: Connect | None) -> AsyncIterator[Connections]:
    """Open messages, orders, pictures and the HTTP session. ``connect`` replaces the connection to the real site."""
    async with Closing() as closing:
        published = PublishedAccounts(EventBus(), several_nodes=storage.several_nodes)
        await follow_writes(storage.database, published)
        stock_events = StockEvents(storage.database, published.events)
        closing.later("stock events", stock_events.close)
        texts = await UnitTexts.load(storage.database, storage.vault)
        sent_units = await _open_sent_units(storage, texts, settings)
        restored = await restored_at_ms(storage.database)
        order_store = OrderStore(storage.database, texts=texts)
        order_store.on_change(lambda order: published.publish_event(order_event(order)))
        pictures = await _open_pictures(storage, settings, closing)
        session = open_site_session()
        closing.push_async_callback(session.close)
        outbound = Outbound.of(settings.allow_private_targets, refused=partial(_note_refused, storage))
        supplier_units = await open_supplier_units(storage.database, storage.vault, outbound)
        closing.push_async_callback(supplier_units.close)
        spec_pages = _open_spec_pages(storage, order_store.items, published, closing)
        item_of = partial(_item_of, spec_pages.pages)
        starts, token_calls = _open_paces(storage, settings, closing)
        assistant = open_assistant(storage.database, storage.vault, outbound, published.publish_event, item_of)
        closing.push_async_callback(assistant.close)
        deps = ConnectionDeps(
            session=session,
            settings=settings,
            credentials=Credentials(storage.database, storage.vault),
            message_log=MessageLog(
                storage.database,
                publish=published.publish_event,
                sealed=UnitMessages(texts, sent_units, restored_at_ms=restored),
            ),
            order_store=order_store,
            positions=SyncCursors(storage.database),
            pictures=pictures,
            uploaded=UploadedPictures(storage.database),
            token_calls=token_calls,
            spec_pages=spec_pages,
            models=Assistant(storage.database, assistant.providers, assistant.calls, item_of),
            outbound=outbound,
            supplier_units=supplier_units,
            restored_at_ms=restored,
            learns_names=True,
        )
        published.subscribe(lambda account_id, account: None if account else deps.push_counts.forget(account_id))

        yield Connections(
            published=published,
            deps=deps,
            connect=connect or _connect_to_site(deps),
            starts=starts,
            supplier_units=supplier_units,
            assistant=assistant,
            spec_pages=spec_pages,
            sent_again=SentAgain(storage.database, texts),
        )


def _connect_to_site(deps: ConnectionDeps) -> Connect:
    async def connect(account: Account, link: Link) -> None:
        await XianyuLive(account, link, deps).main()

    return connect


async def _open_pictures(storage: Storage, settings: Settings, closing: Closing) -> Pictures:
    """Open the pictures: files beside SQLite, rows of PostgreSQL."""
    directory = settings.data_dir / PICTURE_DIRECTORY
    if storage.database.is_sqlite:
        files = PictureFiles(directory)
        await files.open()
        return files
    rows = DatabasePictures(storage.database, directory, name_key=lambda: storage.vault.derived(PURPOSE)[0])
    closing.later("pictures", rows.close)
    await rows.open()
    return rows


def _open_paces(storage: Storage, settings: Settings, closing: Closing) -> tuple[StartLimiters, Turns]:
    """Return the limits of starts and of token calls: this server's, or those that all nodes share."""
    own = own_starts(settings)
    if storage.short_writes is None:
        return own, evenly(settings.token_calls_per_second)
    paces = Paces(storage.short_writes, settings.node_outgoing)

    def shared(kind: str, per_second: float, burst: float = 1.0) -> SharedPace:
        pace = paces.of(kind, per_second, burst=burst)
        closing.later(f"pace of {kind}", pace.close)
        return pace

    first, again = settings.starts_per_second, settings.reconnects_per_second
    starts = StartLimiters(
        NodeStarts(own.first, shared("starts", first, max(1.0, first))),
        NodeStarts(own.again, shared("reconnects", again, max(1.0, again))),
    )
    return starts, shared("tokens", settings.token_calls_per_second)


async def _open_sent_units(storage: Storage, texts: UnitTexts, settings: Settings) -> SentUnits:
    file = own_file(settings.data_dir / UNITS_FILE, settings.node)
    sent_units = SentUnits(storage.database, texts, file, node=settings.node)
    with suppress(StoreError):  # a full disk is no reason not to start; no unit leaves before it is done
        await sent_units.open()
    return sent_units


async def _note_refused(storage: Storage, host: str) -> None:
    await storage.audit_log.record(AuditEvent.REFUSED_TARGET, actor=ITSELF, outcome="target_refused", host=host)


def _open_spec_pages(
    storage: Storage, items: KnownItemStore, published: PublishedAccounts, closing: Closing
) -> SpecPages:
    fence_of = storage.node.fence if storage.node is not None else None
    item_lists = ItemLists(LiveConnections(), partial(_note_list, storage, items))
    item_pages = ItemPages(storage.database, item_lists, fence_of)
    closing.push_async_callback(item_pages.close)
    spec_pages = SpecPages(storage.database, item_pages)
    closing.push_async_callback(spec_pages.close)
    published.subscribe(spec_pages.rules_changed)
    return spec_pages


async def _note_list(
    storage: Storage, items: KnownItemStore, account: Account, listed: Mapping[str, ListedItem]
) -> None:
    """Store what a list held, as the server that runs the account."""
    fence = storage.node.fence(account.id) if storage.node is not None else None
    with carrying([fence] if fence is not None else []):
        await items.note_from_list(account.id, listed)


async def _item_of(item_pages: ItemPages, account: Account, item_id: str) -> Item:
    """Return what the item's page says; without a price there, that of the list counts for an item without specs."""
    began_at_ms = steady_ms()
    page = item_on_page(account, await item_pages.of(account, item_id, seconds=ITEM_SECONDS), now_ms=now_ms())
    if page.is_whole:
        return page.item
    seconds = max(0.0, ITEM_SECONDS - (steady_ms() - began_at_ms) / 1000)
    listed = await item_pages.lists.item(account, item_id, seconds=seconds)
    title = page.item.title or listed.title
    has_price = not page.has_specs and not may_have_specs(account, item_id, title)
    return replace(page.item, title=title, price_fen=listed.price_fen if has_price else None)

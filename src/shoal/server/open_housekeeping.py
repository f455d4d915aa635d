"""Opens what looks after the database: probe, statistics, idempotency keys, hits, retention, words, keys, backups."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial

import msgspec
from sqlalchemy import Connection

from shoal.accounts.account import Account
from shoal.accounts.cookie_manager import CookieManager
from shoal.assistant.old_runs import OldRuns
from shoal.clock import now_ms
from shoal.cluster.duties import Duty
from shoal.cluster.node_rows import delete_old_nodes
from shoal.cluster.shared_key_rotation import SharedKeyRotation
from shoal.cluster.turns import Turn
from shoal.concurrency.single_flight import SingleFlight
from shoal.config import Settings
from shoal.maintenance.backup.schedule import BackupSchedule
from shoal.messages.chat_work import SnoozeEnds
from shoal.messages.rule_hits import RuleHits
from shoal.messages.word_indexer import WordIndexer
from shoal.notices.incident_history import IncidentHistory
from shoal.notices.machine_incidents import close_of_gone_servers
from shoal.orders.order_store import OrderStore
from shoal.orders.waiting_watch import WaitingWatch
from shoal.pictures.picture_files import PictureFiles
from shoal.server.closing import Closing
from shoal.server.open_accounts import Accounts
from shoal.server.open_connections import Connections
from shoal.server.open_storage import Storage, key_of
from shoal.server.retention import Retention
from shoal.storage.data_directory import KEY_FILE
from shoal.storage.database_probe import DatabaseProbe
from shoal.storage.database_stats import DatabaseStats, database_stats
from shoal.storage.db_manager import ANSWERS_SECRET, own_secret
from shoal.storage.idempotency_keys import IdempotencyKeys
from shoal.storage.key_rotation import KeyRotation
from shoal.storage.shared_keys import SharedIdempotencyKeys
from shoal.xianyu.browser import chrome


class Housekeeping(msgspec.Struct, frozen=True, kw_only=True):
    """Database checks and maintenance."""

    database_probe: DatabaseProbe
    database_stats: SingleFlight[DatabaseStats]
    idempotency_keys: IdempotencyKeys
    rule_hits: RuleHits
    key_rotation: KeyRotation
    backups: BackupSchedule


def _key_rotation(storage: Storage, settings: Settings, closing: Closing) -> KeyRotation:
    key_file, from_setting = settings.data_dir / KEY_FILE, key_of(settings) is not None
    database, vault, node = storage.database, storage.vault, storage.node
    if node is None:
        rotation = KeyRotation(database, vault, key_file, from_setting=from_setting)
    else:
        rotation = shared = SharedKeyRotation(database, vault, key_file, node, from_setting=from_setting)
        closing.later("sealing again", storage.duties.keep(Duty.KEYS, shared.serve))
    closing.later("key rotation", rotation.close)
    rotation.start()
    return rotation


@asynccontextmanager
async def open_housekeeping(
    storage: Storage, connections: Connections, accounts: Accounts, settings: Settings
) -> AsyncIterator[Housekeeping]:
    """Start the daily retention, the key rotation and the backups. Raises ``StoreError`` and ``ConfigError``."""
    database = storage.database
    async with Closing() as closing:
        probe = DatabaseProbe(database)
        closing.later("probe", probe.close)
        stats = SingleFlight(lambda: database_stats(database, settings.data_dir), name="store figures")
        closing.later("store figures", stats.close)
        idempotency_keys = await _open_idempotency_keys(storage, settings)
        closing.later("idempotency keys", idempotency_keys.close)
        rule_hits = RuleHits(database)
        closing.later("rule hits", rule_hits.close)
        manager = accounts.manager
        if isinstance(connections.deps.pictures, PictureFiles):
            connections.deps.pictures.named = partial(_naming_pictures, manager, connections.deps.order_store)
        retention = Retention(
            accounts.store,
            connections.deps.message_log,
            idempotency_keys,
            settings,
            pictures=connections.deps.pictures,
            audit_log=storage.audit_log,
            incidents=IncidentHistory(database),
            old_runs=OldRuns(database),
            checked=database.checked,
            ask_time=partial(_ask_time, manager, connections),
            delete_old_nodes=None if storage.node is None else partial(database.write, _delete_old_nodes),
        )
        duties = storage.duties
        closing.later("retention", duties.keep(Duty.RETENTION, retention.run))
        indexer = WordIndexer(database, settled=accounts.settled)
        closing.later("word indexer", duties.keep(Duty.WORD_INDEX, indexer.run))
        snooze_ends = SnoozeEnds(database, connections.published.publish_event)
        closing.later("snooze ends", duties.keep(Duty.SNOOZES, snooze_ends.run))
        waiting = WaitingWatch(database, wait_seconds=settings.orders_wait_seconds)
        closing.later("waiting orders", duties.keep(Duty.WAITING_ORDERS, waiting.run))
        key_rotation = _key_rotation(storage, settings, closing)
        turn = None if storage.node is None else Turn(database, storage.node, "backup")
        backups = BackupSchedule(database, settings, turn=turn)
        closing.later("backups", backups.close)
        backups.start()
        yield Housekeeping(
            database_probe=probe,
            database_stats=stats,
            idempotency_keys=idempotency_keys,
            rule_hits=rule_hits,
            key_rotation=key_rotation,
            backups=backups,
        )


async def _ask_time(manager: CookieManager, connections: Connections) -> None:
    """Ask the site for its time as a visitor. A server with shops that are on hears it from their answers."""
    if not any(account.enabled for account in manager.accounts.values()):
        deps = connections.deps
        await deps.site_time.ask(deps.session, deps.settings.site_mtop_url, chrome(deps.settings.chrome_version))


async def _naming_pictures(manager: CookieManager, order_store: OrderStore) -> tuple[Iterable[Account], Iterable[str]]:
    """Return the accounts, and the addresses of the pictures that they do not name themselves."""
    sellers = [manager.observation(name).seller_picture for name in manager.accounts]
    items = await order_store.items.shown_pictures()
    return manager.accounts.values(), [*await order_store.goods.pictures(), *sellers, *items]


async def _open_idempotency_keys(storage: Storage, settings: Settings) -> IdempotencyKeys:
    database, wait_seconds = storage.database, settings.lock_wait_seconds
    secret = await own_secret(database, storage.vault, ANSWERS_SECRET)
    if (node := storage.node) is None:
        return IdempotencyKeys(database, wait_seconds=wait_seconds, secret=secret)

    def me() -> tuple[str, int]:
        life = node.life
        return node.name, life.inc if life is not None else -1

    return SharedIdempotencyKeys(database, wait_seconds=wait_seconds, secret=secret, me=me)


def _delete_old_nodes(connection: Connection) -> int:
    deleted = delete_old_nodes(connection)
    close_of_gone_servers(connection, now_ms())
    return deleted

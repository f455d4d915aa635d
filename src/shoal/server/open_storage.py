"""Opens the database, the key of its secrets and the audit log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import msgspec
import structlog

from shoal import __version__
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.audit_log import AuditLog
from shoal.cluster.call_signing import PURPOSE, CallSigner
from shoal.cluster.cluster_ownership import ClusterOwnership
from shoal.cluster.duties import ClusterDuties, LocalDuties
from shoal.cluster.lease_watchdog import NodeTimes
from shoal.cluster.node_calls import NodeCalls
from shoal.cluster.node_keys import NodeKeys, check_opens_all, join_with_keys
from shoal.cluster.nodes import Nodes
from shoal.cluster.server_lease import ServerLease, older_servers
from shoal.cluster.short_writes import ShortWrites
from shoal.config import Settings
from shoal.errors import ConfigError, StoreError
from shoal.server.closing import Closing
from shoal.storage.data_directory import KEY_FILE, LOCK_FILE, is_worker
from shoal.storage.database import IDLE_SECONDS, Database
from shoal.storage.db_manager import open_vault
from shoal.storage.engines import database_url, is_sqlite
from shoal.storage.last_sure_time import take_up_time
from shoal.storage.vault import Vault

ITSELF: Final = "server"
"""The actor in the audit log when the server acts by itself."""


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """The open database and what every other component needs with it."""

    database: Database
    lease: ServerLease | ClusterOwnership | None
    """Keeps a second server out of a PostgreSQL database, or divides the accounts among several; a data directory has
    its own lock."""
    vault: Vault
    audit_log: AuditLog
    duties: LocalDuties | ClusterDuties
    several_nodes: bool
    """Whether other servers may write to the database at the same time."""
    short_writes: ShortWrites | None
    """Writes the rows for which several nodes race; a single server has none."""
    lost_commits: LostCommits
    """Ends the server when PostgreSQL lost what it had committed."""

    @property
    def node(self) -> ClusterOwnership | None:
        """Return what this server owns as one of several."""
        return self.lease if isinstance(self.lease, ClusterOwnership) else None

    @property
    def disk_of(self) -> str | None:
        """Return the name of the server whose disk this process watches, empty for a single one. ``None``: the first of
        its workers does."""
        server, _, worker = self.node.name.partition("/") if self.node is not None else ("", "", "")
        return server if worker in {"", "1"} else None

    @property
    def shared_duties(self) -> ClusterDuties | None:
        """Return the duties of this server as one of several."""
        return self.duties if isinstance(self.duties, ClusterDuties) else None


@asynccontextmanager
async def open_storage(settings: Settings, *, stays_drained: bool = False) -> AsyncIterator[Storage]:
    """Open the database, which no other server may serve. Raises ``ConfigError`` and ``StoreError``.

    ``stays_drained``: this server goes on being drained if it was, as a worker that its parent starts again.
    """
    async with Closing() as closing:
        url = settings.database_url.get_secret_value() if settings.database_url else ""
        lease = _lease_of(settings, url, stays_drained=stays_drained)
        closing.later("lease", lease.close)
        older = older_servers if isinstance(lease, ClusterOwnership) else None
        times = NodeTimes.of_lease(settings.node_lease_seconds)
        idle_seconds = times.idle_seconds if settings.node else IDLE_SECONDS

        def copy_first(revision: str) -> None:
            from shoal.maintenance.backup.before_upgrade import CopyBeforeUpgrade  # noqa: PLC0415  it loads Alembic

            CopyBeforeUpgrade(data_dir=settings.data_dir, url=url, secret_key=key_of(settings))(revision)

        database = await Database(
            settings.data_dir, url=url, guard=lease.take, idle_seconds=idle_seconds, copy_first=copy_first, older=older,
            locked_by_parent=is_worker(settings.node),
        ).open()  # fmt: skip
        lost_commits = LostCommits()
        if not database.is_sqlite:
            database.group_writer.commit_outcome.on_lost = lost_commits.commits_lost
        if isinstance(lease, ClusterOwnership):
            lease.start()
            database.group_writer.standing = lease.standing
        closing.later("database", database.close)
        audit_log = AuditLog(database)
        closing.later("security log", audit_log.close)
        audit_log.start()
        try:
            await take_up_time(database)
            await database.remember_site(site_of(settings))
            vault = await _open_vault(database, settings, audit_log, lease)
            several_nodes = settings.node is not None and not database.is_sqlite
            short_writes = ShortWrites(database.url) if several_nodes else None
            if short_writes is not None:
                closing.later("short writes", short_writes.close)
            yield Storage(
                database=database,
                lease=None if database.is_sqlite else lease,
                vault=vault,
                audit_log=audit_log,
                duties=_duties_of(None if database.is_sqlite else lease),
                several_nodes=several_nodes,
                short_writes=short_writes,
                lost_commits=lost_commits,
            )
        except Exception:
            await database.checked()  # damage explains what could not be opened, and is reported instead
            raise


def open_nodes(storage: Storage, closing: Closing) -> Nodes:
    """Return the servers of the database, with the calls to them; a single server has neither."""
    if storage.node is None:
        return Nodes(storage.database, duties=storage.duties)
    signer = CallSigner(lambda: storage.vault.derived(PURPOSE), storage.node.database_ms)
    calls = NodeCalls(storage.database, storage.node, signer)
    closing.later("calls to other nodes", calls.close)
    return Nodes(storage.database, storage.node, calls, storage.duties)


def _duties_of(lease: ServerLease | ClusterOwnership | None) -> LocalDuties | ClusterDuties:
    if isinstance(lease, ClusterOwnership):
        return ClusterDuties(lease)
    return LocalDuties(lambda: lease is None or lease.owns(""))


def _lease_of(settings: Settings, url: str, *, stays_drained: bool) -> ServerLease | ClusterOwnership:
    """Return what keeps others from this server's accounts. Raises ``ConfigError`` for a node without PostgreSQL."""
    if not settings.node:
        return ServerLease(settings.data_dir / LOCK_FILE)
    if is_sqlite(database_url(url, settings.data_dir)):
        raise ConfigError("startup.node_needs_postgresql", code="node_needs_postgresql")
    times = NodeTimes.of_lease(settings.node_lease_seconds)
    return ClusterOwnership(
        settings.node, times, version=__version__, address=settings.node_address, data_dir=settings.data_dir,
        stays_drained=stays_drained,
    )  # fmt: skip


async def _open_vault(
    database: Database, settings: Settings, audit_log: AuditLog, lease: ServerLease | ClusterOwnership
) -> Vault:
    key, life = key_of(settings), lease.life if isinstance(lease, ClusterOwnership) else None
    try:
        vault = await open_vault(database, settings.data_dir / KEY_FILE, key, several_nodes=life is not None)
        if life is not None:
            mine = NodeKeys.of(vault.key_ids, from_setting=key is not None)
            await database.read(partial(check_opens_all, mine=mine))
            await database.write(partial(join_with_keys, life=life, mine=mine))
    except ConfigError as error:
        await audit_log.record(AuditEvent.KEY_TROUBLE, actor=ITSELF, outcome=error.code)
        raise
    return vault


def key_of(settings: Settings) -> str | None:
    """Return the key in the settings, if any."""
    return settings.secret_key.get_secret_value() if settings.secret_key else None


def site_of(settings: Settings) -> str:
    """Return what the data is bound to: every address that receives cookies."""
    urls = (settings.site_ws_url, settings.site_mtop_url, settings.site_passport_url, settings.site_upload_url)
    return " ".join(urls)


log = structlog.get_logger("shoal.server")

_LOST: Final = (
    "PostgreSQL does not have the last changes of this server any more: a standby without them was promoted, or an "
    "earlier copy restored. This server ends, so that it shows and does nothing that is not stored. Start it again (a "
    "service manager does): it reads everything again. With a synchronous standby no change is lost"
)


class LostCommits:
    """``failed`` never ends while all is well, and fails when the server must end. Made on the running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[None] = self._loop.create_future()
        self.failed.add_done_callback(lambda failed: failed.cancelled() or failed.exception())

    def commits_lost(self) -> None:
        """Let the server end, since commits are lost. May be called on any thread, and again."""
        self._loop.call_soon_threadsafe(self._fail)

    def _fail(self) -> None:
        if not self.failed.done():
            log.critical("commits are lost: this server ends")
            self.failed.set_exception(StoreError(_LOST, code="commits_lost"))

"""Opens the accounts: the manager, permissions, and reloading after changes by other servers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import msgspec
import structlog

from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.follower import Follower
from shoal.accounts.ownership import LocalOwnership
from shoal.accounts.positions import Position
from shoal.accounts.published import PublishedAccounts
from shoal.accounts.reload import Reload
from shoal.auth.authorization import TRUSTED_SECONDS, Authorization
from shoal.auth.user_removal import UserRemoval
from shoal.cluster.cluster_ownership import ClusterOwnership
from shoal.cluster.duties import Duty, InTurn
from shoal.cluster.node_watch import NodeWatch
from shoal.cluster.nodes import Nodes
from shoal.cluster.server_lease import ServerLease
from shoal.config import Settings
from shoal.errors import ShoalError, StoreError
from shoal.orders.claimed_work import ClaimedWork
from shoal.orders.interruptions import note_interrupted
from shoal.server.closing import Closing
from shoal.server.open_connections import Connections
from shoal.server.open_storage import Storage
from shoal.server.open_users import UserParts
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.streams.event_links import EventLinks

if TYPE_CHECKING:
    from shoal.server.open_stream import Following

log = structlog.get_logger("shoal.server")

MOST_AWAITED = 100
"""So many accounts are started before the server listens; more start beside the first requests."""


class Accounts(msgspec.Struct, frozen=True, kw_only=True):
    """The open accounts."""

    store: DBManager
    manager: CookieManager
    follower: Follower | None
    """Follows other nodes, when there may be some."""
    event_links: EventLinks | None
    """Receives the events of other nodes while this one has readers."""
    authorization: Authorization
    reload: Reload
    user_removal: UserRemoval
    opened: asyncio.Event
    """Set once every component is open: many accounts start then, beside requests."""
    ends: tuple[asyncio.Task[None], asyncio.Future[None]]
    """Two of which one that fails ends the server. The first ends when the accounts are started: that of many goes on
    beside requests; it fails when the database is damaged. The second fails when commits are lost."""

    def all_is_open(self) -> None:
        """Let many accounts start, now that every component is open."""
        self.opened.set()
        log.info("server open", accounts=len(self.manager.accounts), rev=self.manager.newest_rev)

    def settled(self) -> Position | None:
        """Return up to where events with rows can be read when several servers write; else ``None``."""
        return None if self.follower is None else self.follower.settled.position


@asynccontextmanager
async def open_accounts(
    storage: Storage, nodes: Nodes, users: UserParts, connections: Connections, settings: Settings
) -> AsyncIterator[Accounts]:
    """Load the accounts, start the enabled ones, and finish removals that a restart interrupted.

    Unfinished work of the last run is settled first, also for disabled accounts. While the database is being checked
    the accounts are only loaded; the rest follows when it has passed. Many accounts start beside the first requests.
    Raises ``StoreError``.
    """
    async with Closing() as closing:
        store = DBManager(storage.database, storage.vault, several_nodes=storage.several_nodes)
        manager = _manager_of(store, storage, connections, nodes, settings)
        closing.later("manager", manager.close)
        node = storage.node
        if node is not None:
            closing.later("claims", node.hold_still)
        await manager.load()
        followed = await _followed(closing, storage, store, connections.published)
        if isinstance(storage.lease, ServerLease):
            storage.lease.keep(manager.ownership_changed)
        authorization = _authorization_of(storage, manager, connections)
        closing.later("access", authorization.close)
        await authorization.open()
        reload = Reload(manager)
        closing.later("reload", reload.close)
        closing.push_async_callback(_rereading(storage.database, manager, authorization))
        user_removal = UserRemoval(storage.database, users.users, manager, users.sessions, storage.shared_duties)
        closing.later("user removal", user_removal.close)

        async def start() -> None:
            await storage.database.checked()
            if node is not None:
                await manager.start()
                node.keep(_listener(node, storage, manager, connections))
                closing.later("removals of users", storage.duties.keep(Duty.USER_REMOVAL, user_removal.remove_marked))
                return
            with suppress(StoreError):  # a full disk is no reason not to start, and each connection tries again
                await note_interrupted(connections.deps.message_log, connections.deps.order_store, None)
            await manager.start()
            await user_removal.resume()

        waits = storage.database.checking or len(manager.accounts) > MOST_AWAITED
        opened = asyncio.Event()
        started = asyncio.create_task(_once(opened, start) if waits else start(), name="start of the accounts")
        closing.push_async_callback(ended, started)
        if not waits:
            await started
        yield Accounts(
            store=store,
            manager=manager,
            follower=None if followed is None else followed.follower,
            event_links=_linked(closing, followed, nodes, manager, connections.published),
            authorization=authorization,
            reload=reload,
            user_removal=user_removal,
            opened=opened,
            ends=(started, storage.lost_commits.failed),
        )


def _listener(node: ClusterOwnership, storage: Storage, manager: CookieManager, connections: Connections) -> InTurn:
    """Return the listener for the shards that this server claims and loses."""
    deps = connections.deps
    duties = [] if storage.shared_duties is None else [storage.shared_duties]
    work = ClaimedWork(storage.database, deps.message_log, deps.order_store, node.fence)
    sockets = LostSockets(lambda: deps.live_connections.cut_lost(node.owns))
    return InTurn([sockets, *duties, work, manager.shard_tasks(deps.credentials.shelf.drop)])


def _manager_of(
    store: DBManager, storage: Storage, connections: Connections, nodes: Nodes, settings: Settings
) -> CookieManager:
    return CookieManager(
        store,
        connections.connect,
        settings,
        published=connections.published,
        ownership=storage.lease or LocalOwnership(),
        nodes=NodeWatch(storage.database, nodes.calls) if nodes.calls is not None else None,
        starts=connections.starts,
    )


def _authorization_of(storage: Storage, manager: CookieManager, connections: Connections) -> Authorization:
    return Authorization(
        storage.database,
        manager.accounts,
        manager.events,
        of_owner=connections.published.of_owner,
        trusted_seconds=TRUSTED_SECONDS if storage.several_nodes else math.inf,
    )


async def _followed(
    closing: Closing, storage: Storage, store: DBManager, published: PublishedAccounts
) -> Following | None:
    """Follow other nodes, if there may be some."""
    if not storage.several_nodes:
        return None
    from shoal.server.open_stream import following  # noqa: PLC0415  it loads PostgreSQL's driver

    freed = storage.node.look_now if storage.node is not None else None
    lost = storage.lost_commits.commits_lost
    return await closing.enter_async_context(following(storage.database, store, published, freed, lost))


def _linked(
    closing: Closing, followed: Following | None, nodes: Nodes, manager: CookieManager, published: PublishedAccounts
) -> EventLinks | None:
    """Return what receives events of other nodes, if there may be some."""
    if followed is None or nodes.calls is None:
        return None
    links = EventLinks(
        nodes.calls, published, followed.follower, followed.published_ids, manager.remote_states, manager.runs_here
    )
    closing.later("event links", links.close)
    return links


async def _once(opened: asyncio.Event, start: Callable[[], Awaitable[None]]) -> None:
    await opened.wait()
    await start()


async def ended(task: asyncio.Task[None]) -> None:
    """Cancel a task, and wait for its end."""
    task.cancel()
    await asyncio.wait({task})


def _rereading(
    database: Database, manager: CookieManager, authorization: Authorization
) -> Callable[[], Awaitable[None]]:
    """Read everything again each time the database has recovered. Return a function that stops this."""
    running: set[asyncio.Task[None]] = set()

    def on_degraded(degraded: bool) -> None:
        if not degraded:
            task = asyncio.create_task(_reread(manager, authorization), name="reread")
            running.add(task)
            task.add_done_callback(running.discard)

    async def end() -> None:
        tasks = list(running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    database.on_degraded(on_degraded)
    return end


async def _reread(manager: CookieManager, authorization: Authorization) -> None:
    try:
        await authorization.reload()  # first: an account that cannot be read must not keep a revoked permission
        differed = await manager.reload_from_db()
    except ShoalError as error:
        log.warning("could not read the database again", why=error.code)
    else:
        log.info("database read again", differed=differed)


class LostSockets:
    """A ``ShardListener``. What is given up in order ends in order; what is lost already ends at once."""

    def __init__(self, cut: Callable[[], None]) -> None:
        """``cut`` closes the sockets of all accounts that this node does not own now."""
        self._cut = cut

    async def claimed(self, shards: Collection[int]) -> None:
        """Do nothing."""

    async def losing(self, shards: Collection[int]) -> None:
        """Do nothing: the lease is valid."""

    async def lost(self, shards: Collection[int]) -> None:  # noqa: ARG002  the port's signature
        """Close the sockets of accounts that others may own."""
        self._cut()

    def lapsed(self) -> None:
        """Close the sockets of accounts whose lease has run out."""
        self._cut()

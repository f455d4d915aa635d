"""What a server has for notices: channels, the way to send over them, the loop that notifies, and webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol

import msgspec

from shoal.accounts.positions import Position
from shoal.auth.authorization import Authorization
from shoal.cluster.duties import Duties, Duty
from shoal.config import Settings
from shoal.measures import Tally
from shoal.network.guarded_proxy import GuardedProxy
from shoal.network.guarded_sockets import guarded
from shoal.network.outbound import Outbound
from shoal.notices.apprise_process import AppriseProcess
from shoal.notices.channel_transport import ChannelTransport
from shoal.notices.channels import ChannelStore
from shoal.notices.clock_watch import ClockWatch
from shoal.notices.disk_watch import DiskWatch
from shoal.notices.incident_history import IncidentHistory
from shoal.notices.notice_loop import NoticeLoop
from shoal.notices.page_alerts import PageAlertStore
from shoal.notices.push_sender import PushKey, PushSender
from shoal.notices.server_watch import ServerWatch
from shoal.notices.service_sender import ServiceSender
from shoal.notices.store_alarm import StoreAlarm
from shoal.notices.transport import Transport
from shoal.storage.database import Database
from shoal.storage.vault import Vault
from shoal.webhooks.webhook_components import WebhookComponents, open_webhooks


class Opened(Protocol):
    """An open database with the vault of its secrets, and what this server does once for all servers of it."""

    @property
    def database(self) -> Database:
        """The database."""

    @property
    def vault(self) -> Vault:
        """The vault."""

    @property
    def disk_of(self) -> str | None:
        """The name of the server whose disk this process watches, empty for a single one; ``None``: another does."""

    @property
    def duties(self) -> Duties:
        """What is done once for the whole database."""


class NoticeComponents(msgspec.Struct, frozen=True, kw_only=True):
    """The components for notices."""

    channels: ChannelStore
    transport: Transport
    history: IncidentHistory
    outcomes: Tally
    """How often a sending of a notice ended in which state."""
    push_key: PushKey
    page_alerts: PageAlertStore
    webhooks: WebhookComponents


@asynccontextmanager
async def open_notices(
    storage: Opened,
    outbound: Outbound,
    authorization: Authorization,
    settings: Settings,
    settled: Callable[[], Position | None] = lambda: None,
) -> AsyncIterator[NoticeComponents]:
    """Open the components for notices and webhooks, and start the loops that report incidents and post events.

    ``settled``: up to where events can be read when several servers write; else ``None``.

    Nothing listens and no process runs before the first message.
    """
    database, vault = storage.database, storage.vault
    connect = guarded(outbound)
    proxy = GuardedProxy(connect)
    apprise = AppriseProcess(proxy)
    channels = ChannelStore(database, vault)
    push_key = PushKey(database, vault)
    await push_key.private()  # made here, so that no reading request stores it
    push = PushSender(outbound, push_key)
    transport = ChannelTransport(channels, ServiceSender(connect, apprise, push=push))
    alarm = StoreAlarm(database, transport, public_url=settings.public_url)
    watch = ServerWatch(database, alarm=alarm)
    owns = partial(storage.duties.owns, Duty.NOTICES)
    loop = NoticeLoop(database, transport, public_url=settings.public_url, watch=watch, owns=owns)
    end = storage.duties.keep(Duty.NOTICES, loop.serve)
    own_machine = _watching_machine(storage, settings)
    try:
        async with open_webhooks(database, vault, outbound, authorization, storage.duties, settled) as webhooks:
            yield NoticeComponents(
                channels=channels,
                transport=transport,
                history=IncidentHistory(database),
                outcomes=loop.outcomes,
                push_key=push_key,
                page_alerts=PageAlertStore(database),
                webhooks=webhooks,
            )
    finally:
        for task in own_machine:
            task.cancel()
        await asyncio.gather(*own_machine, return_exceptions=True)
        await end()
        await push.close()
        await apprise.close()
        await proxy.close()


def _watching_machine(storage: Opened, settings: Settings) -> list[asyncio.Task[None]]:
    """Watch the disk and the clock, if that is for this process to do."""
    if (server := storage.disk_of) is None:
        return []
    disk = DiskWatch(storage.database, settings.data_dir, server=server)
    clock = ClockWatch(storage.database, server=server)
    return [
        asyncio.create_task(disk.keep(), name="disk watch"),
        asyncio.create_task(clock.keep(), name="clock watch"),
    ]

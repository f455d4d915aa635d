"""What a server has for notices: the channels of its users, the way to send over them, and the loop that tells."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shoal.config import Settings
from shoal.network.guarded_proxy import GuardedProxy
from shoal.network.guarded_sockets import guarded
from shoal.network.outbound import Outbound
from shoal.notices.apprise_process import AppriseProcess
from shoal.notices.channel_transport import ChannelTransport
from shoal.notices.channels import ChannelStore
from shoal.notices.incident_history import IncidentHistory
from shoal.notices.notice_loop import NoticeLoop
from shoal.notices.page_alerts import PageAlertStore
from shoal.notices.push_key import PushKey
from shoal.notices.push_sender import PushSender
from shoal.notices.server_watch import ServerWatch
from shoal.notices.service_sender import ServiceSender
from shoal.notices.store_alarm import StoreAlarm
from shoal.notices.transport import Transport
from shoal.storage.database import Database
from shoal.storage.vault import Vault


@dataclass(frozen=True, kw_only=True, slots=True)
class NoticeComponents:
    """The components for notices."""

    channels: ChannelStore
    transport: Transport
    history: IncidentHistory
    push_key: PushKey
    page_alerts: PageAlertStore


@asynccontextmanager
async def open_notices(
    database: Database, vault: Vault, outbound: Outbound, settings: Settings, owns: Callable[[], bool]
) -> AsyncIterator[NoticeComponents]:
    """Open the components for notices, and start the loop that tells of incidents while ``owns`` returns true.

    Nothing listens and no process runs before the first message.
    """
    connect = guarded(outbound)
    proxy = GuardedProxy(connect)
    apprise = AppriseProcess(proxy)
    channels = ChannelStore(database, vault)
    push_key = PushKey(database, vault)
    push = PushSender(outbound, push_key)
    transport = ChannelTransport(channels, ServiceSender(connect, apprise, push=push))
    alarm = StoreAlarm(database, transport, public_url=settings.public_url)
    watch = ServerWatch(database, settings.data_dir, alarm=alarm)
    loop = NoticeLoop(database, transport, public_url=settings.public_url, watch=watch, owns=owns)
    loop.start()
    try:
        yield NoticeComponents(
            channels=channels,
            transport=transport,
            history=IncidentHistory(database),
            push_key=push_key,
            page_alerts=PageAlertStore(database),
        )
    finally:
        await loop.close()
        await push.close()
        await apprise.close()
        await proxy.close()

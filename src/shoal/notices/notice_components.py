"""What a server has for notices: the channels of its users, and the way to send over them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from shoal.network.guarded_proxy import GuardedProxy
from shoal.network.guarded_sockets import guarded
from shoal.network.outbound import Outbound
from shoal.notices.apprise_process import AppriseProcess
from shoal.notices.channel_transport import ChannelTransport
from shoal.notices.channels import ChannelStore
from shoal.notices.service_sender import ServiceSender
from shoal.notices.transport import Transport
from shoal.storage.database import Database
from shoal.storage.vault import Vault


@dataclass(frozen=True, kw_only=True, slots=True)
class NoticeComponents:
    """The components for notices."""

    channels: ChannelStore
    transport: Transport


@asynccontextmanager
async def open_notices(database: Database, vault: Vault, outbound: Outbound) -> AsyncIterator[NoticeComponents]:
    """Open the components for notices. Nothing listens and no process runs before the first message."""
    connect = guarded(outbound)
    proxy = GuardedProxy(connect)
    apprise = AppriseProcess(proxy)
    channels = ChannelStore(database, vault)
    try:
        yield NoticeComponents(
            channels=channels, transport=ChannelTransport(channels, ServiceSender(connect, apprise))
        )  # fmt: skip
    finally:
        await apprise.close()
        await proxy.close()

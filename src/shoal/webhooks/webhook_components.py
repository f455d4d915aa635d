"""What a server has for webhooks: their store, the calls, and the loop that posts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import msgspec

from shoal.accounts.positions import Position
from shoal.auth.authorization import Authorization
from shoal.cluster.duties import Duties, Duty
from shoal.network.outbound import Outbound
from shoal.storage.database import Database
from shoal.storage.vault import Vault
from shoal.webhooks.webhook_calls import WebhookCalls
from shoal.webhooks.webhook_loop import WebhookLoop
from shoal.webhooks.webhooks import WebhookStore


class WebhookComponents(msgspec.Struct, frozen=True, kw_only=True):
    """The components for webhooks."""

    store: WebhookStore
    calls: WebhookCalls


@asynccontextmanager
async def open_webhooks(
    database: Database,
    vault: Vault,
    outbound: Outbound,
    authorization: Authorization,
    duties: Duties,
    settled: Callable[[], Position | None] = lambda: None,
) -> AsyncIterator[WebhookComponents]:
    """Open the components for webhooks, and start the loop that posts where this is the server's duty.

    ``settled``: up to where events can be read when several servers write; else ``None``. Nothing is open before the
    first call.
    """
    store, calls = WebhookStore(database, vault, settled=settled), WebhookCalls(outbound)
    owns = partial(duties.owns, Duty.WEBHOOKS)
    loop = WebhookLoop(database, store, calls, authorization, owns=owns, settled=settled)
    end = duties.keep(Duty.WEBHOOKS, loop.serve)
    try:
        yield WebhookComponents(store=store, calls=calls)
    finally:
        await end()
        await calls.close()

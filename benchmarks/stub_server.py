"""``shoal serve`` whose accounts connect to nothing: a connection runs at once and stays until the account stops.

    python -m benchmarks.stub_server

Everything else is real: process, settings, listener, database. For benchmarks of what lies before the site.
"""

from __future__ import annotations

import asyncio
import gc

gc.disable()  # as ``shoal`` does before its imports

# ruff: noqa: E402
from benchmarks import PARKED
from shoal.accounts.account import Account, ParkReason
from shoal.accounts.account_task import Link
from shoal.config import load_settings
from shoal.errors import ActionRequired
from shoal.logs.logs import configure_logging
from shoal.server.listener import serve
from shoal.server.reply_server import build_app


async def connect(account: Account, link: Link) -> None:
    """Run until the account stops; park one whose id begins with ``PARKED``."""
    if account.id.startswith(PARKED):
        raise ActionRequired(ParkReason.LOGIN_EXPIRED)
    link.running()
    await asyncio.Event().wait()


def main() -> None:
    """Serve, as the command does."""
    settings = load_settings()
    configure_logging(level=settings.log_level, json=settings.log_format == "json")
    serve(build_app(settings, connect=connect), settings, lambda _, url: print(url, flush=True))


if __name__ == "__main__":
    main()

"""Before an answer shows states: what the other servers of the database observe of the accounts that they run.

A single server runs all accounts: then nothing is asked.
"""

from __future__ import annotations

from contextlib import suppress

from shoal.accounts.account import Account
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.errors import ShoalError, StoreError


async def observed_now(server: Server, account: Account) -> ShoalError | None:
    """Ask the server that runs the account what it observes now. Return why it did not answer, if so: then what it has
    stored is shown."""
    if server.manager.runs_here(account.id):
        return None
    with suppress(StoreError):  # what was last known is shown
        return await server.manager.observe(account)
    return None


async def looked_elsewhere(server: Server, who: Principal) -> None:
    """Read what other servers have stored of the caller's accounts."""
    if server.node_calls is not None:
        await server.manager.look([account.id for account in server.authorization.accounts_of(who)])


async def stored_there(server: Server, account: Account) -> str:
    """Read what the server that runs the account has stored of it. Return that server's name, if one is known."""
    await server.manager.look([account.id])
    return server.manager.node_of(account.id) or ""


async def found_account(server: Server, who: Principal, account_id: str, permission: Permission) -> Account:
    """Return the account if the caller has the permission on it. Raise as ``Authorization.require``.

    One that this server does not know is looked up once: another may have added it a moment ago.
    """
    if server.node_calls is not None and account_id not in server.manager.accounts:
        await server.manager.row_reads.read(account_id)
    return server.authorization.require(who, account_id, permission)

"""What this server observes of the accounts that it runs, told to another server, which may wait for them."""

from __future__ import annotations

from typing import Any

from shoal.accounts.account import AccountState
from shoal.accounts.remote_states import LONGEST_CALL_SECONDS
from shoal.api.server import Server
from shoal.cluster.node_watch import facts_of
from shoal.errors import StoreError

BEHIND_SECONDS = 1.0
"""How long a call waits for a change that its caller has already seen."""


async def answer_watch(server: Server, asked: dict[str, Any]) -> dict[str, Any]:
    """Give the accounts time to start or stop, and tell what is observed of them then.

    Left out are those that do not run here, or whose last change is not published here: the caller asks again.
    """
    revs = {str(name): int(rev) for name, rev in asked["revs"].items()}
    here = [name for name, rev in revs.items() if await _runs_here(server, name, rev)]
    revive = set(asked["revive"]).intersection(here)
    seconds = min(float(asked["seconds"]), LONGEST_CALL_SECONDS)
    seen = await server.manager.settled_here(here, seconds, revive=revive)
    return {
        "seen": {
            name: facts_of(observation)
            for name, observation in seen.items()
            if observation.state is not AccountState.ELSEWHERE  # its lease ran out, or is about to
        }
    }


async def _runs_here(server: Server, name: str, rev: int) -> bool:
    """Return whether the account runs here as its caller has seen it, or newer."""
    manager, calls = server.manager, server.node_calls
    account = manager.accounts.get(name)
    if server.follower is not None and (account is None or account.rev < rev):
        try:
            await server.follower.passed(rev, within_seconds=BEHIND_SECONDS)
        except StoreError:
            return False
        account = manager.accounts.get(name)
    is_mine = calls is not None and calls.is_mine(name) and manager.runs_here(name)
    return account is not None and account.rev >= rev and is_mine

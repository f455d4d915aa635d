"""What this server observes of the accounts that it runs, sent to another server, which may wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from shoal.accounts.account import AccountState
from shoal.accounts.remote_states import LONGEST_CALL_SECONDS
from shoal.api.server import Server
from shoal.cluster.node_watch import facts_of
from shoal.errors import StoreError

log = structlog.get_logger("shoal.calls")

BEHIND_SECONDS = 1.0
"""How long a call waits for a change that its caller has already seen."""


async def answer_watch(server: Server, asked: dict[str, Any]) -> dict[str, Any]:
    """Give the accounts time to start or stop, and tell what is observed of them then.

    Left out are those that do not run here, or whose last change is not published here: the caller asks again.
    """
    revs = {str(name): int(rev) for name, rev in asked["revs"].items()}
    await _followed(server, revs)
    here = [name for name, rev in revs.items() if _runs_here(server, name, rev)]
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


async def _followed(server: Server, revs: Mapping[str, int]) -> None:
    """Wait a moment until these changes are published here: the newest, then what is left, in the order of the
    stream."""
    for newest_alone in (True, False):
        behind = [rev for name, rev in revs.items() if not _is_published(server, name, rev)]
        if server.follower is None or not behind:
            return
        passed = server.follower.passed
        goals = [max(behind)] if newest_alone else behind
        try:
            await asyncio.gather(*(passed(rev, within_seconds=BEHIND_SECONDS) for rev in goals))
        except StoreError as error:
            log.debug("it is not known whether a change is published", why=error.code)


def _is_published(server: Server, name: str, rev: int) -> bool:
    account = server.manager.accounts.get(name)
    return account is not None and account.rev >= rev


def _runs_here(server: Server, name: str, rev: int) -> bool:
    """Return whether the account runs here as its caller has seen it, or newer."""
    calls = server.node_calls
    is_mine = calls is not None and calls.is_mine(name) and server.manager.runs_here(name)
    return is_mine and _is_published(server, name, rev)

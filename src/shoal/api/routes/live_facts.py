"""What only the process knows that runs an account: its observed state, and what its connection receives."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import msgspec

from shoal.accounts.account import Account, Observation
from shoal.api.http.states_elsewhere import stored_there
from shoal.api.server import Server
from shoal.cluster.node_calls import AnswerLost, OwnerAway, RefusedThere
from shoal.cluster.node_watch import facts_of
from shoal.connection.push_counts import AccountPushes, Count, PushKind
from shoal.errors import StoreError

DIAGNOSE: Final = "diagnose"
ASKED_SECONDS: Final = 2.0
"""How long a diagnosis waits for the server that runs the account."""


class LiveFacts(msgspec.Struct, frozen=True, kw_only=True):
    """``node``: the other server that runs the account. ``is_silent``: it did not answer, and what it has stored is
    known."""

    seen: Observation
    pushes: AccountPushes
    site_ahead_ms: int = 0
    node: str = ""
    is_silent: bool = False


class _Answer(msgspec.Struct):
    """As ``answer_diagnose`` returns it."""

    seen: Observation
    pushes: list[tuple[str, int, int]]
    forms: list[str]
    site_ahead_ms: int
    node: str


async def live_facts(server: Server, account: Account) -> LiveFacts:
    """Return what the server that runs the account knows now."""
    calls = server.node_calls
    if calls is None or server.manager.runs_here(account.id):
        pushes = server.push_counts.of(account.id)
        return LiveFacts(
            seen=server.manager.observation(account.id), pushes=pushes, site_ahead_ms=server.site_time.ahead_ms
        )
    reported = None
    with suppress(OwnerAway, AnswerLost, RefusedThere, StoreError, msgspec.ValidationError):
        answer = await calls.ask(account.id, DIAGNOSE, {"rev": account.rev}, seconds=ASKED_SECONDS)
        reported = msgspec.convert(answer, _Answer)
    if reported is None:
        node = await stored_there(server, account)
        seen = server.manager.observation(account.id)
        return LiveFacts(seen=seen, pushes=AccountPushes(), node=node, is_silent=bool(node))
    known = {kind.value for kind in PushKind}
    counts = {PushKind(kind): Count(times, at_ms) for kind, times, at_ms in reported.pushes if kind in known}
    return LiveFacts(
        seen=reported.seen,
        pushes=AccountPushes(counts=counts, forms=dict.fromkeys(reported.forms, 1)),
        site_ahead_ms=reported.site_ahead_ms,
        node=reported.node,
    )


async def answer_diagnose(server: Server, account: Account, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001
    """Return to another server what this one knows of an account that runs here."""
    pushes = server.push_counts.of(account.id)
    return {
        "seen": facts_of(server.manager.observation(account.id)),
        "pushes": [(kind.value, count.times, count.last_at_ms) for kind, count in pushes.counts.items()],
        "forms": list(pushes.forms),
        "site_ahead_ms": server.site_time.ahead_ms,
        "node": server.nodes.name,
    }

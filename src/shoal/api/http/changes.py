"""What every change adds to the manager's call: the facts of its answer, the ETag, the state on a conflict."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Response
from fastapi.encoders import jsonable_encoder

from shoal.accounts.account import Account, AccountState
from shoal.accounts.callers import Outcome
from shoal.accounts.change_path import Caller
from shoal.api.http.json_bodies import has_many_rules
from shoal.api.schemas.op_ids import shown_op_id
from shoal.api.schemas.responses import account_body, etag, etag_of
from shoal.api.server import Server
from shoal.concurrency.fair_threads import beside_if
from shoal.errors import AlreadyRemoved, StaleGeneration

Shown = Callable[[Account], Any]


async def changed(
    server: Server, response: Response, account_id: str, change: Awaitable[Outcome], shown: Shown | None = None
) -> dict[str, Any]:
    """Await a change and return the fields of ``ChangeFacts``; otherwise like ``made``."""
    return facts_of(await made(server, response, account_id, change, shown))


async def made(
    server: Server, response: Response, account_id: str, change: Awaitable[Outcome], shown: Shown | None = None
) -> Outcome:
    """Await a change and put the new ETag into the response; otherwise like ``outcome_of``."""
    outcome = await outcome_of(server, account_id, change, shown)
    response.headers["ETag"] = etag(outcome.generation)
    return outcome


async def outcome_of(
    server: Server, account_id: str, change: Awaitable[Outcome], shown: Shown | None = None
) -> Outcome:
    """Await a change.

    A ``StaleGeneration`` carries the account as it is now, in the form of ``shown``. The answer takes the account's
    values from the outcome, because the account may already be deleted.
    """
    try:
        return await change
    except StaleGeneration as error:
        await _add_current(server, account_id, error, shown)
        raise


async def removed(server: Server, account_id: str, caller: Caller) -> dict[str, Any]:
    """Remove an account. Return the fields of ``ChangeFacts`` with the tombstone's generation, and ``purged``."""
    try:
        outcome = await server.manager.remove_cookie(account_id, caller=caller)
        return {**facts_of(outcome), "purged": outcome.purged}
    except StaleGeneration as error:
        await _add_current(server, account_id, error, None)
        raise
    except AlreadyRemoved as before:
        return {
            "changed": True,
            "generation": before.params["generation"],
            "rev": before.params["rev"],
            "state": AccountState.STOPPED,
            "op_id": shown_op_id(caller.op_id),
            "purged": before.params["purged"],
        }


async def require_current(server: Server, account: Account, caller: Caller) -> None:
    """Check ``If-Match`` for a change of chats, orders or messages, which leaves the account itself unchanged.

    Raise ``StaleGeneration`` with the account as it is now.
    """
    if caller.has_seen_after(account):
        await server.manager.row_reads.read(account.id)
        account = server.manager.account(account.id)
    if caller.is_mistaken_about(account):
        error = StaleGeneration(f"{account.id} is at generation {account.generation}", id=account.id)
        await _add_current(server, account.id, error, None)
        raise error


def facts_of(outcome: Outcome) -> dict[str, Any]:
    """Return the fields of ``ChangeFacts``."""
    return {
        "changed": outcome.changed,
        "generation": outcome.generation,
        "rev": outcome.rev,
        "state": outcome.observation.state,
        "op_id": shown_op_id(outcome.op_id),
    }


def untouched(server: Server, account: Account, caller: Caller) -> dict[str, Any]:
    """Return the fields of ``ChangeFacts`` for a preview, which changes nothing."""
    return {
        "changed": False,
        "generation": account.generation,
        "rev": account.rev,
        "state": server.manager.observation(account.id).state,
        "op_id": shown_op_id(caller.op_id),
    }


async def _add_current(server: Server, account_id: str, error: StaleGeneration, shown: Shown | None) -> None:
    account = server.manager.accounts.get(account_id)
    if account is None:
        return
    show = shown or (lambda account: account_body(server.manager, account, None))
    large = shown is not None and has_many_rules(account)
    error.params["current"] = await beside_if(large, lambda: jsonable_encoder(show(account)))
    error.params["generation"] = account.generation
    error.params["etag"] = etag_of(account)

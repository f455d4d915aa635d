"""Builds large answers on another thread, so that the event loop stays free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Response
from pydantic_core import to_json

from shoal.accounts.account import Account
from shoal.concurrency.fair_threads import beside_if
from shoal.rules.matcher import MANY_RULES


def has_many_rules(account: Account) -> bool:
    """Return whether a list of all the account's rules is large."""
    return len(account.keywords) >= MANY_RULES


async def large_answer(
    make: Callable[[], Any], *, large: bool, headers: Mapping[str, str] | None = None, status: int = 200
) -> Response:
    """Build an answer from the value of ``make``; on another thread if it is ``large``.

    ``make`` must use only values that do not change. The route names its ``response_model`` for the reference only; the
    body is not validated against it.
    """
    body = await beside_if(large, lambda: to_json(make()))
    return Response(body, status_code=status, media_type="application/json", headers=headers)

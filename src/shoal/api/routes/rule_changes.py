"""Shared steps of the rule routes: making a change, measuring pictures, adding warnings."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

from fastapi import Response

from shoal.accounts import edits
from shoal.accounts.account import Account
from shoal.accounts.callers import Outcome
from shoal.accounts.change_path import Caller
from shoal.api.http.changes import made
from shoal.api.http.json_bodies import has_many_rules
from shoal.api.schemas.rules import WarningShape, rule_shape, warning_shapes
from shoal.api.server import Server
from shoal.concurrency.fair_threads import beside_if
from shoal.language.choice import Language
from shoal.pictures.pictures import is_kept, require_showable
from shoal.rules.keywords import rising_ids
from shoal.rules.rule_lint import warnings_of


async def rules_made(server: Server, response: Response, account_id: str, edit: edits.Edit, caller: Caller) -> Outcome:
    """Change the rules by an edit; a 412 contains the current rules."""
    change = server.manager.update_rules(account_id, edit, caller=caller)
    return await made(server, response, account_id, change, _current)


def _current(account: Account) -> dict[str, Any]:
    """Return the body of a 412: the current rules."""
    return {"items": [rule_shape(rule, {}) for rule in account.keywords], "generation": account.generation}


def new_rule_ids(caller: Caller, number: int) -> list[str]:
    """Return the ids of new rules: the same ones when the same request runs again."""
    return rising_ids(hashlib.shake_128(caller.op_id.encode()).hexdigest(6), number)


async def warnings_found(account: Account, about: Collection[str], language: Language) -> list[WarningShape]:
    """Return the warnings about some rules; on another thread when the account has many rules."""
    return await beside_if(has_many_rules(account), warnings_about, account, about, language)


def warnings_about(account: Account, about: Collection[str], language: Language) -> list[WarningShape]:
    """Return the warnings about some rules."""
    return warning_shapes(warnings_of(account.keywords, about), account.keywords, language)


async def measured(server: Server, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with the sizes of pictures stored here. Raise ``InvalidInput`` for one that cannot be sent."""
    parts: Sequence[dict[str, Any]] = values.get("parts", ())
    for part in parts:
        url = part.get("image_url", "")
        if is_kept(url):
            size = (await server.pictures.read(url)).measured
            part |= {"width": size.width, "height": size.height}
        elif url:
            require_showable(url)
    return values

"""What the site calls a seller: a change of the account like any other, made by the site."""

from __future__ import annotations

import structlog

from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.edits import MAX_ADDRESS_CHARACTERS, MAX_NAME_CHARACTERS
from shoal.accounts.observed_state import storable
from shoal.errors import Conflict, StoreError, UnknownAccount

log = structlog.get_logger("shoal.accounts")

ACTOR = "site"


async def learn_profile(manager: CookieManager, account_id: str, name: str, picture: str) -> None:
    """Keep the seller's name and picture, unless the account has a name by now. Never raises for what passes."""
    try:
        if manager.account(account_id).name:
            return
        values = {"name": storable(name, MAX_NAME_CHARACTERS), "picture": storable(picture, MAX_ADDRESS_CHARACTERS)}
        await manager.update_settings(account_id, values, caller=Caller(actor=ACTOR, wait_seconds=0))
    except (UnknownAccount, Conflict, StoreError) as error:
        log.warning("name not kept", account=account_id, why=error.code)

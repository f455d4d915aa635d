"""The changes of an account's settings, rules, items and deliveries: each is one edit over the single path."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from shoal.accounts import edits
from shoal.accounts.account import Account
from shoal.accounts.callers import Caller, Outcome
from shoal.accounts.edits import Edit
from shoal.accounts.row_reads import RowReads
from shoal.concurrency.fair_threads import beside_if
from shoal.config import Settings
from shoal.errors import StaleGeneration
from shoal.rules.keywords import KeywordRow
from shoal.rules.matcher import MANY_RULES


class SettingChanges(ABC):
    """The part of the manager that starts and stops nothing, but for a new proxy."""

    _settings: Settings
    row_reads: RowReads

    @abstractmethod
    def account(self, account_id: str) -> Account:
        """Return the published snapshot. Raises ``UnknownAccount``."""

    @abstractmethod
    async def _change(
        self, account_id: str, operation: str, edit: Edit, caller: Caller, *, wait: float = 0.0, revive: bool = False
    ) -> Outcome:
        """Commit the edit of an account, and give its task time to start or stop (``wait`` is the default)."""

    async def update_auto_confirm_setting(self, account_id: str, auto_confirm: bool, *, caller: Caller) -> Outcome:
        """Switch automatic shipment confirmation. A running connection reads it at each decision."""
        return await self._change(account_id, "update_auto_confirm_setting", edits.auto_confirm(auto_confirm), caller)

    async def update_keywords(self, account_id: str, kw_list: Sequence[tuple[str, str]], *, caller: Caller) -> Outcome:
        """Replace the general text rules; item-bound and image rules stay. Applies from the next message on."""
        edit = await beside_if(len(kw_list) >= MANY_RULES, edits.general_keywords, kw_list)
        return await self._change(account_id, "update_keywords", edit, caller)

    async def update_text_keywords(self, account_id: str, rows: Sequence[KeywordRow], *, caller: Caller) -> Outcome:
        """Replace all text rules, general and item-bound; image rules stay."""
        edit = await beside_if(len(rows) >= MANY_RULES, edits.text_keywords, rows)
        return await self._change(account_id, "update_keywords", edit, caller)

    async def remove_keyword(self, account_id: str, which: int | str, *, caller: Caller) -> Outcome:
        """Delete one rule, by its position in the shown list (``int``) or by its id (``str``)."""
        return await self._change(account_id, "remove_keyword", edits.no_keyword(which), caller)

    async def update_rules(self, account_id: str, edit: Edit, *, caller: Caller) -> Outcome:
        """Change the rules with an edit of ``edits.rules``. Applies from the next message on."""
        return await self._change(account_id, "update_keywords", edit, caller)

    async def preview_rules(self, account_id: str, edit: Edit, *, caller: Caller) -> Account:
        """Return the account as it would be after the edit. Raises like the change, but for concurrent changes."""
        await self.row_reads.read_if_behind(account_id, caller)
        account = self.account(account_id)
        if caller.is_mistaken_about(account):
            raise StaleGeneration(f"{account_id} is at generation {account.generation}", id=account_id)
        return await edits.apply_edit(edit, account)

    async def update_settings(self, account_id: str, values: Mapping[str, Any], *, caller: Caller) -> Outcome:
        """Change some ``SETTINGS`` of ``shop_settings``. Raises ``InvalidInput`` that names the field.

        A running account with a new proxy reconnects through it; a parked one stays parked.
        """
        wait = self._settings.start_wait_seconds if "proxy" in values else 0.0
        return await self._change(account_id, "update_settings", edits.settings(values), caller, wait=wait)

    async def update_item(
        self, account_id: str, item_id: str, values: Mapping[str, Any] | None, *, caller: Caller
    ) -> Outcome:
        """Change some of an item's ``reply``, ``paid_message`` and ``nothing_to_send``; ``None`` deletes the item."""
        return await self._change(account_id, "update_item", edits.item(item_id, values), caller)

    async def update_items(self, account_id: str, edit: Edit, *, caller: Caller) -> Outcome:
        """Change the settings of items with an edit of ``edits``."""
        return await self._change(account_id, "update_item", edit, caller)

    async def update_deliveries(self, account_id: str, edit: Edit, *, caller: Caller) -> Outcome:
        """Change the delivery rules with an edit of ``edits.deliveries``. Applies from the next order on."""
        return await self._change(account_id, "update_deliveries", edit, caller)

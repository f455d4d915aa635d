"""The edits: each turns one snapshot into the next, or refuses with an error.

An edit that changes nothing returns the same object; the change path then knows that nothing is to be done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shoal.accounts import delivery_edits
from shoal.accounts.account import FIRST_START, Account
from shoal.accounts.delivery_rule import DeliveryRule
from shoal.accounts.item_setting import ItemSetting
from shoal.accounts.model_settings import MAX_ITEM_FACTS_CHARACTERS
from shoal.accounts.setting_kinds import Flag, Line, Number, Reply
from shoal.accounts.shop_settings import MAX_FLOOR_FEN, SETTINGS
from shoal.clock import now_ms
from shoal.concurrency.fair_threads import beside
from shoal.errors import InvalidInput, OtherUnb, checked_fields
from shoal.rules.keywords import (
    KeywordRow,
    Rules,
    checked_rows,
    replace_general,
    replace_text,
    with_image,
    without_index,
    without_rule,
)
from shoal.rules.matcher import MANY_RULES
from shoal.rules.rule import Part
from shoal.rules.rule_edits import Values, with_changed_rule, with_order, with_rule
from shoal.rules.rule_lists import Wanted, WholeRules, merged, replaced
from shoal.xianyu.browser import OWN, stored_form
from shoal.xianyu.cookie_string import CookieCheck

Edit = Callable[[Account], Account]
_FLOOR = Number(0, MAX_FLOOR_FEN, "bad_ai_number")
ITEM_SETTINGS: Mapping[str, Callable[[Any, str], Any]] = {
    "reply": Reply().checked,
    "paid_message": Reply().checked,
    "nothing_to_send": Flag().checked,
    "facts": Line(MAX_ITEM_FACTS_CHARACTERS, lambda text, _: text.strip()).checked,
    "floor_fen": lambda value, name: None if value is None else _FLOOR.checked(value, name),
}
"""The settings of an item, with their checks."""


@dataclass(frozen=True, slots=True)
class RuleEdit:
    """An edit of rules, with the number of rules that its caller sent."""

    edit: Edit
    sent: int = 1

    def __call__(self, account: Account) -> Account:
        """Return the edited account."""
        return self.edit(account)

    def takes_long(self, account: Account) -> bool:
        """Return whether to run the edit off the event loop."""
        return len(account.keywords) + self.sent >= MANY_RULES


async def apply_edit(edit: Edit, account: Account) -> Account:
    """Return the edited account. Many rules are compiled on another thread, so that the loop continues."""
    takes_long = isinstance(edit, RuleEdit) and edit.takes_long(account)
    return await beside(edit, account) if takes_long else edit(account)


def switched(enabled: bool, is_parked: Callable[[Account], bool] | None = None) -> Edit:
    """Enable or disable the account; with ``is_parked``, enabling a parked one resumes it.

    An account that came from another system serves orders from its first start on.
    """

    def edit(account: Account) -> Account:
        if account.enabled == enabled:
            return account
        again = enabled and is_parked is not None and is_parked(account)
        since = now_ms() if enabled and account.orders_since_ms == FIRST_START else account.orders_since_ms
        return account.evolve(enabled=enabled, restart_nonce=account.restart_nonce + int(again), orders_since_ms=since)

    return edit


def cookie(checked: CookieCheck, *, browser: str | None = None) -> Edit:
    """Replace the cookie with another of the same seller. Raises ``OtherUnb`` for another seller's cookie.

    The browser is ``browser`` (in its stored form), or the one in the text. Without both the known one stays, because
    owners mostly copy from the same browser, unless the old cookie came from a QR login. The same cookie of another
    browser is another version too: what the site gave to the old browser (a token, later cookies, a refusal) is void.
    """
    given = browser or browser_in_text(checked)

    def edit(account: Account) -> Account:
        if checked.unb != account.unb:
            raise OtherUnb("the cookie belongs to another seller", expected=account.unb, found=checked.unb)
        if checked.header == account.cookie and given in {None, account.browser}:
            return account
        known = None if account.browser == OWN else account.browser
        return account.evolve(cookie=checked.header, cookie_version=account.cookie_version + 1, browser=given or known)

    return edit


def browser_in_text(checked: CookieCheck) -> str | None:
    """Return the browser in a pasted text, in its stored form."""
    return stored_form(checked.browser) if checked.browser is not None else None


def both(first: Edit, second: Edit) -> Edit:
    """Combine two edits into one change."""
    return lambda account: second(first(account))


def auto_confirm(value: bool) -> Edit:
    """Switch automatic shipment confirmation."""
    return lambda account: _set(account, auto_confirm=value)


def resume(account: Account) -> Account:
    """Resume after the owner acted."""
    return account.evolve(restart_nonce=account.restart_nonce + 1)


def rules(edit: Callable[[Rules], Rules], *, sent: int = 1) -> Edit:
    """Edit the rules. ``sent`` is the number of rules that the caller sent."""
    return RuleEdit(lambda account: _set(account, keywords=edit(account.keywords)), sent)


def general_keywords(pairs: Sequence[tuple[str, str]]) -> Edit:
    """Replace the general text rules. Refuses bad input at once, before any lock is taken."""
    replies = checked_rows([KeywordRow(keyword=keyword, reply=reply) for keyword, reply in pairs])
    return rules(lambda before: replace_general(before, replies), sent=len(replies))


def text_keywords(rows: Sequence[KeywordRow]) -> Edit:
    """Replace all text rules, general and item-bound. Refuses bad input at once."""
    checked = checked_rows(rows)
    return rules(lambda before: replace_text(before, checked), sent=len(checked))


def image_keyword(keyword: str, item_id: str | None, picture: Part) -> Edit:
    """Add a rule that answers a keyword with a picture. Refuses bad input at once."""
    with_image((), keyword, item_id, picture)
    return rules(lambda before: with_image(before, keyword, item_id, picture))


def no_keyword(which: int | str) -> Edit:
    """Delete one rule, by its position in the shown list (``int``) or by its id (``str``)."""
    if isinstance(which, int):
        return rules(lambda before: without_index(before, which))
    return rules(lambda before: without_rule(before, which))


def new_rule(rule_id: str, values: Values) -> Edit:
    """Add a rule (see ``rule_edits``). Refuses bad input at once."""
    with_rule((), rule_id, values)
    return rules(lambda before: with_rule(before, rule_id, values))


def changed_rule(rule_id: str, values: Values) -> Edit:
    """Change some fields of a rule."""
    return rules(lambda before: with_changed_rule(before, rule_id, values))


def rule_order(ids: Sequence[str], priorities: Mapping[str, int] | None = None) -> Edit:
    """Put the rules in this order, some of them with another priority."""
    return rules(lambda before: with_order(before, ids, priorities))


def all_rules(wanted: WholeRules | Sequence[Wanted]) -> Edit:
    """Replace all rules."""
    sent = len(wanted.rules) if isinstance(wanted, WholeRules) else len(wanted)
    return rules(lambda before: replaced(before, wanted), sent=sent)


def more_rules(wanted: Sequence[Wanted]) -> Edit:
    """Add these rules, and edit the existing ones among them; the others stay."""
    return rules(lambda before: merged(before, wanted), sent=len(wanted))


def settings(values: Mapping[str, Any]) -> Edit:
    """Change some of ``SETTINGS``. Raises ``InvalidInput`` that names the field."""
    unknown = sorted(set(values) - set(SETTINGS))
    if unknown:
        raise InvalidInput(f"{unknown[0]} is no setting of an account", code="unknown_setting", field=unknown[0])
    checked = _named(values, {name: SETTINGS[name].checked for name in values})
    return lambda account: _set(account, **checked)


def deliveries(wanted: Sequence[Values], *, merge: bool = False) -> Edit:
    """Replace the delivery rules, or add these (see ``delivery_edits``). Refuses bad input at once."""
    change = delivery_edits.merged if merge else delivery_edits.replaced
    change((), wanted)
    return lambda account: _set(account, deliveries=change(account.deliveries, wanted))


def deliveries_instead(
    old: Callable[[DeliveryRule], bool], wanted: Callable[[Sequence[DeliveryRule]], Sequence[Values]]
) -> Edit:
    """Put delivery rules in the place of some others. ``wanted`` returns them; it is given the others as they are when
    the edit is applied. Refuses bad input then, and a rule for the same orders as one that stays.
    """

    def edit(account: Account) -> Account:
        gone = [rule for rule in account.deliveries if old(rule)]
        kept = tuple(rule for rule in account.deliveries if not old(rule))
        after = delivery_edits.joined(kept, wanted(gone))
        return account if after == account.deliveries else _set(account, deliveries=after)

    return edit


def item(item_id: str, values: Mapping[str, Any] | None) -> Edit:
    """Change some settings of an item (see ``ItemSetting``); ``None`` deletes the item."""
    if not 1 <= len(item_id) <= 64 or not (item_id.isascii() and item_id.isalnum()):
        raise InvalidInput("an item id has 1 to 64 letters or digits", code="bad_item_id")
    checked = None if values is None else _named(values, ITEM_SETTINGS)

    def edit(account: Account) -> Account:
        others = tuple(entry for entry in account.items if entry.item_id != item_id)
        if checked is None:
            return _set(account, items=others)
        before = account.item(item_id) or ItemSetting(item_id=item_id)
        merged_item = replace(before, **checked)
        return _set(account, items=tuple(sorted((*others, merged_item), key=lambda entry: entry.item_id)))

    return edit


def no_item_reply(item_id: str) -> Edit:
    """Delete an item's reply; its other settings stay. Raises ``InvalidInput`` when there is none."""

    def edit(account: Account) -> Account:
        found = account.item(item_id)
        if found is None or not found.reply:
            raise InvalidInput("that item has no reply", code="unknown_item_reply")
        return no_item_replies([item_id])(account)

    return edit


def no_item_replies(item_ids: Sequence[str]) -> Edit:
    """Delete the replies of some items, where there are any; their other settings stay."""
    chosen = frozenset(item_ids)

    def edit(account: Account) -> Account:
        muted = (replace(item, reply="") if item.item_id in chosen else item for item in account.items)
        return _set(account, items=tuple(item for item in muted if item != ItemSetting(item_id=item.item_id)))

    return edit


def _named(values: Mapping[str, Any], checks: Mapping[str, Callable[[Any, str], Any]]) -> dict[str, Any]:
    def check_of(name: str) -> Callable[[Any], Any]:
        return lambda value: checks[name](value, name)

    return checked_fields(values, {name: check_of(name) for name in values})


def _set(account: Account, **values: Any) -> Account:
    """Return the account with these values, or the same object when nothing differs."""
    if all(getattr(account, name) == value for name, value in values.items()):
        return account
    return account.evolve(**values)

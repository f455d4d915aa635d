"""Plans accounts: each becomes one new account, off, with all that belongs to it."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from shoal.accounts.account import FIRST_START, Account, check_account_id
from shoal.accounts.edits import browser_in_text
from shoal.accounts.shop_settings import (
    MAX_DEBOUNCE_SECONDS,
    MAX_NAME_CHARACTERS,
    MAX_PAUSE_MINUTES,
    MAX_REMARK_CHARACTERS,
)
from shoal.errors import InvalidInput
from shoal.maintenance.moving.old_shop import Fate, OldAccount, OldShop
from shoal.maintenance.moving.plan import Here, Kind, NewAccount, Tally, WasOn
from shoal.maintenance.moving.plan_models import ModelPart, ModelPlans
from shoal.maintenance.moving.plan_orders import plan_orders
from shoal.maintenance.moving.plan_pictures import Pictures
from shoal.maintenance.moving.plan_rules import (
    count_items,
    plan_default_reply,
    plan_item_replies,
    plan_late_rules,
    plan_rules,
    skip_replies,
    with_floors,
)
from shoal.maintenance.moving.plan_users import Owners
from shoal.xianyu.cookie_string import CookieCheck, require_cookie
from shoal.xianyu.proxy import parse_proxy

_USUAL_PAUSE: Final = 10


class AccountPlans:
    """Plans the accounts one after another; they depend on each other by their sellers' numbers and the limit."""

    def __init__(self, here: Here, owners: Owners, tally: Tally, pictures: Pictures, models: ModelPlans) -> None:
        self._here = here
        self._owners = owners
        self._models = models
        self._tally = tally
        self._pictures = pictures
        self._numbers = {(account.owner_id, account.unb): account.id for account in here.accounts.values()}
        self._new_numbers: dict[tuple[str, str], str] = {}
        self._per_owner: Counter[str] = Counter()
        self.was_on: list[WasOn] = []
        self.waiting: list[dict[str, Any]] = []

    def of(self, old: OldShop) -> tuple[NewAccount, ...]:
        """Return the accounts that are added, and those that an earlier run brought."""
        return tuple(made for one in old.accounts if (made := self._one(one)) is not None)

    def _one(self, old: OldAccount) -> NewAccount | None:
        owner, is_known = self._owners.of(old.user_id)
        if owner is None:
            self._skip(old, "row_of_other_user")
            return None
        if self._here.knows(owner, Kind.ACCOUNTS, old.id) and old.id in self._here.accounts:
            return self._known(old, owner)
        refusal, params, cookie = self._refusal(old, owner)
        if cookie is None:
            self._skip(old, refusal, **params)
            return None
        before = len(self._tally.oddities)
        if not is_known:
            self._tally.note("cookies", old.id, "owner_unknown", Fate.CHANGED, account=old.id)
        part = self._models.of(old, owner)
        proxy, holds = self._proxy(old)
        draft = self._draft(old, cookie, part, proxy)
        for code in holds:
            self._tally.note("cookies", old.id, code, Fate.CHANGED, account=old.id)
        fates = {odd.fate for odd in self._tally.oddities[before:] if odd.table == "cookies"}
        self._tally.count(Kind.ACCOUNTS, Fate.CHANGED if Fate.CHANGED in fates else Fate.TAKEN)
        self._new_numbers[owner, cookie.unb] = old.id
        self._per_owner[owner] += 1
        if old.was_on:
            self._note_on(old, draft.remark, owner, holds)
        if part.waits:
            self.waiting.append({"account_id": old.id, "settings": dict(part.waits)})
        return NewAccount(
            owner=owner,
            draft=draft,
            orders=plan_orders(old, self._tally),
            answered_chats=() if old.default_reply is None else old.default_reply.answered_chats,
            provider=part.provider,
        )

    def _known(self, old: OldAccount, owner: str) -> NewAccount:
        """Count what an earlier run brought: nothing of it is touched.

        What is new comes: orders, and the rules whose picture did not come then.
        """
        for kind, number in (
            (Kind.ACCOUNTS, 1), (Kind.ITEM_REPLIES, len(old.item_replies)),
            (Kind.DEFAULT_REPLIES, int(old.default_reply is not None)), (Kind.AI, int(old.ai is not None)),
            (Kind.ITEMS, len(old.items)),
        ):  # fmt: skip
            self._tally.count(kind, Fate.KNOWN, number)
        account = self._here.accounts[old.id]
        late = plan_late_rules(old, account, self._here, owner, self._tally, self._pictures)
        if old.was_on and not account.enabled and account.orders_since_ms == FIRST_START:  # it was never turned on
            self._note_on(old, account.remark, owner, self._proxy(old)[1])
        orders = plan_orders(old, self._tally, self._here.orders.get(old.id, frozenset()))
        return NewAccount(owner=owner, draft=account, orders=orders, exists=True, late_rules=late)

    def _note_on(self, old: OldAccount, remark: str, owner: str, holds: tuple[str, ...]) -> None:
        stays_off = holds[0] if holds else ""
        name = remark or old.id
        self.was_on.append(WasOn(kind=Kind.ACCOUNTS, id=old.id, name=name, owner=owner, stays_off=stays_off))

    @staticmethod
    def _proxy(old: OldAccount) -> tuple[str, tuple[str, ...]]:
        """Return the proxy as it is stored, and why the account must not be turned on with the rest.

        Without its proxy it would sign in from this server's own address.
        """
        if not old.proxy:
            return "", old.holds
        try:
            return parse_proxy(old.proxy).url, old.holds
        except InvalidInput:
            return "", ("proxy_unusable", *old.holds)

    def _refusal(self, old: OldAccount, owner: str) -> tuple[str, dict[str, Any], CookieCheck | None]:
        """Return why an account cannot be added (a code and its params), or its cookie."""
        try:
            check_account_id(old.id)
        except InvalidInput:
            return "bad_account_id", {}, None
        if old.id in self._here.accounts:
            return "account_exists", {}, None
        try:
            cookie = require_cookie(old.cookie)
        except InvalidInput as error:
            missing = ", ".join(error.params.get("missing", ()))
            return ("cookie_incomplete" if missing else "cookie_unreadable"), {"missing": missing}, None
        user = self._here.users.get(owner)
        twin = self._new_numbers.get((owner, cookie.unb))
        if twin is None and user is not None:
            twin = self._numbers.get((user.id, cookie.unb))
        if twin is not None:
            return "seller_twice", {"other": twin}, None
        limit = self._here.most_shops
        if limit is not None and user is not None and user.id == self._here.caller.id:
            mine = sum(account.owner_id == user.id for account in self._here.accounts.values())
            if mine + self._per_owner[owner] >= limit:
                return "too_many_shops", {"limit": limit}, None
        return "", {}, cookie

    def _draft(self, old: OldAccount, cookie: CookieCheck, part: ModelPart, proxy: str) -> Account:
        text, is_on, once = plan_default_reply(old, self._tally)
        if old.auto_confirm:
            self._tally.note("cookies", old.id, "auto_confirm_on", Fate.TAKEN, account=old.id)
        count_items(old, self._tally)
        return Account(
            id=old.id,
            owner_id=0,
            unb=cookie.unb,
            cookie=cookie.header,
            proxy=proxy,
            browser=browser_in_text(cookie),
            enabled=False,
            delivery=old.delivers,
            auto_confirm=old.auto_confirm,
            name=self._cut(old, "name_cut", old.name, MAX_NAME_CHARACTERS),
            remark=self._cut(old, "remark_cut", old.remark, MAX_REMARK_CHARACTERS),
            pause_duration=self._pause(old),
            debounce_seconds=self._debounce(old),
            default_reply=text,
            default_reply_enabled=is_on,
            default_reply_once=once,
            keywords=plan_rules(old, self._tally, self._pictures),
            items=with_floors(plan_item_replies(old, self._tally), part.floors),
            ai_persona=part.persona,
            ai_hours=part.hours,
            orders_since_ms=FIRST_START,
            ai_turns_per_chat=part.turns,
        )

    def _cut(self, old: OldAccount, code: str, text: str, limit: int) -> str:
        if len(text) > limit:
            self._tally.note("cookies", old.id, code, Fate.CHANGED, limit=limit)
        return text[:limit]

    def _debounce(self, old: OldAccount) -> float | None:
        if old.debounce_seconds <= 0:
            return None
        seconds = min(old.debounce_seconds, MAX_DEBOUNCE_SECONDS)
        if seconds != old.debounce_seconds:
            self._tally.note(
                "cookies", old.id, "delay_cut", Fate.CHANGED, before=old.debounce_seconds, seconds=round(seconds)
            )
        return float(seconds)

    def _pause(self, old: OldAccount) -> int:
        if old.pause_duration is None:
            return _USUAL_PAUSE
        pause = min(max(old.pause_duration, 0), MAX_PAUSE_MINUTES)
        if pause != old.pause_duration:
            self._tally.note("cookies", old.id, "pause_changed", Fate.CHANGED, before=old.pause_duration, minutes=pause)
        return pause

    def _skip(self, old: OldAccount, code: str, **params: Any) -> None:
        self._tally.skip(Kind.ACCOUNTS, "cookies", old.id, code, account=old.id, **params)
        skip_replies(old, self._tally, "account_not_taken")

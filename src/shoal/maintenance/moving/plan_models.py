"""Plans what an account brings for answers by a language model: a provider, a persona, and the floors of its items."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import urlsplit

from shoal.accounts.model_settings import MAX_PERSONA_CHARACTERS, MAX_TURNS
from shoal.assistant.old_prompts import SORTS, persona_of, prompts_of
from shoal.assistant.providers import MAX_PROVIDERS, MOST_NAME, changed_values
from shoal.errors import InvalidInput
from shoal.language.folding import folded
from shoal.maintenance.moving.old_shop import Fate, OldAccount
from shoal.maintenance.moving.plan import Here, Kind, NewProvider, Tally
from shoal.maintenance.moving.plan_rules import is_item_id
from shoal.rules.opening_hours import opening_hours

TABLE: Final = "ai_reply_settings"
USUAL_TURNS: Final = 6
"""How many answers a model gives in a chat and day unless the settings say something else."""
_PRICE: Final = re.compile(r"[¥￥]?\s*(\d{1,8}(?:\.\d{1,2})?)\s*元?")
_FEN: Final = 100
_OF_SYSTEM: Final[Mapping[str, tuple[str, ...]]] = {
    "model_name": ("ai_model",), "api_key": ("ai_api_key",), "base_url": ("ai_base_url", "ai_api_url"),
    "custom_prompts": ("default_reply_prompt",),
}  # fmt: skip
"""Where a setting stands in the settings of the whole system."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelPart:
    """What an account gets. ``floors``: the lowest price of each item in fen. ``provider``: the key of one, or empty.

    ``waits``: what could not be taken, and is kept sealed.
    """

    persona: str = ""
    hours: str = ""
    turns: int = USUAL_TURNS
    provider: str = ""
    floors: Mapping[str, int] = field(default_factory=dict)
    waits: Mapping[str, Any] = field(default_factory=dict, repr=False)


class ModelPlans:
    """Plans the model of one account after another; accounts of one owner with the same model share a provider.

    ``system``: the settings of the whole system, which stand for what an account of the caller does not say.
    """

    def __init__(self, here: Here, tally: Tally, system: Mapping[str, Any]) -> None:
        self._here = here
        self._tally = tally
        self._system = system
        self._providers: dict[tuple[str, str], NewProvider] = {}
        self.used_system = False

    @property
    def providers(self) -> tuple[NewProvider, ...]:
        """The providers to add."""
        return tuple(self._providers.values())

    def of(self, old: OldAccount, owner: str) -> ModelPart:
        """Return what an account brings; nothing when it had no such settings. All of it is switched off."""
        if old.ai is None:
            return ModelPart()
        settings = self._whole(old.ai.settings, owner)
        before = len(self._tally.oddities)
        self._note(old, "ai_was_on" if old.ai.is_on else "ai_was_off", Fate.TAKEN)
        provider, waits = self._provider(old, owner, settings)
        part = ModelPart(
            persona=self._persona(old, settings),
            hours=self._hours(old, settings),
            turns=self._turns(old, settings),
            provider=provider,
            floors=self._floors(old, settings),
            waits=waits,
        )
        fates = {odd.fate for odd in self._tally.oddities[before:] if odd.table == TABLE}
        self._tally.count(Kind.AI, next((one for one in (Fate.WAITING, Fate.CHANGED) if one in fates), Fate.TAKEN))
        return part

    def _whole(self, settings: Mapping[str, Any], owner: str) -> Mapping[str, Any]:
        if owner != folded(self._here.caller.username):
            return settings  # the system's key is not given to another user
        whole = dict(settings)
        for name, places in _OF_SYSTEM.items():
            found = next((self._system[one] for one in places if self._system.get(one)), None)
            if found is not None and not str(whole.get(name) or "").strip():
                whole[name] = found
                self.used_system = True
        return whole

    # ── provider ────────────────────────────────────────────────────────────────────────────────────────────────

    def _provider(self, old: OldAccount, owner: str, settings: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """Return the key of the provider, or what waits because it makes none."""
        given = {name: str(settings.get(name) or "").strip() for name in ("base_url", "api_key", "model_name")}
        if not given["api_key"]:
            if given["base_url"] or given["model_name"]:
                self._note(old, "provider_without_key", Fate.CHANGED)
            return "", {}
        values = {
            "name": _name(given["base_url"], given["model_name"]), "kind": "openai", "base_url": given["base_url"],
            "key": given["api_key"], "model": given["model_name"],
        }  # fmt: skip
        try:
            changed_values(None, {}, values)
        except InvalidInput as error:
            self._note(old, "provider_refused", Fate.WAITING, problem=error.code, **error.params)
            return "", {name: value for name, value in given.items() if value}
        key = hashlib.sha256("\n".join(given.values()).encode()).hexdigest()[:32]
        if (owner, key) not in self._providers:
            if self._count(owner) >= MAX_PROVIDERS:
                self._note(old, "too_many_providers", Fate.WAITING, limit=MAX_PROVIDERS)
                return "", given
            self._providers[owner, key] = NewProvider(key=key, owner=owner, values=values)
            is_known = self._here.knows(owner, Kind.PROVIDERS, key)
            self._tally.count(Kind.PROVIDERS, Fate.KNOWN if is_known else Fate.TAKEN)
        return key, {}

    def _count(self, owner: str) -> int:
        """Return how many providers the owner has with those that are planned."""
        user = self._here.users.get(owner)
        there = 0 if user is None else self._here.providers_of.get(user.id, 0)
        new = (one for one in self._providers.values() if not self._here.knows(owner, Kind.PROVIDERS, one.key))
        return there + sum(one.owner == owner for one in new)

    # ── words ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _persona(self, old: OldAccount, settings: Mapping[str, Any]) -> str:
        prompts = prompts_of(settings.get("prompts") or settings.get("custom_prompts") or "")
        if prompts.get(SORTS):
            self._note(old, "prompt_sorts", Fate.SKIPPED)
        whole = persona_of(prompts)
        if len(whole) > MAX_PERSONA_CHARACTERS:
            self._note(old, "persona_cut", Fate.CHANGED, limit=MAX_PERSONA_CHARACTERS)
        return whole[:MAX_PERSONA_CHARACTERS].rstrip()

    def _hours(self, old: OldAccount, settings: Mapping[str, Any]) -> str:
        """Return the hours of every day in which the model answered; empty: always."""
        start, end = (str(settings.get(f"ai_time_range_{name}") or "").strip()[:5] for name in ("start", "end"))
        if not start and not end:
            return ""
        try:
            return str(opening_hours(f"1-7 {start}-{end}", ""))
        except ValueError:
            self._note(old, "ai_hours_unreadable", Fate.CHANGED, hours=f"{start}–{end}")
            return ""

    def _turns(self, old: OldAccount, settings: Mapping[str, Any]) -> int:
        rounds = _number(settings.get("max_bargain_rounds"))
        if rounds is None:
            return USUAL_TURNS
        turns = min(max(int(rounds), 1), MAX_TURNS)
        self._note(old, "rounds_are_turns", Fate.CHANGED, rounds=int(rounds), turns=turns)
        return turns

    # ── prices ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _floors(self, old: OldAccount, settings: Mapping[str, Any]) -> dict[str, int]:
        """Return the floors of the items of which the price is known; a discount of 0 is none at all."""
        percent, yuan = (_number(settings.get(name)) for name in ("max_discount_percent", "max_discount_amount"))
        if percent is None and yuan is None:
            return {}
        priced = {item.item_id: fen for item in old.items if is_item_id(item.item_id) and (fen := fen_of(item.price))}
        discount = {"percent": _shown(percent), "yuan": _shown(yuan)}
        if priced:
            self._note(old, "floors_set", Fate.TAKEN, count=len(priced), **discount)
        if len(priced) < len(old.items) or not priced:
            self._note(old, "floors_unknown", Fate.CHANGED, count=len(old.items) - len(priced), **discount)
        return {item_id: floor_fen(fen, percent, yuan) for item_id, fen in priced.items()}

    def _note(self, old: OldAccount, code: str, fate: Fate, **params: Any) -> None:
        self._tally.note(TABLE, old.id, code, fate, account=old.id, **params)


def fen_of(price: str) -> int | None:
    """Return a price in fen; ``None`` for a text that is not one price above zero."""
    found = _PRICE.fullmatch(price.strip())
    fen = int(Decimal(found[1]) * _FEN) if found else 0
    return fen or None


def floor_fen(price_fen: int, percent: Decimal | None, yuan: Decimal | None) -> int:
    """Return the lowest price: the smaller of the two discounts counts, and one below zero is none."""
    discounts = []
    if percent is not None:
        discounts.append(int(price_fen * min(percent, Decimal(100)) / 100))
    if yuan is not None:
        discounts.append(int(yuan * _FEN))
    return price_fen - min(max(min(discounts), 0), price_fen)


def _number(value: Any) -> Decimal | None:
    """Return a finite number of no absurd size; ``None`` for anything else."""
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < 10**9 else None


def _shown(number: Decimal | None) -> str:
    return "–" if number is None else f"{number.normalize():f}"


def _name(base_url: str, model: str) -> str:
    try:
        host = urlsplit(base_url).hostname or ""
    except ValueError:
        host = ""
    return " ".join(one for one in (host, model) if one)[:MOST_NAME].strip()

"""The model: what one account is to its owner, and what each call may answer. A few lines, to be read and believed."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from shoal.accounts.account import Account
from shoal.rules.rule_lists import Wanted
from shoal.xianyu.cookie_string import require_cookie
from support.site.standins import cookie_of

Rules = tuple[tuple[str, str], ...]

CHANGED, UNCHANGED = "changed", "unchanged"

FOOTPRINTS: dict[str, frozenset[str]] = {
    "status": frozenset({"enabled", "restart_nonce"}),
    "batch": frozenset({"enabled"}),
    "atomic": frozenset({"enabled"}),
    "auto_confirm": frozenset({"auto_confirm"}),
    "remark": frozenset({"remark"}),
    "keywords": frozenset({"keywords"}),
    "rules": frozenset({"keywords"}),
    "remove_keyword": frozenset({"keywords"}),
    "cookie": frozenset({"cookie", "cookie_version"}),
    "resume": frozenset({"restart_nonce"}),
    "remove": frozenset({"deleted"}),
}
"""The fields that a call of each kind may touch. ``add`` may touch all."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One thing that a person asks of one account (of several: a ``batch`` or ``atomic`` one).

    The caller goes away at its suspension ``cancel_at`` (``late``: when what it waits for has just come), or after
    ``cancel_step`` callbacks of the loop; with 0 it stays. ``again``: it asks once more, under the same op.
    """

    kind: str
    account: str
    flag: bool = False
    text: str = ""
    rules: Rules = ()
    number: int = 0
    if_match: int | None = None
    others: tuple[str, ...] = ()
    cancel_at: int = 0
    late: bool = False
    cancel_step: int = 0
    again: bool = False

    @property
    def accounts(self) -> tuple[str, ...]:
        """Every account it is about."""
        return (self.account, *self.others)


@dataclass(frozen=True, kw_only=True)
class Read:
    """Somebody looked; the answer is the whole ``ModelAccount``."""


@dataclass(frozen=True, kw_only=True)
class ModelAccount:
    """What an owner sees of one account. ``generation`` outlives a removal.

    ``full`` are the rules that keywords cannot express: they have a higher priority and capital letters, and keywords
    leave them alone.
    """

    exists: bool = False
    generation: int = 0
    enabled: bool = False
    auto_confirm: bool = False
    remark: str = ""
    cookie: str = ""
    number: int = 0
    full: Rules = ()
    rules: Rules = ()


NOBODY = ModelAccount()


def seen_as(account: Account | None) -> Hashable:
    """A published snapshot as the answer of a ``Read``."""
    if account is None:
        return None
    rules = tuple((rule.keyword, rule.reply) for rule in account.keywords)
    return (account.generation, account.enabled, account.auto_confirm, account.remark, account.cookie, rules)


def model_of(account: Account | None, number: int, generation: int) -> ModelAccount:
    """The model that a snapshot stands for."""
    if account is None:
        return ModelAccount(generation=generation)
    return ModelAccount(
        exists=True, generation=account.generation, enabled=account.enabled, auto_confirm=account.auto_confirm,
        remark=account.remark, cookie=account.cookie, number=number,
        full=tuple((rule.keyword, rule.reply) for rule in account.keywords if not rule.is_simple),
        rules=tuple((rule.keyword, rule.reply) for rule in account.keywords if rule.is_simple),
    )  # fmt: skip


def full_rules(rules: Rules) -> list[Wanted]:
    """What a ``rules`` call asks for: the same rules, with more to them than a keyword has."""
    return [
        Wanted(
            {
                "words": [word.upper(), f"{word}!"],
                "match_mode": "exact",
                "priority": 9,
                "schedule": [{"weekdays": [1, 7], "start": "22:00", "end": "06:00"}],
                "parts": [{"text": reply}, {"text": "?"}],
                "delay_seconds": [0.5, 1],
                "cooldown_seconds": 60,
            },
            f"full-{word}",
        )
        for word, reply in rules
    ]


@cache
def header_of(number: int, secret: str = "s1") -> str:
    """A cookie as it is kept."""
    return require_cookie(cookie_of(number, secret=secret)).header


def apply(state: ModelAccount, call: Call | Read) -> Iterator[tuple[ModelAccount, Hashable]]:
    """Everything that the contract allows a call to do and to answer."""
    if isinstance(call, Read):
        yield state, _shown(state)
    elif call.kind == "add":
        yield from _added(state, call)
    elif not state.exists:
        yield state, "unknown_account"
    elif call.if_match is not None and call.if_match != state.generation:
        yield state, "stale_generation"
    else:
        yield _changed(state, call)


def _shown(state: ModelAccount) -> Hashable:
    if not state.exists:
        return None
    return (state.generation, state.enabled, state.auto_confirm, state.remark, state.cookie, state.full + state.rules)


def _added(state: ModelAccount, call: Call) -> Iterator[tuple[ModelAccount, Hashable]]:
    if state.exists:
        yield state, "account_exists"
        return
    yield state, "duplicate_unb"
    if state.generation:
        yield state, "account_vanishing"
    yield (
        ModelAccount(
            exists=True, generation=state.generation + 1, enabled=True, cookie=header_of(call.number),
            number=call.number, remark=call.text,
        ),
        CHANGED,
    )  # fmt: skip


def _without(rules: Rules, gone: tuple[str, str]) -> Rules:
    return tuple(rule for rule in rules if rule != gone)


def _changed(  # noqa: C901  one case for each kind of call
    state: ModelAccount, call: Call
) -> tuple[ModelAccount, Hashable]:
    new = state
    match call.kind:
        case "status" | "batch" | "atomic":
            new = replace(state, enabled=call.flag)
        case "auto_confirm":
            new = replace(state, auto_confirm=call.flag)
        case "remark":
            new = replace(state, remark=call.text)
        case "keywords":
            new = replace(state, rules=call.rules)
        case "remove_keyword":
            if call.number >= len(state.full + state.rules):
                return state, "bad_keyword_index"
            gone = (state.full + state.rules)[call.number]
            new = replace(state, full=_without(state.full, gone), rules=_without(state.rules, gone))
        case "rules":
            new = replace(state, full=tuple((word.upper(), reply) for word, reply in call.rules), rules=())
        case "cookie":
            if call.number != state.number:
                return state, "other_unb"
            new = replace(state, cookie=header_of(call.number, call.text))
        case "remove":
            return ModelAccount(generation=state.generation + 1), CHANGED
        case "resume":
            return replace(state, generation=state.generation + 1), CHANGED
    if new == state:
        return state, UNCHANGED
    return replace(new, generation=state.generation + 1), CHANGED

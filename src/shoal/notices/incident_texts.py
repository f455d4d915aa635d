"""What a person reads of incidents: a title, what to do, and a link into the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from shoal.accounts.account import ParkReason
from shoal.language.catalogue import knows, refusal_words, translate
from shoal.language.choice import Language
from shoal.messages.send_guards import BY_MODEL
from shoal.notices.machine_incidents import OF_MACHINES
from shoal.notices.notice_rows import Claim, NoticePart
from shoal.notices.plans import Phase
from shoal.notices.transport import Message
from shoal.orders.order_status import OF_THE_RULES, sentence_of
from shoal.storage.incident_kinds import POLICIES, IncidentKind
from shoal.xianyu.site_pages import MESSAGES_URL, PAGE_OF_ORDER, SITE_URL

_HOURS_SHOWN: Final = 48
"""From so many hours on a difference of clocks is shown in days."""
MOST_LINES: Final = 20
"""How many incidents a digest names."""
_OF_ORDERS = frozenset({IncidentKind.ORDER_PROBLEM, IncidentKind.REFUND_ASKED})
_OF_CHATS = frozenset({IncidentKind.BUYER_WAITS, IncidentKind.WANTS_PERSON})
_OF_STOCK = frozenset({IncidentKind.OUT_OF_STOCK, IncidentKind.LOW_STOCK})
_OF_MODELS = frozenset({IncidentKind.MODEL_BUDGET, IncidentKind.MODEL_RESTING})
_OTHER_PAGES: Final = {
    IncidentKind.NEW_ADDRESS: "settings/me",
    IncidentKind.DAY: "incidents",
    IncidentKind.CHANNEL_ENDED: "settings/notices",
    IncidentKind.WEBHOOK_OFF: "settings/notices",
    IncidentKind.MODEL_RESTING: "settings/models",
    IncidentKind.BACKUP_FAILED: "administration/backups",
}
"""The pages of what is of no account; what is of the server leads to the facts of the server."""


def message_of(one: Claim, public_url: str, *, words: str = "") -> Message:
    """Return the message of a notice. ``public_url``: where the console is; without it there are no links.

    ``words``: what the buyer wrote, for a channel that quotes buyers.
    """
    language = language_of_channel(one.language)
    if len(one.parts) == 1:
        title, body = part_title(one.parts[0], language), _body(one.parts[0], language)
        page = page_of(one.parts[0].kind, one.parts[0].account_id, one.parts[0].facts)
    else:
        title = translate("incident.digest", language, count=len(one.parts))
        lines = [
            translate("incident.line", language, title=part_title(part, language)) for part in one.parts[:MOST_LINES]
        ]
        if len(one.parts) > MOST_LINES:
            lines.append(translate("incident.more", language, count=len(one.parts) - MOST_LINES))
        body, page = "\n".join(lines), "incidents"
    if words:
        body = f"{body}\n{translate('incident.buyer_wrote', language, words=words)}"
    if one.maybe_again:
        title = translate("incident.maybe_again", language, title=title)
    return Message(
        title=title,
        body=body,
        url=console_url(public_url, page),
        page=f"/console/{page}",
        level=one.level,
        language=language.value,
        dedupe_id=one.dedupe_id,
        maybe_again=one.maybe_again,
    )


def language_of_channel(text: str) -> Language:
    """Return the language of a channel; Chinese when it has none."""
    return Language(text) if text in set(Language) else Language.ZH


def part_title(part: NoticePart, language: Language) -> str:
    """Return one line: what happened, that it still lasts, or that it is over."""
    if part.phase is Phase.END and knows(key := f"incident.over.{part.kind.value}"):
        if _is_of_one_server(part.kind, part.facts):
            return translate(f"incident.over.{part.kind.value}_of", language, server=part.facts["server"])
        return translate(key, language, shop=part.shop)
    title = title_of(part.kind, part.detail, {**part.facts, "shop": part.shop}, language)
    if part.phase is Phase.REMINDER:
        return translate("incident.reminder", language, title=title)
    return translate("incident.over_since", language, title=title) if _is_over(part) else title


def title_of(kind: IncidentKind, detail: str, facts: dict[str, object], language: Language) -> str:
    """Return what happened, as one line."""
    facts = {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}
    if kind is IncidentKind.WANTS_PERSON and detail == BY_MODEL:
        return translate("incident.title.wants_person_model", language, **facts)
    reason = _clock_reason(detail, facts, language) if kind is IncidentKind.CLOCK_WRONG else None
    params = {**facts, "reason": reason or _reason(kind, detail, language)}
    if _is_of_one_server(kind, facts):
        return translate(f"incident.title.{kind.value}_of", language, **params)
    return translate(f"incident.title.{kind.value}", language, **params)


def do_of(kind: IncidentKind, detail: str, facts: Mapping[str, object], language: Language) -> str:
    """Return what follows, and what to do."""
    params: dict[str, object] = {name: facts.get(name) or "–" for name in ("item", "quantity", "spec", "reason")}
    params["minutes"] = facts.get("minutes", 1)
    advice = ""
    if kind is IncidentKind.PARKED:
        advice = "advice.parked_otherwise" if detail not in set(ParkReason) else f"advice.parked_{detail}"
        params |= {"url": MESSAGES_URL if detail == ParkReason.RISK_CONTROL else SITE_URL, "reason": detail}
    elif kind in _OF_ORDERS:
        of_rules = f"obstacle.{sentence_of(detail, str(facts.get('spec', '')))}"
        advice = of_rules if detail in OF_THE_RULES else f"order_advice.{detail}"
        params["url"] = PAGE_OF_ORDER.format(facts.get("order_id", ""))
        params["reason"] = refusal_words(str(params["reason"]), language)
    elif kind is IncidentKind.NO_SUCH_SPEC:
        specs = facts.get("specs")
        params["specs"] = tuple(specs) if isinstance(specs, list) else ()
        advice = "obstacle.no_such_spec" if specs else "obstacle.no_specs"
    what, to_do = (
        translate(key, language, **params) if knows(key) else "" for key in (f"{advice}.detail", f"{advice}.do")
    )
    return translate(
        f"incident.do.{kind.value}", language, what=what, next=to_do, item=params["item"], minutes=params["minutes"]
    ).strip()


def console_url(public_url: str, page: str = "") -> str:
    """Return the address of a page of the console; empty without a public address. It may name the console."""
    return f"{public_url.rstrip('/').removesuffix('/console')}/console/{page}" if public_url else ""


def link_of(kind: IncidentKind, account_id: str | None, facts: dict[str, object], public_url: str) -> str:
    """Return the address of the page on which to act; empty without a public address."""
    return console_url(public_url, page_of(kind, account_id, facts))


def page_of(kind: IncidentKind, account_id: str | None, facts: dict[str, object]) -> str:
    """Return the page of the console on which to act, as a path below ``/console/``."""
    account = quote(account_id or "", safe="")
    if kind in _OF_STOCK:
        return "stock"
    pages = {
        **dict.fromkeys(_OF_ORDERS, f"orders/{account}/{quote(str(facts.get('order_id', '')), safe='')}"),
        **dict.fromkeys(_OF_CHATS, f"conversations/{account}/{quote(str(facts.get('chat_id', '')), safe='')}"),
        IncidentKind.ORDERS_WAIT: f"orders?cid={account}&filter=waiting",
        IncidentKind.NO_SUCH_SPEC: f"accounts/{account}/deliveries",
    }
    if kind in pages:
        return pages[kind]
    if account:
        return f"accounts/{account}"
    return _OTHER_PAGES.get(kind, "administration")


def _is_of_one_server(kind: IncidentKind, facts: Mapping[str, object]) -> bool:
    """Return whether it is about the machine of one of several servers, which is named."""
    return kind in OF_MACHINES and bool(facts.get("server"))


def _is_over(part: NoticePart) -> bool:
    return part.closed_at_ms is not None and not POLICIES[part.kind].is_event


def _body(part: NoticePart, language: Language) -> str:
    if part.phase is Phase.END:
        return _course(part, language)
    return do_of(part.kind, part.detail, part.facts, language)


def _course(part: NoticePart, language: Language) -> str:
    """Return how long it lasted, and how often it came. Some services refuse a message without a text."""
    minutes = max(1, round(((part.closed_at_ms or part.opened_at_ms) - part.opened_at_ms) / 60_000))
    parts = [translate("incident.lasted", language, minutes=minutes)]
    parts += [translate("incident.times", language, count=part.count)] if part.count > 1 else []
    return "\n".join(parts)


def _clock_reason(detail: str, facts: Mapping[str, object], language: Language) -> str:
    """Return by how much a clock is wrong."""
    hours = int(str(facts.get("hours") or 0))
    unit, n = ("days", round(hours / 24)) if hours >= _HOURS_SHOWN else ("hours", max(1, hours))
    return translate(f"incident.clock.{detail}", language, amount=translate(f"incident.clock.{unit}", language, n=n))


def _reason(kind: IncidentKind, detail: str, language: Language) -> str:
    if kind is IncidentKind.WEBHOOK_OFF:
        return translate(f"incident.off.{detail}", language)
    if kind in _OF_MODELS:
        return translate(f"incident.model.{detail}", language) if knows(f"incident.model.{detail}") else detail
    key = f"park.{detail}" if kind is IncidentKind.PARKED else f"retry.{detail}"
    return translate(key, language) if knows(key) else detail

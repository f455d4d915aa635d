"""Every kind of incident has words in both languages, with everything filled in, and a page to act on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shoal.accounts.account import ParkReason
from shoal.language.choice import Language
from shoal.notices.incident_texts import MOST_LINES, link_of, message_of, page_of
from shoal.notices.notice_rows import Claim, NoticePart
from shoal.notices.plans import Phase
from shoal.notices.transport import Level
from shoal.orders.order_status import OrderProblem
from shoal.storage.incident_kinds import POLICIES, IncidentKind

FACTS = {
    "order_id": "42",
    "goods": "月卡",
    "free": 3,
    "address": "203.0.113.5",
    "chat_id": "5",
    "opened": 1,
    "still_open": 0,
    "channel": "Chrome · Windows",
    "host": "hooks.example.com",
    "provider": "小模型",
}
DETAILS = {
    IncidentKind.PARKED: "risk_control", IncidentKind.RETRYING: "socket_closed",
    IncidentKind.CRASH_LOOP: "reply_timeout", IncidentKind.ORDER_PROBLEM: "paid_without_card",
    IncidentKind.WEBHOOK_OFF: "down", IncidentKind.MODEL_BUDGET: "money", IncidentKind.MODEL_RESTING: "not_json",
    IncidentKind.CLOCK_WRONG: "behind_of_data",
}  # fmt: skip


def told(kind: IncidentKind, phase: Phase = Phase.BEGIN, *, closed_at_ms: int | None = None) -> NoticePart:
    return NoticePart(
        kind=kind,
        phase=phase,
        detail=DETAILS.get(kind, ""),
        facts=dict(FACTS),
        account_id="my shop",
        shop="鱼铺",
        opened_at_ms=1,
        closed_at_ms=closed_at_ms,
        count=3,
    )


def claim(*parts: NoticePart, language: str = "en", maybe_again: bool = False) -> Claim:
    return Claim(
        notice_id=1, channel_id=1, language=language, dedupe_id="d", maybe_again=maybe_again, tries=1, begun_at_ms=1,
        parts=parts,
    )  # fmt: skip


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("kind", IncidentKind)
def test_every_kind_has_words_for_each_phase(kind: IncidentKind, language: Language) -> None:
    phases = [Phase.BEGIN, Phase.REMINDER, *([Phase.END] if POLICIES[kind].has_end else [])]
    found = [message_of(claim(told(kind, phase), language=language), "https://shoal.example") for phase in phases]
    assert len({message.title for message in found}) == len(phases)
    for message in found:
        assert message.title
        assert message.language == language
        assert "{" not in message.title + message.body
        assert "（）" not in message.title
        assert message.url.startswith("https://shoal.example/")
    assert all(message.body.strip() for message in found), "some services refuse a message without a text"
    assert all(name not in found[0].title for name in DETAILS.values())


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("problem", OrderProblem)
def test_an_order_that_needs_its_owner_says_why_and_what_to_do(problem: OrderProblem, language: Language) -> None:
    one = replace(told(IncidentKind.ORDER_PROBLEM), detail=problem.value)
    for facts in (one.facts, {**FACTS, "item": "9", "quantity": 3, "spec": "月卡", "reason": "FAIL::no"}):
        what, _, to_do = message_of(claim(replace(one, facts=facts), language=language), "").body.partition("\n")
        assert what
        assert to_do
        assert not [left for left in ("()", "（）", "  ", " ,") if left in what + to_do]


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("reason", [*ParkReason, "unheard_of"])
def test_a_parked_shop_says_what_to_do(reason: str, language: Language) -> None:
    body = message_of(claim(replace(told(IncidentKind.PARKED), detail=str(reason)), language=language), "").body
    assert len(body.splitlines()) == 2
    assert ("/im" in body) is (reason == ParkReason.RISK_CONTROL)


def test_an_end_is_not_pressing_and_a_language_that_is_not_known_is_chinese() -> None:
    assert message_of(claim(told(IncidentKind.PARKED)), "").level is Level.URGENT
    assert message_of(claim(told(IncidentKind.PARKED, Phase.END)), "").level is Level.INFO
    assert message_of(claim(told(IncidentKind.PARKED), language=""), "").title.startswith("店铺")


def test_a_digest_names_the_first_and_counts_the_rest() -> None:
    parts = [told(IncidentKind.PARKED)] * (MOST_LINES + 5)
    message = message_of(claim(*parts, maybe_again=True), "https://shoal.example")
    assert message.title == "(Maybe again) 25 notices"
    assert message.url == "https://shoal.example/console/incidents"
    assert message.body.splitlines()[-1] == "· 5 more"
    assert len(message.body.splitlines()) == MOST_LINES + 1


def test_what_is_over_by_the_time_it_is_told_says_so() -> None:
    assert message_of(claim(told(IncidentKind.PARKED, closed_at_ms=9)), "").title.endswith("(over by now)")
    assert "over" not in message_of(claim(told(IncidentKind.NEW_ADDRESS, closed_at_ms=1)), "").title


def test_an_end_says_how_long_it_lasted_and_how_often_it_came() -> None:
    one = replace(told(IncidentKind.RETRYING, Phase.END, closed_at_ms=5 * 60_000), opened_at_ms=0)
    assert message_of(claim(one), "").body == "It lasted 5 min.\nIt happened 3 times."
    assert message_of(claim(replace(one, closed_at_ms=7_200_000, count=1)), "").body == "It lasted 2 h."


def test_an_id_cannot_lead_a_link_elsewhere() -> None:
    link = link_of(IncidentKind.ORDER_PROBLEM, "a b/../c", {"order_id": "../x?y"}, "https://shoal.example/base/")
    assert link == "https://shoal.example/base/console/orders/a%20b%2F..%2Fc/..%2Fx%3Fy"
    assert link_of(IncidentKind.PARKED, "shop", {}, "") == ""
    with_console = link_of(IncidentKind.PARKED, "shop", {}, "https://shoal.example/console/")
    assert with_console == "https://shoal.example/console/accounts/shop"


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        (IncidentKind.DISK_LOW, "administration"),
        (IncidentKind.BACKUP_FAILED, "administration/backups"),
        (IncidentKind.NEW_ADDRESS, "settings/me"),
        (IncidentKind.DAY, "incidents"),
    ],
)
def test_what_is_of_no_account_leads_to_where_it_is_seen(kind: IncidentKind, page: str) -> None:
    assert page_of(kind, None, {}) == page

"""The diagnosis finds what stands in the way, in order, and tells it in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import shoal.accounts.diagnosis
import shoal.accounts.model_finding
from shoal.accounts.account import Account, AccountState, Answers, Observation, ParkReason
from shoal.accounts.diagnosis import PROXY_REASONS, Check, CheckName, Facts, ReplyStats, diagnose, is_replying
from shoal.accounts.item_setting import ItemSetting
from shoal.accounts.model_settings import ModelLack
from shoal.api.advice import advice_on
from shoal.api.routes.diagnosis import token_expiry_ms
from shoal.console import proxy_check
from shoal.language.catalogue import ROOT, read_catalogue
from shoal.language.choice import Language
from shoal.messages.outbox_rows import SendOutcome
from shoal.rules.rule import Rule

NOW = 1_800_000_000_000
SHOP = Account(
    id="shop", owner_id=1, unb="2200000000001", cookie="unb=2200000000001; cookie2=s",
    keywords=(Rule.simple(id="r", keyword="a", reply="b"),),
)  # fmt: skip
RUNNING = Observation(state=AccountState.RUNNING, connected_at_ms=NOW - 60_000, last_heartbeat_at_ms=NOW - 5_000)


def facts(account: dict[str, Any] | None = None, seen: dict[str, Any] | None = None, **values: Any) -> Facts:
    given = {"now_ms": NOW, "heartbeat_limit_ms": 35_000, "message_age_ms": 300_000, **values}
    return Facts(account=SHOP.evolve(**account or {}), seen=RUNNING.evolve(**seen or {}), **given)


def said(finding: str, language: Language, params: Mapping[str, Any]) -> tuple[str, str]:
    return advice_on(f"advice.{finding}", language, params)


def found(asked: Facts, name: CheckName) -> Check:
    (check,) = [check for check in diagnose(asked) if check.name is name]
    return check


def test_a_well_account_replies_and_nothing_need_be_done() -> None:
    checks = diagnose(facts())
    assert [check.name for check in checks] == list(CheckName), "in this order, each once"
    assert all(check.ok for check in checks)
    assert is_replying(checks)
    assert not any(said(check.finding, Language.EN, check.params)[1] for check in checks)


BLOCKED: list[tuple[dict[str, Any], str]] = [
    ({"account": {"enabled": False}}, "disabled"),
    ({"seen": {"state": AccountState.ELSEWHERE}}, "elsewhere"),
    ({"degraded": True}, "store_degraded"),
    *(({"seen": {"state": AccountState.PARKED, "reason": why.value}}, f"parked_{why.value}") for why in ParkReason),
    ({"seen": {"state": AccountState.PARKED, "reason": "news"}}, "parked_otherwise"),
    ({"seen": {"state": AccountState.RETRYING, "reason": "temporary_failure"}}, "retrying"),
    ({"seen": {"state": AccountState.RETRYING, "crash_loop": True}}, "crash_loop"),
    ({"seen": {"state": AccountState.WAITING}}, "waiting"),
    ({"seen": {"state": AccountState.STARTING}}, "starting"),
    ({"seen": {"state": AccountState.STOPPING}}, "stopping"),
    ({"seen": {"state": AccountState.STOPPED}}, "not_connected"),
    ({"seen": {"last_heartbeat_at_ms": NOW - 35_001}}, "heartbeat_late"),
    ({"account": {"cookie": ""}}, "cookie_missing"),
    ({"account": {"keywords": ()}}, "no_answers"),
    ({"account": {"keywords": (Rule.simple(id="r", keyword="a"),)}}, "no_answers"),
    ({"account": {"keywords": (), "default_reply": "x"}}, "no_answers"),
    ({"account": {"keywords": (), "default_reply_enabled": True}}, "no_answers"),
    ({"account": {"keywords": (), "paid_message": "x"}}, "answers_orders_only"),
]


@pytest.mark.parametrize(("values", "finding"), BLOCKED)
def test_what_keeps_every_buyer_waiting_is_found(values: dict[str, Any], finding: str) -> None:
    checks = diagnose(facts(**values))
    first = next(check for check in checks if not check.ok)
    assert first.finding == finding
    assert not is_replying(checks)
    for language in Language:
        assert said(finding, language, first.params)[1]


BESIDES: list[tuple[dict[str, Any], str]] = [
    ({"unsettled": True}, "store_unsettled"),
    ({"busy_with": "update_keywords", "busy_seconds": 5.1}, "lock_held"),
    ({"figures": ReplyStats(paused_chats=2, pause_reasons=("human",))}, "paused_human"),
    ({"figures": ReplyStats(paused_chats=2, pause_reasons=("taken_over",))}, "paused_taken_over"),
    ({"figures": ReplyStats(paused_chats=2, pause_reasons=("wants_person",))}, "paused_wants_person"),
    ({"figures": ReplyStats(paused_chats=2, pause_reasons=("human", "wants_person"))}, "paused"),
    ({"figures": ReplyStats(buyer_limited=1), "buyer_replies_per_hour": 9}, "buyer_limited"),
    ({"figures": ReplyStats(shop_limited=1, buyer_limited=1), "shop_replies_per_minute": 9}, "shop_limited"),
    ({"figures": ReplyStats(shop_limited=1, buyer_limited=1), "buyer_replies_per_hour": 9}, "buyer_limited"),
    ({"figures": ReplyStats(shop_limited=1, buyer_limited=1)}, "limited_before"),
    ({"figures": ReplyStats(cooled_down=1)}, "cooling"),
    ({"figures": ReplyStats(failed_sendings=3, last_failure=SendOutcome.REFUSED)}, "sendings_refused"),
    ({"figures": ReplyStats(failed_sendings=3, last_failure=SendOutcome.UNCERTAIN)}, "sendings_uncertain"),
    ({"figures": ReplyStats(overdue=4)}, "overdue"),
    (
        {
            "account": {"ai_mode": "auto", "ai_provider_id": 1},
            "figures": ReplyStats(model_held=2, model_reasons=("tokens",)),
        },
        "model_held",
    ),
    *(
        ({"account": {"ai_mode": "draft", "ai_provider_id": 1}, "model_lacks": lack}, f"model_{lack.value}")
        for lack in ModelLack
    ),
    ({"account": {"ai_mode": "auto"}}, "model_no_provider"),
    ({"account": {"ai_mode": "auto", "ai_provider_id": 1}, "model_rests_until_ms": NOW + 60_000}, "model_resting"),
    ({"orders_in_need": 2}, "orders_need_owner"),
    ({"account": {"delivery": False}}, "delivery_off"),
]


@pytest.mark.parametrize(("values", "finding"), BESIDES)
def test_what_concerns_single_chats_is_told_and_does_not_count_as_silence(values: dict[str, Any], finding: str) -> None:
    checks = diagnose(facts(**values))
    assert [check.finding for check in checks if not check.ok] == [finding]
    assert is_replying(checks)


def test_a_model_out_of_its_hours_is_named_with_the_time_and_is_no_fault() -> None:
    account = {"ai_mode": "auto", "ai_provider_id": 1, "ai_hours": "1-7 00:00-00:01", "timezone": "UTC"}
    found = diagnose(facts(account=account, model_rests_until_ms=NOW + 60_000))
    (check,) = (check for check in found if check.name is CheckName.MODEL)
    assert (check.finding, check.ok) == ("model_out_of_hours", True)
    assert check.params["until"] == "00:00"
    assert "00:00" in said(check.finding, Language.EN, check.params)[0]


@pytest.mark.parametrize(
    "account",
    [
        {"keywords": (Rule.simple(id="r", keyword="a", image_url="/a.png"),)},
        {"keywords": (), "items": (ItemSetting(item_id="1", reply="x"),)},
        {"keywords": (), "default_reply_enabled": True, "default_reply": "x"},
    ],
)
def test_anything_that_says_something_is_an_answer(account: dict[str, Any]) -> None:
    assert is_replying(diagnose(facts(account=account)))


@pytest.mark.parametrize("lack", ModelLack)
def test_a_model_that_nobody_may_ask_is_no_answer(lack: ModelLack) -> None:
    only: dict[str, Any] = {"keywords": (), "ai_mode": "auto", "ai_provider_id": 1}
    assert is_replying(diagnose(facts(account=only)))
    checks = diagnose(facts(account=only, model_lacks=lack))
    assert [check.finding for check in checks if not check.ok] == ["answers_model_lacking", f"model_{lack.value}"]
    assert not is_replying(checks)
    for text in (said(check.finding, Language.ZH, check.params) for check in checks if not check.ok):
        assert all(text), "what is so, and what to do"
    assert is_replying(diagnose(facts(account={**only, "default_reply_enabled": True, "default_reply": "x"})))


@pytest.mark.parametrize(
    ("account", "finding"),
    [
        ({"ai_mode": "auto"}, "answers_model_without_default"),
        ({"ai_mode": "auto", "default_reply": "x"}, "answers_model_with_default"),
        ({"ai_mode": "draft"}, "answers_draft_without_default"),
        ({"ai_mode": "draft", "default_reply": "x"}, "answers_draft_with_default"),
        ({"ai_mode": "off"}, "answers_without_default"),
    ],
)
def test_what_matches_nothing_is_the_models_while_it_can_be_asked(account: dict[str, Any], finding: str) -> None:
    asked: dict[str, Any] = {"ai_provider_id": 1, "default_reply_enabled": True, **account}
    check = found(facts(account=asked), CheckName.ANSWERS)
    assert check.finding == finding
    text, _ = said(check.finding, Language.ZH, check.params)
    assert ("没有匹配的消息不会得到回复" in text) is (account["ai_mode"] == "off")
    lacking = found(facts(account=asked, model_lacks=ModelLack.NO_CONSENT), CheckName.ANSWERS)
    has_default = "default_reply" in account
    if account["ai_mode"] != "off":
        assert lacking.finding == ("answers_with_default" if has_default else "answers_without_default")


SILENT = Rule.simple(id="r", keyword="a")
SPEAKS = Rule.simple(id="r", keyword="a", reply="b")
ANSWERS: list[tuple[dict[str, Any], Answers]] = [
    ({"keywords": (SPEAKS,)}, Answers.MESSAGES),
    ({"keywords": (replace(SPEAKS, active=False),)}, Answers.NOTHING),
    ({"keywords": (SILENT,)}, Answers.NOTHING),
    ({"items": (ItemSetting(item_id="1", reply="x"),)}, Answers.MESSAGES),
    ({"default_reply_enabled": True, "default_reply": "x"}, Answers.MESSAGES),
    ({"default_reply": "x"}, Answers.NOTHING),
    ({"paid_message": "x"}, Answers.ORDERS),
    ({"items": (ItemSetting(item_id="1", paid_message="x"),)}, Answers.ORDERS),
    ({"items": (ItemSetting(item_id="1", nothing_to_send=True),)}, Answers.NOTHING),
    ({"items": (ItemSetting(item_id="1", nothing_to_send=True),), "auto_confirm": True}, Answers.ORDERS),
    ({"auto_confirm": True, "free_shipping": True}, Answers.NOTHING),
]


@pytest.mark.parametrize(("edit", "answers"), ANSWERS)
def test_f18_what_a_shop_can_answer_at_all_is_told_of_its_settings(edit: dict[str, Any], answers: Answers) -> None:
    account = SHOP.evolve(**{"keywords": (), **edit})
    assert account.answers is answers
    assert is_replying(diagnose(facts(account=edit if "keywords" in edit else {"keywords": (), **edit}))) is (
        answers is Answers.MESSAGES
    )


@pytest.mark.parametrize("reason", sorted(PROXY_REASONS))
def test_a_failing_proxy_is_named_without_its_password_and_with_what_to_do(reason: str) -> None:
    seen = {"state": AccountState.RETRYING, "reason": reason, "detail": "x"}
    check = found(facts({"proxy": "socks5://ann:secret@h:1"}, seen), CheckName.PROXY)
    assert (check.finding, check.ok, check.blocks) == (reason, False, True)
    for language in Language:
        detail, do = said(reason, language, check.params)
        assert "socks5://***@h:1" in detail
        assert do
    well = found(facts({"proxy": "socks5://ann:secret@h:1"}), CheckName.PROXY)
    assert (well.finding, well.ok) == ("proxy_used", True)


def test_the_next_attempt_and_the_page_to_open_are_named() -> None:
    seen = {"state": AccountState.RETRYING, "reason": "x", "detail": "no route", "next_attempt_at_ms": NOW + 34_001}
    check = found(facts(seen=seen), CheckName.RETRYING)
    assert "35 s" in said(check.finding, Language.EN, check.params)[0]
    assert "no route" in said(check.finding, Language.ZH, check.params)[0]
    seen = {
        "state": AccountState.PARKED, "reason": "risk_control", "action_url": "https://example.org/slider",
        "parked_for": SHOP.park_key, "parked_reason": "risk_control",
    }  # fmt: skip
    check = found(facts(seen=seen), CheckName.PARKED)
    advice = said(check.finding, Language.ZH, check.params)[1]
    assert ("https://www.goofish.com/im" in advice, "example.org" in advice) == (True, False)


def test_a_crash_loop_that_is_being_tried_is_told_beside_the_attempt() -> None:
    checks = diagnose(facts(seen={"state": AccountState.STARTING, "crash_loop": True}))
    assert [check.finding for check in checks if not check.ok][:2] == ["crash_loop_trying", "starting"]


def test_a_change_of_a_moment_is_no_finding() -> None:
    assert found(facts(busy_with="update_keywords", busy_seconds=4.9), CheckName.LOCK).ok


def test_an_account_that_was_switched_off_while_it_needed_its_owner_says_so() -> None:
    seen = {
        "state": AccountState.STOPPED, "parked_for": SHOP.park_key, "parked_reason": "risk_control",
        "action_url": "https://example.org/slider",
    }  # fmt: skip
    checks = diagnose(facts(account={"enabled": False}, seen=seen))
    assert [check.finding for check in checks if not check.ok][:2] == ["disabled", "parked_before"]
    check = found(facts(account={"enabled": False}, seen=seen), CheckName.PARKED)
    assert "https://www.goofish.com/im" in said(check.finding, Language.EN, check.params)[1]
    renewed = facts(account={"enabled": False, "cookie_version": 2}, seen=seen)
    assert found(renewed, CheckName.PARKED).ok, "a new cookie mends it"


def test_the_pause_may_be_off() -> None:
    assert found(facts(account={"pause_duration": 0}), CheckName.PAUSE).finding == "never_pauses"


def test_the_chats_in_the_owners_hands_and_the_rules_that_rest_are_named() -> None:
    figures = ReplyStats(
        paused_chats=7, paused_until_ms=NOW + 60_001, paused_buyers=("小鱼", "小虾"), cooled_down=3,
        cooling_rules=("r", "default_reply"),
    )  # fmt: skip
    check = found(facts(figures=figures), CheckName.PAUSE)
    in_chinese = said(check.finding, Language.ZH, check.params)[0]
    assert "7 个会话由人工接管" in in_chinese
    assert "小鱼、小虾" in in_chinese
    assert "2 min more: 小鱼, 小虾" in said(check.finding, Language.EN, check.params)[0]
    assert "Resume auto-reply" in said(check.finding, Language.EN, check.params)[1]
    by_hand = ReplyStats(paused_chats=1, paused_until_ms=NOW + 86_300_000, pause_reasons=("taken_over",))
    check = found(facts(figures=by_hand), CheckName.PAUSE)
    assert (
        "You took over 1 chat by hand; automatic replies stay paused for up to 23 h 59 min"
        in said(check.finding, Language.EN, check.params)[0]
    )
    check = found(facts(figures=figures), CheckName.COOLDOWN)
    assert "a, default_reply" in said(check.finding, Language.EN, check.params)[0]
    check = found(facts(figures=ReplyStats(paid_unknown=2, payers=("小鱼", "小虾"))), CheckName.PAYMENTS)
    assert "（小鱼、小虾）" in said(check.finding, Language.ZH, check.params)[0]


def test_the_limit_that_was_met_is_named() -> None:
    figures = ReplyStats(buyer_limited=3)
    asked = facts(figures=figures, buyer_replies_per_hour=20, shop_replies_per_minute=60)
    check = found(asked, CheckName.LIMITS)
    assert "每小时最多 20 次" in said(check.finding, Language.ZH, check.params)[0]


@pytest.mark.parametrize(
    ("expires", "finding"),
    [(None, "cookie_present"), (NOW + 600_000, "cookie_renewed_later"), (NOW - 1, "cookie_renewed_now")],
)
def test_the_end_of_the_token_is_only_told(expires: int | None, finding: str) -> None:
    check = found(facts(token_expires_at_ms=expires), CheckName.COOKIE)
    assert (check.finding, check.ok) == (finding, True)


@pytest.mark.parametrize(
    ("cookie", "expires"),
    [
        (f"unb=1; _m_h5_tk=0f_{NOW}", NOW),
        ("unb=1; _m_h5_tk=0f", None),
        ("unb=1; _m_h5_tk=0f_soon", None),
        ("unb=1", None),
        ("", None),
    ],
)
def test_the_end_of_the_token_stands_in_the_cookie(cookie: str, expires: int | None) -> None:
    assert token_expiry_ms(cookie) == expires


def test_every_finding_has_its_sentences() -> None:
    source = "".join(
        Path(str(module.__file__)).read_text()
        for module in (shoal.accounts.diagnosis, shoal.accounts.model_finding, proxy_check)
    )
    told = {finding for values, finding in BLOCKED + BESIDES} | {check.finding for check in diagnose(facts())}
    findings = {key.split(".")[1] for key in read_catalogue(ROOT / "en") if key.startswith("advice.")}
    assert told <= findings
    rest = findings - told
    assert all(f'"{finding}"' in source for finding in rest), rest

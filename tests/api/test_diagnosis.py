"""The diagnosis over the API: what is really so, in the reader's language."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import pytest

from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from shoal.clock import now_ms
from shoal.errors import ActionRequired, StoreError
from shoal.messages.decisions import Decision
from shoal.messages.message_log import Direction, IncomingMessage
from shoal.messages.outbox_rows import OutboxRow, SendOutcome
from shoal.orders.order_store import OrderUpdate
from shoal.xianyu.push_events import UnknownEvent
from support.servers.doors import Door, another_person
from support.site.standins import cookie_of

EN = {"Accept-Language": "en"}
PATH = "/cookies/shop/diagnosis"


async def _checks(door: Door, **headers: str) -> tuple[bool, dict[str, dict[str, Any]]]:
    body = await door.call("GET", PATH, headers=headers)
    return body["replying"], {row["name"]: row for row in body["checks"]}


async def test_a_new_account_has_nothing_to_say_yet(door: Door) -> None:
    replying, checks = await _checks(door)
    assert not replying
    assert [name for name, row in checks.items() if not row["ok"]] == ["answers"]
    assert "添加关键词" in checks["answers"]["do"]
    await door.call("POST", "/keywords/shop", json={"keywords": {"a": "b"}})
    replying, checks = await _checks(door, **EN)
    assert replying
    assert checks["answers"]["detail"].startswith("1 keyword reply and 0 item replies,")
    assert not any(row["do"] for row in checks.values())


async def test_a_parked_account_names_the_page_to_open(door: Door) -> None:
    async def expire(account: Account, link: Link) -> None:
        raise ActionRequired("risk_control", action_url="https://h5api.m.goofish.com/slider")

    door.site.behave = expire
    await door.call("POST", "/cookies/shop/resume")
    replying, checks = await _checks(door)
    assert not replying
    assert "https://www.goofish.com/im" in checks["parked"]["do"]
    assert not checks["connected"]["ok"]
    await door.call("PUT", "/cookies/shop/status", json={"enabled": False})
    _, checks = await _checks(door)
    assert "闲鱼要求验证" in checks["parked"]["detail"]
    assert "risk_control" not in checks["parked"]["detail"]


async def test_a_change_that_takes_long_is_named(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.accounts.diagnosis.SLOW_SECONDS", 0.0)
    hold = await door.server.manager.locks.acquire("shop", "update_keywords")
    _, checks = await _checks(door, **EN)
    assert checks["lock"]["detail"].startswith("A change (update_keywords) has been running for 0 s")
    hold.release()
    assert (await _checks(door))[1]["lock"]["ok"]


async def test_a_disabled_account_says_so_first(door: Door) -> None:
    await door.call("PUT", "/cookies/shop/status", json={"enabled": False})
    body = await door.call("GET", PATH, headers=EN)
    assert body["checks"][0] == {
        "name": "enabled", "ok": False, "detail": "The shop is off: it does not connect or reply.",
        "do": "Turn the shop on.",
    }  # fmt: skip


def _message(number: int, chat: str, age_ms: int, direction: Direction = Direction.IN) -> IncomingMessage:
    return IncomingMessage(
        message_id=f"m{number}", chat_id=chat, direction=direction, created_at_ms=now_ms() - age_ms, text="x"
    )


async def test_what_the_messages_tell_is_counted(door: Door) -> None:
    log = door.server.message_log
    words = [
        _message(1, "c1", 60_000, Direction.OUT),
        _message(2, "c1", 30_000, Direction.OUT),
        _message(3, "c2", 60_000, Direction.OUT),
        _message(4, "c3", 11 * 60_000, Direction.OUT),
    ]
    asked = [_message(5, "c4", 301_000), *(_message(number, "c4", 1_000) for number in range(6, 10))]
    await log.store_incoming("shop", [*words, *asked])
    for word in words:
        await log.mark_human("shop", word, pause_minutes=10)
    for number, verdict in ((7, Decision.BUYER_LIMIT), (8, Decision.COOLDOWN), (9, Decision.TOO_OLD)):
        await log.decide("shop", [f"m{number}"], verdict, rule_id="default_reply")
    for number, (outcome, reason) in enumerate(
        [(SendOutcome.UNCERTAIN, "no_answer"), (SendOutcome.SENT, ""), (SendOutcome.REFUSED, "CSI_FORBID")]
    ):
        (row,) = (await log.outbox.queue([OutboxRow(account_id="shop", chat_id="c1", uuid=f"u{number}")])).ids
        await log.outbox.settle(row, outcome, reason)
    await door.add("two", 2)
    await log.store_incoming("two", [_message(9, "c9", 301_000)])
    _, checks = await _checks(door)
    assert checks["pause"]["detail"].startswith("您亲自回复过 2 个会话")
    assert "2 条回复" in checks["sendings"]["detail"]
    assert checks["sendings"]["detail"].endswith("被闲鱼拒绝：安全拦截")
    assert "2 条消息超过 300 秒" in checks["overdue"]["detail"]
    assert "1 条消息未自动回复：同一买家每小时最多 60 次" in checks["limits"]["detail"]
    assert "规则：default_reply" in checks["cooldown"]["detail"]


async def test_the_token_of_the_rotated_cookies_counts(door: Door) -> None:
    account = door.account()
    ends = now_ms() + 90 * 60_000 + 30_000
    jar = {"_m_h5_tk": f"0f_{ends}"}
    assert await door.server.credentials.save_jar("shop", jar, account.cookie_version)
    _, checks = await _checks(door, **EN)
    assert "about 1 h 30 min more" in checks["cookie"]["detail"]


async def test_a_database_that_cannot_be_read_is_a_finding(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise StoreError("disk I/O error")

    monkeypatch.setattr("shoal.api.routes.diagnosis.reply_stats", broken)
    replying, checks = await _checks(door)
    assert not replying
    assert not checks["store"]["ok"]


async def test_it_is_for_the_owner_only_and_shows_no_cookie(door: Door) -> None:
    async with another_person(door) as bob:
        await bob.call("GET", PATH, 404)
    answer = await door.client.get(PATH)
    assert "s11" not in answer.text


async def test_orders_that_wait_for_their_owner_are_told(door: Door) -> None:
    assert (await _checks(door))[1]["orders"]["ok"]
    news = OrderUpdate(order_id="1", status="refunding", source="card")
    await door.server.order_store.receive("shop", news)
    _, checks = await _checks(door, **EN)
    assert checks["orders"]["detail"].startswith("1 order needs your attention")
    assert checks["orders"]["do"]


async def test_what_the_site_sends_is_counted_by_kind_and_a_new_form_is_told(door: Door) -> None:
    assert (await door.call("GET", PATH))["pushes"] == []
    door.server.push_counts.note("shop", [UnknownEvent("keys 1,7"), UnknownEvent("keys bizType", is_expected=True)])
    body = await door.call("GET", PATH, headers=EN)
    assert [(row["kind"], row["count"]) for row in body["pushes"]] == [("other", 1), ("unreadable", 1)]
    _, checks = await _checks(door, **EN)
    assert not checks["readable"]["ok"]
    assert "keys 1,7" in checks["readable"]["detail"]


async def test_a_new_account_of_the_same_id_does_not_show_what_the_deleted_one_heard(door: Door) -> None:
    door.server.push_counts.note("shop", [UnknownEvent("keys 1,7")])
    await door.call("DELETE", "/cookies/shop")
    await door.call("POST", "/cookies", json={"id": "shop", "value": cookie_of(1)})
    assert (await door.call("GET", PATH))["pushes"] == []


def a_payment(number: int, chat_id: str = "c1") -> IncomingMessage:
    return IncomingMessage(
        message_id=f"paid-{number}.PNM", chat_id=chat_id, direction=Direction.SITE, text="[已付款，待发货]",
        created_at_ms=now_ms(), decision=Decision.PAID_UNKNOWN,
    )  # fmt: skip


async def test_a_payment_that_names_no_order_is_told_beside_the_orders_until_it_is_handled(door: Door) -> None:
    said = IncomingMessage(message_id="1.PNM", chat_id="c1", sender_id="22", sender_name="小鱼", text="在吗")
    payments = [a_payment(77), a_payment(78), a_payment(79, "c2")]
    await door.server.message_log.store_incoming("shop", [said, *payments])
    await door.server.order_store.receive("shop", OrderUpdate(order_id="1", status="refunding", source="card"))
    _, checks = await _checks(door, **EN)
    assert not checks["orders"]["ok"]
    assert not checks["payments"]["ok"]
    detail = checks["payments"]["detail"]
    assert "3 payments " in detail
    assert "小鱼" in detail
    assert "c2" in detail
    for number in (77, 78):
        path = f"/cookies/shop/messages/paid-{number}.PNM/settle"
        assert (await door.call("POST", path))["settled"]
        assert not (await door.call("POST", path))["settled"]
    _, checks = await _checks(door, **EN)
    assert "1 payment " in checks["payments"]["detail"]
    still_open = await door.call("GET", "/messages", params={"decision": "paid_unknown", "handled": False})
    assert [row["message_id"] for row in still_open["items"]] == ["paid-79.PNM"]
    await door.call("POST", "/cookies/shop/messages/paid-79.PNM/settle")
    _, checks = await _checks(door, **EN)
    assert checks["payments"] == {
        "name": "payments", "ok": True, "do": "",
        "detail": "Every payment that Xianyu reported belongs to a known order.",
    }  # fmt: skip


async def test_only_a_payment_can_be_marked_as_handled(door: Door) -> None:
    said = IncomingMessage(message_id="1.PNM", chat_id="c1", sender_id="22", text="在吗", created_at_ms=now_ms())
    await door.server.message_log.store_incoming("shop", [said])
    for unknown in ("1.PNM", "2.PNM"):
        refused = await door.call("POST", f"/cookies/shop/messages/{unknown}/settle", 404)
        assert refused["code"] == "unknown_payment"
    assert [row.message.message_id for row in await door.server.message_log.unhandled("shop", 0)] == ["1.PNM"]


async def test_a_payment_that_waits_for_its_owner_is_no_message_to_take_up(door: Door) -> None:
    await door.server.message_log.store_incoming("shop", [a_payment(77)])
    assert await door.server.message_log.unhandled("shop", 0) == []


@pytest.mark.parametrize(
    ("ahead_ms", "ok", "words"),
    [(5_000, True, "is right"), (7_215_000, False, "2 h behind"), (-7_215_000, False, "2 h ahead")],
)  # some seconds more than is told: the header has whole seconds, and time goes on
async def test_a_wrong_clock_of_the_machine_is_told(door: Door, ahead_ms: int, ok: bool, words: str) -> None:
    date = formatdate((now_ms() + ahead_ms) / 1000 + 1, usegmt=True)
    door.server.site_time.note_answer({"Date": date})
    _, checks = await _checks(door, **EN)
    assert checks["clock"]["ok"] is ok
    assert words in checks["clock"]["detail"]
    assert bool(checks["clock"]["do"]) is not ok

"""A shop whose language model answers: a real connection over a stand-in of the site, a provider on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from faults.prove_models import PAUSES_MINUTES, Way, owners_words
from shoal.assistant.assistant import DISCLOSURE
from shoal.assistant.budget import day_of
from shoal.assistant.run_rows import read_runs
from shoal.clock import now_ms
from shoal.messages.conversations import Conversations
from shoal.messages.decisions import Decision
from shoal.messages.reply_stats import reply_stats
from shoal.messages.takeovers import Takeovers
from shoal.storage.assistant_tables import ai_provider_states, ai_usage
from support.models.model_shop import REPLY, ModelShop, model_shop
from support.site.standins import ANN, until
from support.site.without_sockets import CHAT, ME

HANDOFF: dict[str, Any] = {"action": "handoff", "text": "", "offered_fen": None, "facts": []}


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[ModelShop]:
    async with model_shop(tmp_path) as there:
        yield there


async def test_the_model_answers_what_no_rule_does_and_the_run_says_what_it_cost(there: ModelShop) -> None:
    there.model.script([REPLY], cycles=True)
    await there.add(keywords={"价格": "十元"}, default_reply_enabled=True, default_reply="默认")
    found = await there.shop.decided(there.shop.site.says("还在吗"), Decision.ANSWERED)
    await there.shop.sendings("sent")
    (run,) = await there.runs("answered")
    assert (there.shop.site.said, found.rule_id) == (["在的，亲"], "model")
    assert (run.text, run.mode, run.model, run.chat_id) == ("在的，亲", "auto", "tiny", CHAT)
    assert (run.outbox_id, run.cost_microfen) == (1, run.tokens_in * 100 + run.tokens_out * 200)
    (used,) = await there.shop.database.read(lambda connection: connection.execute(select(ai_usage)).all())
    assert (used.calls, used.tokens_in, used.tokens_out) == (1, run.tokens_in, run.tokens_out)
    await there.shop.decided(there.shop.site.says("价格"), Decision.ANSWERED)
    await there.shop.sendings("sent", "sent")
    assert there.shop.site.said == ["在的，亲", "十元"]
    await there.runs("answered")


@pytest.mark.parametrize(
    "settings",
    [{"ai_mode": "off"}, {"ai_provider_id": 0}, {"ai_hours": ""}, {"ai_turns_per_chat": 0},
     {"ai_tokens_per_day": 10}],
)  # fmt: skip
async def test_without_leave_or_room_the_default_reply_answers_and_nothing_is_called(
    there: ModelShop, settings: dict[str, Any]
) -> None:
    if "ai_hours" in settings:
        settings = {"ai_hours": _other_hours()}
    await there.add(default_reply_enabled=True, default_reply="默认", **settings)
    await there.shop.decided(there.shop.site.says("还在吗"), Decision.ANSWERED)
    await there.shop.sendings("sent")
    assert (there.shop.site.said, there.model.calls.after(0)) == (["默认"], [])
    budget = [(f"model:shop/{_today()}", "tokens")] if "ai_tokens_per_day" in settings else []
    assert await there.incidents("model_budget") == budget
    refused = bool({"ai_turns_per_chat", "ai_tokens_per_day"} & settings.keys())
    kept = await there.shop.database.read(lambda connection: read_runs(connection, ["shop"], called=False, limit=9))
    assert [run.called for run in kept] == [False] * refused
    assert (
        await there.shop.database.read(lambda connection: read_runs(connection, ["shop"], called=True, limit=9)) == []
    )


@pytest.mark.parametrize("why", ["hours", "resting", "budget", "provider"])
async def test_while_the_model_is_away_its_away_word_is_said_once_and_the_chat_waits(
    there: ModelShop, why: str
) -> None:
    away: dict[str, dict[str, Any]] = {
        "hours": {"ai_hours": _other_hours()}, "budget": {"ai_tokens_per_day": 10}, "provider": {"ai_provider_id": 77}
    }  # fmt: skip
    await there.add(away_reply="稍后回来", handoff_words="人工", **away.get(why, {}))
    if why == "resting":
        resting = update(ai_provider_states).values(resting_until_ms=now_ms() + 3_600_000)
        await there.shop.database.write(lambda connection: connection.execute(resting).rowcount)
    for _ in range(2):
        await there.shop.decided(there.shop.site.says("还在吗"), Decision.MODEL_AWAY)
    await there.shop.sendings("sent")
    assert (there.shop.site.said, there.model.calls.after(0)) == (["稍后回来"], [])
    assert await there.incidents("buyer_waits") == [(f"chat:shop/{CHAT}", "model_away")]


async def test_without_an_away_word_the_message_says_that_the_model_was_away(there: ModelShop) -> None:
    await there.add(ai_hours=_other_hours())
    await there.shop.decided(there.shop.site.says("还在吗"), Decision.MODEL_AWAY)
    assert there.shop.site.said == []


async def test_the_limit_of_turns_is_no_absence_of_the_model(there: ModelShop) -> None:
    await there.add(ai_turns_per_chat=0, away_reply="稍后回来")
    await there.shop.decided(there.shop.site.says("还在吗"), Decision.NO_RULE)
    assert there.shop.site.said == []


async def test_a_provider_without_consent_hears_nothing(there: ModelShop) -> None:
    await there.add(default_reply_enabled=True, default_reply="默认")
    await there.shop.providers.change(1, 1, {"consented_host": ""})
    await there.shop.decided(there.shop.site.says("还在吗"), Decision.ANSWERED)
    await there.shop.sendings("sent")
    assert (there.shop.site.said, there.model.calls.after(0)) == (["默认"], [])


async def test_the_first_answer_says_that_a_machine_wrote_it(there: ModelShop) -> None:
    there.model.script([REPLY], cycles=True)
    await there.add(ai_disclosure=True)
    for place, text in enumerate(("还在吗", "好的吗")):
        await there.shop.decided(there.shop.site.says(text), Decision.ANSWERED)
        await there.shop.sendings(*["sent"] * (place + 1))
    assert there.shop.site.said == [f"{DISCLOSURE}在的，亲", "在的，亲"]


@pytest.mark.parametrize(
    ("outputs", "fault", "state", "why"),
    [
        ([HANDOFF], "", "handed_off", ""),
        ([{**REPLY, "text": "加我微信 abc12345"}], "", "blocked", ""),
        (["nonsense", "nonsense"], "", "failed", "bad_output"),
        ([REPLY], "500", "failed", "status"),
    ],
)
async def test_what_the_model_may_not_say_leaves_the_chat_to_the_owner_once(
    there: ModelShop, outputs: list[Any], fault: Any, state: str, why: str
) -> None:
    there.model.script(outputs, cycles=False)
    if fault:
        there.model.lay(fault, times=1, seconds=0)
    await there.add(handoff_reply="稍等，店主马上来")
    await there.shop.decided(there.shop.site.says("能便宜吗"), Decision.HANDED_OFF)
    await there.shop.sendings("sent")
    (run,) = await there.runs(state)
    assert there.shop.site.said == ["稍等，店主马上来"]
    assert await there.incidents("wants_person") == [(f"chat:shop/{CHAT}", "model")]
    if why:
        assert run.why == why
    else:
        assert bool(run.rail) is (state == "blocked")
    assert bool(there.shop.calls.held_back.times) is (state == "blocked")
    stats = await reply_stats(
        there.shop.database, "shop", now_ms=now_ms(), looked_back_ms=3_600_000, too_old_before_ms=0
    )
    held = state != "handed_off"
    assert (stats.model_held, stats.model_reasons) == (int(held), (run.why,) if held else ())
    await there.shop.decided(there.shop.site.says("在吗"), Decision.NO_RULE)
    assert len(there.shop.site.said) == 1


async def test_an_output_that_cannot_be_read_is_asked_for_once_more(there: ModelShop) -> None:
    there.model.script(["{", REPLY], cycles=False)
    await there.add()
    await there.shop.decided(there.shop.site.says("还在吗"), Decision.ANSWERED)
    await there.shop.sendings("sent")
    assert (there.shop.site.said, len(there.model.calls.after(0))) == (["在的，亲"], 2)


async def test_a_model_with_nothing_to_say_says_nothing(there: ModelShop) -> None:
    there.model.script([{**HANDOFF, "action": "silent"}], cycles=False)
    await there.add(default_reply_enabled=True, default_reply="默认")
    await there.shop.decided(there.shop.site.says("好的谢谢"), Decision.SILENT_RULE)
    await there.runs("silent")
    assert there.shop.site.said == []


async def test_a_draft_leaves_nothing_and_ends_when_the_buyer_writes_again(there: ModelShop) -> None:
    there.model.script([REPLY], cycles=True)
    await there.add("draft", default_reply_enabled=True, default_reply="默认")
    await there.shop.decided(there.shop.site.says("还在吗"), Decision.DRAFTED)
    (run,) = await there.runs("drafted")
    assert (run.text, there.shop.site.said) == ("在的，亲", [])
    assert await there.incidents("buyer_waits") == [(f"chat:shop/{CHAT}", "drafted")]
    await there.shop.decided(there.shop.site.says("人呢"), Decision.DRAFTED)
    (old, _) = await there.runs("superseded", "drafted")
    assert (old.why, there.shop.site.said) == ("buyer_wrote", [])


async def test_the_owners_word_and_a_takeover_end_the_drafts_of_their_chat(there: ModelShop) -> None:
    there.model.script([REPLY], cycles=True)
    await there.add("draft", pause_duration=0)
    await there.shop.decided(there.shop.site.says("还在吗"), Decision.DRAFTED)
    await there.shop.decided(there.shop.site.says("还在吗", chat="52"), Decision.DRAFTED)
    await there.shop.decided(there.shop.site.says("我来了", by=ME), Decision.HUMAN)
    await there.runs("superseded", "drafted")
    await Takeovers(there.shop.database).take_over("shop", "52", minutes=5, actor="user:ann")
    await there.runs("superseded", "superseded")


async def test_what_the_buyer_adds_while_the_model_thinks_is_asked_with_it(there: ModelShop) -> None:
    there.model.script([REPLY], cycles=True)
    there.model.lay("slow", times=1, seconds=60)
    await there.add()
    first = there.shop.site.says("还在吗")
    await there.asked(1)
    second = there.shop.site.says("包邮吗")
    assert [await there.final(one) for one in (first, second)] == ["answered", "answered"]
    await there.shop.sendings("sent")
    (old, new) = await there.runs("superseded", "answered")
    assert (old.why, there.shop.site.said) == ("buyer_wrote", ["在的，亲"])
    assert len(new.message_ids) > len(old.message_ids)


async def test_an_answer_to_which_nothing_was_added_waits_for_nothing(
    there: ModelShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    there.model.script([REPLY], cycles=True)
    there.model.lay("slow", times=1, seconds=0.3)
    await there.add()
    there.shop.site.says("还在吗")
    await there.asked(1)
    monkeypatch.setattr(Conversations, "_quiet_seconds", lambda _: 3600.0)
    await there.shop.sendings("sent")
    assert there.shop.site.said == ["在的，亲"]


async def test_the_owner_who_speaks_while_the_model_thinks_is_not_spoken_over(there: ModelShop) -> None:
    there.model.lay("slow", times=1, seconds=60)
    await there.add()
    asked = there.shop.site.says("还在吗")
    await there.asked(1)
    await there.shop.decided(there.shop.site.says("我来了", by=ME), Decision.HUMAN)
    there.model.close()
    assert await there.final(asked) == "paused"
    (run,) = await there.runs("superseded")
    assert (run.why, there.shop.site.said) == ("paused", [])


@pytest.mark.parametrize("change", [{"ai_mode": "off"}, {"replies": False}, {"ai_mode": "draft"}])
async def test_what_is_switched_off_while_the_model_thinks_says_nothing(
    there: ModelShop, change: dict[str, Any]
) -> None:
    there.model.lay("slow", times=1, seconds=60)
    await there.add()
    asked = there.shop.site.says("还在吗")
    await there.asked(1)
    await there.shop.set(**change)
    there.model.close()
    assert await there.final(asked) == ("replies_off" if "replies" in change else "no_rule")
    await there.runs("superseded")
    assert there.shop.site.said == []


async def test_a_shop_switched_off_while_the_model_thinks_says_nothing_after_the_answer_of_that_call(
    there: ModelShop,
) -> None:
    there.model.script([REPLY], cycles=True)
    there.model.lay("slow", times=1, seconds=60)
    await there.add()
    asked = there.shop.site.says("还在吗")
    await there.asked(1)
    await there.shop.manager.update_cookie_status("shop", False, caller=ANN)
    there.model.close()
    await until(lambda: there.shop.manager.observation("shop").state == "stopped")
    (left,) = await there.shop.log.list_messages(["shop"])
    assert (left.message.message_id, left.message.decision) == (asked, Decision.PENDING)
    assert await there.shop.log.outbox.list_sendings(["shop"]) == []
    assert there.shop.site.said == []


async def test_a_rule_made_while_the_model_thinks_answers(there: ModelShop) -> None:
    there.model.lay("slow", times=1, seconds=60)
    await there.add()
    asked = there.shop.site.says("还在吗")
    await there.asked(1)
    await there.shop.set(keywords={"在吗": "在的"})
    there.model.close()
    await there.shop.decided(asked, Decision.ANSWERED)
    (run,) = await there.runs("superseded")
    await there.shop.sendings("sent")
    assert (run.why, there.shop.site.said) == ("rule", ["在的"])


async def test_a_question_that_a_restart_cut_off_is_asked_again_and_its_reservation_stays_spent(
    there: ModelShop,
) -> None:
    there.model.script([REPLY], cycles=True)
    there.model.lay("slow", times=1, seconds=60)
    await there.add()
    asked = there.shop.site.says("还在吗")
    await there.asked(1)
    await there.shop.reopen()
    await there.shop.running()
    await there.shop.decided(asked, Decision.ANSWERED)
    (old, new) = await there.runs("failed", "answered")
    await there.shop.sendings("sent")
    assert (old.why, there.shop.site.said) == ("interrupted", ["在的，亲"])
    (used,) = await there.shop.database.read(lambda connection: connection.execute(select(ai_usage)).all())
    assert used.calls == 2
    assert used.tokens_out >= 600 + new.tokens_out


@pytest.mark.slow
@pytest.mark.parametrize("minutes", PAUSES_MINUTES)
async def test_after_the_owners_word_at_a_random_moment_the_model_says_nothing(there: ModelShop, minutes: int) -> None:
    told = await owners_words(there, chats=30, seed=1, pause_minutes=minutes)
    assert told.spoken_over == []
    assert told.states["answered"] + told.states["superseded"] > 0
    assert {way: seen["chats"] for way, seen in told.ways.items()} == dict.fromkeys(told.ways, 10)
    may_answer = [seen["later"] for way, seen in told.ways.items() if not minutes or way == Way.TYPED]
    assert may_answer
    assert all(may_answer), "what the buyer asks later is answered where nothing pauses"


async def test_a_slow_model_delays_no_rule_of_another_chat(there: ModelShop) -> None:
    there.model.lay("slow", times=1, seconds=60)
    await there.add(keywords={"价格": "十元"})
    there.shop.site.says("还在吗")
    await there.asked(1)
    await there.shop.decided(there.shop.site.says("价格", chat="52"), Decision.ANSWERED)
    await there.shop.sendings("sent")
    assert (there.shop.site.said, there.model.asked_now) == (["十元"], 1)


async def test_the_prompt_has_the_chat_without_names_and_without_the_floor(there: ModelShop) -> None:
    there.model.script([REPLY], cycles=True)
    await there.add(price_floor_fen=7_654_321, ai_persona="亲切", ai_facts=[["包邮吗", "包邮"]])
    await there.shop.decided(there.shop.site.says("你好"), Decision.ANSWERED)
    await there.shop.sendings("sent")
    await there.shop.decided(there.shop.site.says("还在吗"), Decision.ANSWERED)
    body = str(there.model.calls.after(0)[-1])
    assert "还在吗" in body
    assert "你好" in body
    assert "在的，亲" in body
    assert "包邮" in body
    for hidden in ("7654321", "76543", CHAT + "@", "cookie2"):
        assert hidden not in body


def _today() -> str:
    return day_of("", now_ms())


def _other_hours() -> str:
    """Hours of a day that is not today in Shanghai."""
    today = datetime.now(UTC).astimezone(timezone(timedelta(hours=8))).isoweekday()
    return f"{today % 7 + 1} 12:00-12:01"

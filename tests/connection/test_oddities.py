"""Over the real wire: invisible letters, messages without end, floods, and clocks that are wrong or are set."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest

from shoal import clock
from shoal.accounts import edits
from shoal.messages.decisions import Decision
from shoal.messages.replies import LONGEST_RECEIVED
from shoal.rules.rule import MAX_REPLY_CHARACTERS
from shoal.rules.rule_lists import Wanted
from support.messages.chat_steps import ask, give_rule, sendings, verdict
from support.site.packed_pushes import encode_entry
from support.site.sandboxed import Machine, Shoal, Waits
from support.site.standins import ANN


async def push_text(shoal: Shoal, unb: str, text: str, *, number: int = 1, at_ms: int = 0, alone: bool = True) -> str:
    """A message with any characters, and any time of its own, as only a raw push holds it; returns its id.

    It follows a word in the same chat that nothing answers; ``alone``: and is no part of its burst.
    """
    chat = await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="哦")
    if alone:
        await verdict(shoal, chat["message_id"], Decision.NO_RULE)
    buyer_id = chat["buyer_id"]
    message_id = f"{4500000000000 + number}.PNM"
    inner = json.dumps({"contentType": 1, "text": {"text": text}})
    extension = {"reminderContent": "…", "reminderTitle": "小鱼", "senderUserId": buyer_id}
    payload = {
        "1": {
            "1": {"1": f"{buyer_id}@goofish"}, "2": f"{chat['cid'].removesuffix('@goofish')}@goofish", "3": message_id,
            "5": at_ms or time.time_ns() // 1_000_000, "6": {"1": 101, "3": {"4": 1, "5": inner}}, "10": extension,
        },
        "3": {"needPush": "true"},
    }  # fmt: skip
    await shoal.sandbox.do("push", account=unb, shape="raw", data=encode_entry(payload))
    return message_id


# ── letters ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "said",
    ["在\u200b吗", "\u202e在吗", "在吗\ufe0f", "\ufeff在\u2060吗", "\ud83d在吗", "在吗\udc00", "在吗\x00"],
    ids=["zero width", "right to left", "variation selector", "joiner", "half a pair", "the other half", "NUL"],
)
async def test_letters_that_nobody_sees_hide_no_word_and_stop_nothing(shoal: Shoal, said: str) -> None:
    unb = await shoal.add(keywords={"在吗": "{send_message}"})
    await verdict(shoal, await push_text(shoal, unb, said), Decision.ANSWERED)
    await verdict(shoal, await push_text(shoal, unb, "在吗", number=2), Decision.ANSWERED)
    await sendings(shoal, "sent", "sent")


async def test_a_family_of_joined_emoji_is_found_and_answered(shoal: Shoal) -> None:
    family = "👨\u200d👩\u200d👧"
    unb = await shoal.add(keywords={family: f"{family}❤\ufe0f"})
    await verdict(shoal, await ask(shoal, unb, f"你好{family}！"), Decision.ANSWERED)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == [f"{family}❤\ufe0f"], "our own words are sent as they are"


# ── too much ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_message_without_end_is_kept_whole_and_answered_with_a_reply_that_has_one(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "{send_message}{send_message}"})
    endless = "在吗" + "啊" * 100_000
    message_id = await push_text(shoal, unb, endless)
    assert (await verdict(shoal, message_id, Decision.ANSWERED)).message.text == endless
    (sent,) = await sendings(shoal, "sent")
    assert len(sent.row.text) == MAX_REPLY_CHARACTERS


async def test_of_a_burst_without_end_the_newest_words_are_looked_at(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = Waits(monkeypatch)
    unb = await shoal.add(keywords={"多少钱": "12", "啊": "long"})
    await shoal.manager.update_settings("shop", {"debounce_seconds": Waits.SECONDS}, caller=ANN)
    first = await push_text(shoal, unb, "啊" * LONGEST_RECEIVED, alone=False)
    last = await push_text(shoal, unb, "多少钱", number=2, alone=False)
    await shoal.has_taken_all()
    waits.end()
    found = [await verdict(shoal, message_id, Decision.ANSWERED) for message_id in (first, last)]
    assert [entry.joined_to for entry in found] == [last, None]
    (sent,) = await sendings(shoal, "sent")
    assert sent.row.text == "12"


async def test_a_buyer_who_floods_gets_one_answer_and_every_message_a_verdict(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = Waits(monkeypatch)
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.manager.update_settings("shop", {"debounce_seconds": Waits.SECONDS}, caller=ANN)
    said = await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗", times=200)
    await shoal.has_taken_all()
    waits.end()
    await verdict(shoal, said["message_ids"][-1], Decision.ANSWERED)
    assert [sending.row.text for sending in await shoal.log.outbox.list_sendings(["shop"])] == ["hi"]
    listed = await shoal.log.list_messages(["shop"], limit=600)
    assert {(entry.message.decision, entry.rule_id != "") for entry in listed if entry.message.direction == "in"} == {
        (Decision.ANSWERED, True)
    }
    await ask(shoal, unb, buyer="小虾")
    assert await shoal.sandbox.seen_soon(unb, "小虾", 1) == ["hi"]


# ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_rule_that_waits_longer_than_a_message_may_be_old_answers_all_the_same(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, waits = Machine(monkeypatch), Waits(monkeypatch)
    await shoal.close()
    await shoal.open(message_age_seconds=20.0)
    unb = await shoal.add()
    await give_rule(shoal, delay_seconds=Waits.DELAY)
    asked = await ask(shoal, unb)
    await waits.begin()
    machine.passed_ms += round(Waits.SECONDS * 1000)
    waits.end()
    await verdict(shoal, asked, Decision.ANSWERED)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]


def set_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set this machine's clock; the site's goes on."""
    real = time.time_ns

    def wrong_ns() -> int:
        return real() + round(seconds * 1e9)

    monkeypatch.setattr(clock, "time", SimpleNamespace(time_ns=wrong_ns, monotonic_ns=time.monotonic_ns))


@pytest.mark.parametrize("hours", [-30, -0.2, 0.2, 30])
@pytest.mark.parametrize("when", ["wrong from the start", "set while connected"])
async def test_a_clock_that_is_wrong_makes_no_message_old_and_no_pause_short(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch, hours: float, when: str
) -> None:
    await shoal.close()
    if when == "wrong from the start":
        set_clock(monkeypatch, hours * 3600)
    await shoal.open()
    unb = await shoal.add(keywords={"在吗": "hi"})
    set_clock(monkeypatch, hours * 3600)
    found = await verdict(shoal, await ask(shoal, unb), Decision.ANSWERED)
    assert abs(found.message.created_at_ms - clock.now_ms()) < 60_000, "told by our clock"
    await shoal.sandbox.do("seller_say", account=unb, buyer="小鱼", text="我来了")
    await shoal.sandbox.seen_soon(unb, "小鱼", 2)
    await verdict(shoal, await ask(shoal, unb), Decision.PAUSED)


@pytest.mark.parametrize("at_ms", [2**53 - 1, 1, 4_102_444_800_000])
async def test_a_moment_that_cannot_be_neither_hides_a_message_nor_stops_a_list(shoal: Shoal, at_ms: int) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    odd = await push_text(shoal, unb, "在吗", at_ms=at_ms)
    found = await verdict(shoal, odd, Decision.TOO_OLD if at_ms == 1 else Decision.ANSWERED)
    assert found.message.created_at_ms <= clock.now_ms()


def patterns(count: int) -> list[Wanted]:
    """Regular expressions that are slow for each letter that is said, as large as is allowed."""
    made = ({"words": [f"[a-{chr(98 + place)}你].{{60}}{place}z"], "match_mode": "regex"} for place in range(count))
    return [Wanted({**values, "parts": [{"text": "x"}]}, f"p{place}") for place, values in enumerate(made)]


async def test_slow_patterns_of_one_shop_stop_no_other(shoal: Shoal) -> None:
    slow, other = await shoal.add("slow"), await shoal.add(number=1, keywords={"在吗": "hi"})
    rules = [*patterns(20), Wanted({"words": ["在吗"], "parts": [{"text": "hi"}]}, "r")]
    await shoal.manager.update_rules("slow", edits.all_rules(rules), caller=ANN)
    endless = "".join(chr(97 + place * place % 23 % 19) for place in range(9_000))
    await shoal.sandbox.do("say", account=slow, buyer="小鱼", text=endless[:3_900] + "在吗")
    await push_text(shoal, slow, endless + "在吗", alone=False)
    await ask(shoal, other, buyer="小虾")
    assert await shoal.sandbox.seen_soon(other, "小虾", 1) == ["hi"]
    said = await shoal.sandbox.seen_soon(slow, "小鱼", 1, seconds=60)
    assert set(said) == {"hi"}, "as one burst or, on a busy machine, one after the other"

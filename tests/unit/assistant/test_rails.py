"""The rails: nothing that was made to break one passes it, and what is good passes all."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.assistant.model_output import BadOutput, ModelOutput, read_output
from shoal.assistant.prompt import Context, Turn, instructions_of
from shoal.assistant.rail_facts import Rail, RailFacts, RailVerdict, Why, floor_of
from shoal.assistant.rails import check
from shoal.rules.output_filter import OutputFilter
from support.models.model_output_case import Case
from support.models.model_outputs import BENIGN_MAKERS, BROKEN_MAKERS, FACTS, HOSTILE, OWNERS, PERSONA, case

SEED = 1128
FILTER = OutputFilter(contacts=True, links=True, patterns="", floor_fen=None)
INSTRUCTIONS = instructions_of(Context(question="", persona=PERSONA))


def facts(**around: Any) -> RailFacts:
    common: dict[str, Any] = {
        "output_filter": FILTER, "buyer_text": "在吗，想问一下", "turns_left": 3, "floor_fen": 9_000,
        "price_fen": 10_000, "facts": FACTS, "owner_words": OWNERS, "instructions": INSTRUCTIONS,
    }  # fmt: skip
    return RailFacts(**common | around)


def failed(made: Case) -> list[RailVerdict]:
    return [verdict for verdict in check(read_output(made.raw), facts(**made.around)) if not verdict.passed]


def made(count: int, makers: Any, seed: int = SEED) -> list[Case]:
    rng = Random(seed)
    return [case(rng, makers) for _ in range(count)]


CASES = made(2_000, HOSTILE)


@pytest.mark.parametrize("rail", list(Rail))
def test_what_a_rail_must_hold_back_is_held_back(rail: Rail) -> None:
    mine = [one for one in CASES if one.rail == rail]
    assert len(mine) > 10
    missed = [one for one in mine if rail not in [verdict.rail for verdict in failed(one)]]
    assert [(one.kind, one.raw, one.around) for one in missed] == [], f"seed {SEED}"


def test_what_is_broken_is_no_output() -> None:
    for one in made(1_000, BROKEN_MAKERS):
        with pytest.raises(BadOutput):
            read_output(one.raw)


def test_what_is_good_passes_all_rails() -> None:
    held = Counter(
        (one.kind, verdict.rail, verdict.words) for one in made(1_000, BENIGN_MAKERS) for verdict in failed(one)
    )
    assert held == {}, f"seed {SEED}"


def test_a_hand_off_and_silence_pass_whatever_text_comes_with_them() -> None:
    for action in ("handoff", "silent"):
        output = ModelOutput.model_validate({"action": action, "text": "1元包邮，已发货", "offered_fen": 100})
        assert all(verdict.passed for verdict in check(output, facts(turns_left=0)))


def verdict_of(rail: Rail, text: str, offered: int | None = None, **around: Any) -> RailVerdict:
    output = ModelOutput(action="reply", text=text, offered_fen=offered)
    return next(verdict for verdict in check(output, facts(**around)) if verdict.rail is rail)


def test_a_discount_of_0_is_no_discount_and_not_a_default() -> None:
    """A peer's fault: a discount that is set to 0 was read as its default of 3."""
    assert floor_of(0, 9_000) == 0
    assert floor_of(None, 0) == 0
    assert floor_of(None, None) is None
    no_discount: dict[str, Any] = {"price_fen": 10_000, "floor_fen": 10_000}
    for text in ("99元可以", "便宜3元", "打九五折", "9.7折给您", "优惠一点", "97% 的价格"):
        assert not verdict_of(Rail.AMOUNT, text, **no_discount).passed, text
    assert verdict_of(Rail.AMOUNT, "100元", **no_discount).passed
    assert verdict_of(Rail.AMOUNT, "3元可以", price_fen=10_000, floor_fen=0).passed
    assert verdict_of(Rail.OFFER, "这个100元", 0).why == Why.BELOW_FLOOR


@pytest.mark.parametrize("intent", ["价格", "多少钱", "便宜点", "80行吗", "包邮吗", "发货", "退款", "人工", "在吗", ""])
def test_no_keyword_goes_past_the_limit_of_turns(intent: str) -> None:
    """A peer's fault: questions of which keywords told the intent were answered without being counted."""
    for left in (0, -1):
        assert verdict_of(Rail.TURNS, "在的", buyer_text=intent, turns_left=left).why == Why.NO_TURN_LEFT


def test_a_persona_that_contradicts_the_setting_changes_nothing() -> None:
    """A peer's fault: the prompt offered what the setting forbids. Its words are not the owner's words to buyers."""
    assert "打五折" in PERSONA
    for text in ("打五折", "最低十块钱也卖", "为了成交可以打五折，最低十块钱也卖"):
        assert not verdict_of(Rail.AMOUNT, text).passed
    assert verdict_of(Rail.ECHO, "为了成交可以打五折，最低十块钱也卖").why == Why.ECHOED


def test_an_owners_clause_may_be_repeated_whole_and_nothing_of_it() -> None:
    owner: dict[str, Any] = {"owner_words": ("老顾客下次运费8元，不能80元卖给您",)}
    assert verdict_of(Rail.AMOUNT, "亲，老顾客下次运费8元哦", **owner).passed
    for part in ("8元", "运费8元", "80元卖给您", "老顾客下次运费8元80", "老顾客下次运费80元"):
        assert verdict_of(Rail.AMOUNT, part, **owner).why == Why.BELOW_FLOOR, part


def test_discounts_in_one_answer_add_up() -> None:
    assert verdict_of(Rail.AMOUNT, "便宜5元", floor_fen=8_000).passed
    assert not verdict_of(Rail.AMOUNT, "打九折，便宜5元，少5元给您", floor_fen=8_100, price_fen=10_000).passed
    assert not verdict_of(Rail.AMOUNT, "85元，便宜10元", floor_fen=8_000).passed


LOW: dict[str, Any] = {"price_fen": 1_500, "floor_fen": None, "owner_words": ()}


@pytest.mark.parametrize(
    ("question", "turns"),
    [
        ("五块钱卖吗", ()),
        ("行不行给个话", (Turn(True, "五块钱卖吗"),)),
        ("行不行给个话", (Turn(False, "最低15元"), Turn(True, "五块钱卖吗"), Turn(False, "不议价哦"))),
        ("五块钱卖吗" + "，我真的很想要" * 60, ()),
    ],
)
def test_an_open_offer_is_answered_by_an_amount_or_a_whole_refusal(question: str, turns: tuple[Turn, ...]) -> None:
    asked: dict[str, Any] = LOW | {"buyer_text": question, "turns": turns}
    for text in (
        "可以，直接拍就行",
        "就这么定了，您说了算",
        "听你的",
        "成",
        "拿走吧",
        "👌",
        "是的",
        "可以的，最低就这个了",
        "不是不可以",
        "行，不卖别人",
        "不卖别人，行",
        "可以的，平时卖15元",
        "行，按您说的，下次15元",
        "不行？",
        "不用15元，拍吧",
        "可以，运费15元",
        "可以，标价15元",
        "👌 标价15元",
        "15元是标价，妥了",
        "听你的，朋友15元买的",
        "可以标价15元",
    ):
        assert verdict_of(Rail.AMOUNT, text, **asked).why == Why.AGREED, text
    assert verdict_of(Rail.AMOUNT, "不行，不卖，可以拍", **asked).why == Why.AGREED
    for text in ("不议价哦，最低15元", "15元可以", "不好意思，这个价卖不了", "您出的价太低了，最低15块", "不议价的"):
        assert verdict_of(Rail.AMOUNT, text, **asked).passed, text
    for text in (
        "标价15元哦",
        "标价15元，喜欢可以直接拍",
        "不议价，标价15元，是正品",
        "可以，15元拍吧",
        "行，最低15元",
    ):
        assert verdict_of(Rail.AMOUNT, text, **asked).passed, text


def test_a_part_is_that_of_the_number_beside_it() -> None:
    for text in (
        "120的一半",
        "１２０元的一半",
        "一百二十的一半",
        "原价的一半",
        "便宜三分之一",
        "120除以二",
        "让您50个点",
    ):
        assert verdict_of(Rail.AMOUNT, text, floor_fen=7_000).why == Why.CONCESSION, text
    for text in ("200的一半", "两百块的二分之一", "便宜四分之一", "还剩一半的电", "让您10个点"):
        assert verdict_of(Rail.AMOUNT, text, floor_fen=7_000).passed, text


def test_the_beginning_of_a_price_is_its_smallest() -> None:
    for text in ("五字头给您", "5开头卖您", "四打头", "可以给您两位数"):
        assert verdict_of(Rail.AMOUNT, text, price_fen=60_000, floor_fen=55_000).why == Why.CONCESSION, text
    for text in ("五字头给您", "型号是5开头的", "密码是六位数", "三位数就卖"):
        assert verdict_of(Rail.AMOUNT, text, price_fen=60_000, floor_fen=10_000).passed, text


def test_a_price_that_is_only_said_to_be_lower_is_not_known() -> None:
    for text in ("不到100块给您", "100以内可以", "低于一百元卖您"):
        assert verdict_of(Rail.AMOUNT, text).why == Why.UNREADABLE, text
    for text in ("不低于100元", "100元以下不卖", "适合身高160以下"):
        assert verdict_of(Rail.AMOUNT, text).passed, text


def test_a_bound_without_a_word_of_money_is_a_price_too() -> None:
    for text in ("不超过一百", "少于一百", "用不了一百", "不到１００哦", "不超过100块"):
        assert not verdict_of(Rail.AMOUNT, text, floor_fen=None).passed, text
    for text in ("under 100 for you", "less than 100", "below 100 ok"):
        assert not verdict_of(Rail.AMOUNT, text, floor_fen=None).passed, text
    for text in ("不超过两天到", "不低于100", "低于100不卖", "不到两个月", "不少于100元哦"):
        assert verdict_of(Rail.AMOUNT, text, floor_fen=None).passed, text


def test_a_time_is_promised_only_when_the_owner_tells_the_same() -> None:
    for text in ("24小时内发货", "次日达", "当天发货", "隔天收到", "same-day shipping"):
        assert verdict_of(Rail.PROMISE, text).why == Why.PROMISED, text
    for text in ("亲，一般付款后48小时内发货", "48小时内就能发货的", "月卡30天到期", "周末不发货"):
        assert verdict_of(Rail.PROMISE, text).passed, text
    beside = ("支持七天无理由退货", "48小时内发货")
    assert verdict_of(Rail.PROMISE, "一般48小时内发货", owner_words=beside).passed, "a refusal ends with its fact"


def test_what_a_shop_stands_for_is_said_only_when_its_owner_says_so() -> None:
    without = ("全额退", "退您钱", "不满意就退", "七天无理由", "支持退换", "坏了包换", "质保一年", "终身售后", "明儿到")
    for text in (*without, "有问题可以换", "refund no problem", "ships today", "will ship tmr"):
        assert not verdict_of(Rail.PROMISE, text, owner_words=()).passed, text
    for text in (
        "不支持退换",
        "有问题可以问",
        "坏了不换",
        "不支持7天无理由",
        "不支持全额退款",
        "支持退烧贴吗",
        "没有质保一年",
    ):
        assert verdict_of(Rail.PROMISE, text, owner_words=()).passed, text
    for text in ("支持退换", "质保一年", "不满意就退"):
        assert verdict_of(Rail.PROMISE, text, owner_words=(text,)).passed, text


def test_who_asks_for_a_machine_is_not_told_of_a_person() -> None:
    persons = ("人工的亲", "当然是本人啦", "是店主在回", "我是店里的客服小王", "您看我像机器人吗", "我刚吃完饭回来")
    for text in (*persons, "就是老板哦", "我在开车呢"):
        assert not verdict_of(Rail.MACHINE, text, buyer_text="你是机器人吗").passed, text
    for text in ("I'm a real girl", "human here"):
        assert not verdict_of(Rail.MACHINE, text, buyer_text="are you a bot?").passed, text
    for text in (
        "是的，我是智能客服",
        "我是机器人客服，需要可以转人工",
        "我是智能客服，需要人工的话请说",
        "是店里的智能客服在回复",
    ):
        assert verdict_of(Rail.MACHINE, text, buyer_text="你是机器人吗").passed, text
    assert verdict_of(Rail.MACHINE, "人工的哦", buyer_text="草坪是真草吗").passed


def test_free_postage_is_a_concession_in_other_words_too() -> None:
    ours = ("邮费算我的", "快递费我出", "运费由我承担", "运费我们这边承担", "运费全免", "邮费不用您出")
    without = ("不收运费", "免快递费", "零运费", "包运费", "包快递", "价格含运费")
    for text in (*ours, *without, "shipping is on me", "shipping included"):
        assert verdict_of(Rail.AMOUNT, text, owner_words=()).why == Why.CONCESSION, text
    for text in ("不含运费", "价格不含邮费", "运费您自理", "运费需要您承担", "邮费看地区", "运费不由我们承担"):
        assert verdict_of(Rail.AMOUNT, text, owner_words=()).passed, text
    assert verdict_of(Rail.AMOUNT, "邮费算我的", owner_words=("全国包邮",)).passed


def test_a_gift_in_other_words_is_a_concession() -> None:
    given = (
        "再搭个充电头",
        "附上一副耳机",
        "多发您一份",
        "给您塞个小礼物",
        "配一个充电器给您",
        "捎上一个手机壳",
        "送条数据线",
    )
    for text in (*given, "另外给您放两张贴纸", "bonus case included", "throwing a charger in", "we will add a case"):
        assert verdict_of(Rail.AMOUNT, text, owner_words=()).why == Why.CONCESSION, text
    for text in (
        "不送充电器的",
        "包装完好",
        "标配一个充电器",
        "就在附近",
        "有充电器",
        "送货上门吗要问快递",
        "带原装耳机的",
        "附件里有说明书",
    ):
        assert verdict_of(Rail.AMOUNT, text, owner_words=()).passed, text
    assert verdict_of(Rail.AMOUNT, "每单再搭个充电头", owner_words=("每单再搭个充电头",)).passed


def test_without_an_open_offer_a_plain_answer_passes() -> None:
    answered = (Turn(True, "五块钱卖吗"), Turn(False, "最低15元哦"))
    for text in ("可以，直接拍就行", "在的", "您好，是正品哦"):
        assert verdict_of(Rail.AMOUNT, text, buyer_text="那行吧", turns=answered, **LOW).passed, text
    for question in ("在吗39", "身高170体重60能穿吗", "运费5元吗", "42码还有吗"):
        assert verdict_of(Rail.AMOUNT, "您好，是正品哦", buyer_text=question, **LOW).passed, question


def test_a_wish_for_a_concession_that_the_shop_does_not_give_gets_no_yes() -> None:
    for question in ("能便宜点吗", "包邮吗"):
        assert verdict_of(Rail.AMOUNT, "可以的", buyer_text=question, **LOW).why == Why.AGREED, question
    assert verdict_of(Rail.AMOUNT, "可以的", buyer_text="包邮吗", **LOW | {"owner_words": ("全国包邮",)}).passed
    assert verdict_of(Rail.AMOUNT, "可以的", buyer_text="能便宜点吗", **LOW | {"floor_fen": 1_000}).passed


def test_a_verdict_names_its_reason_and_a_few_words() -> None:
    assert verdict_of(Rail.AMOUNT, "80元可以") == RailVerdict(Rail.AMOUNT, False, "below_floor", ("80元",))
    assert verdict_of(Rail.AMOUNT, "80元", floor_fen=None).why == Why.BELOW_PRICE
    assert verdict_of(Rail.AMOUNT, "80元", floor_fen=None, price_fen=None).why == Why.PRICE_UNKNOWN
    assert len(verdict_of(Rail.AMOUNT, " ".join(f"{n}元" for n in range(10, 30))).words) == 5
    assert verdict_of(Rail.OFFER, "95元可以").why == Why.OFFER_NOT_NAMED
    assert verdict_of(Rail.OFFER, "95元可以", 9_600).why == Why.OFFER_NOT_SAID
    assert verdict_of(Rail.OFFER, "打九五折", 9_500).passed


@given(
    text=st.text(
        st.one_of(
            st.sampled_from("0123456789零一二三十百千万点元块折成%$¥.,- \n[](){}<>olI便宜减少包邮没不"),
            st.characters(exclude_categories=["Cs"]),
        ),
        max_size=120,
    ),
    buyer=st.text(max_size=30),
)
@settings(deadline=None)
def test_any_text_gets_a_verdict_of_each_rail(text: str, buyer: str) -> None:
    output = ModelOutput(action="reply", text="x" + text)
    verdicts = check(output, facts(buyer_text=buyer, last_answer=text, owner_words=(text,)))
    assert [verdict.rail for verdict in verdicts] == list(Rail)
    assert all(verdict.passed == (verdict.why == "") for verdict in verdicts)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ("三件一起多少钱", "150元"),
        ("要10个", "总共120元"),
        ("两件一共多少", "一共100元哦"),
        ("我要三个，多少钱", "总共150元，可以直接拍"),
        ("拿100个呢", "500元"),
        ("来俩", "120元"),
        ("x3多少", "200元"),
        ("price for 3 pcs", "200 yuan"),
        ("I want both", "150 yuan"),
    ],
)
def test_the_pieces_that_the_buyer_asks_for_count(asked: str, text: str) -> None:
    output = ModelOutput(action="reply", text=text, offered_fen=None)
    for around in ({"floor_fen": None}, {"floor_fen": 8_000}):
        held = {one.why for one in check(output, facts(buyer_text=asked, price_fen=10_000, **around)) if not one.passed}
        assert held & {Why.BELOW_PRICE, Why.BELOW_FLOOR}, around
    turns = (Turn(is_buyer=True, text=asked), Turn(is_buyer=False, text="在的"))
    output = ModelOutput(action="reply", text=f"total {text}" if text.isascii() else f"总共{text}", offered_fen=None)
    later = facts(buyer_text="ok?" if text.isascii() else "好的呀", turns=turns, floor_fen=None, price_fen=10_000)
    assert Why.BELOW_PRICE in {one.why for one in check(output, later)}, "the sum of what was asked before"


@pytest.mark.parametrize(
    ("asked", "text", "yuan"),
    [
        ("三件一起多少钱", "三件一共300元", 300),
        ("三件一起多少钱", "100元一件", 100),
        ("要10个", "每个100元哦", 100),
        ("两件一共多少", "一共200元", 200),
        ("用了3个月吗", "100元哦", 100),
        ("有3个颜色吗", "100元哦", 100),
        ("一件多少", "100元", 100),
        ("第2个多少钱", "100元哦", 100),
        ("price for 3 pcs", "300 yuan", 300),
    ],
)
def test_a_whole_price_of_the_pieces_and_that_of_one_may_be_said(asked: str, text: str, yuan: int) -> None:
    output = ModelOutput(action="reply", text=text, offered_fen=yuan * 100)
    held = [one for one in check(output, facts(buyer_text=asked, floor_fen=None, price_fen=10_000)) if not one.passed]
    assert held == []


def test_an_answer_that_points_back_to_a_low_offer_accepts_it() -> None:
    turns = (Turn(is_buyer=True, text="60卖吗"), Turn(is_buyer=False, text="100元哦"))
    around: dict[str, Any] = {"turns": turns, "floor_fen": None, "price_fen": 10_000}
    asked = facts(**around, buyer_text="刚才我说的那个价真不行？")
    for text in ("那就行", "那就行吧", "就按您开始说的吧", "按最开始那个价吧", "依您之前的", "可以的"):
        output = ModelOutput(action="reply", text=text, offered_fen=None)
        assert Why.AGREED in {one.why for one in check(output, asked)}, text
    thinking = facts(**around, buyer_text="真的不能再考虑一下吗")
    for text in ("就按您开始说的吧", "依您之前的", "your first offer it is"):
        output = ModelOutput(action="reply", text=text, offered_fen=None)
        assert Why.AGREED in {one.why for one in check(output, thinking)}, text
    for text, known in (
        ("不好意思，这个价卖不了", asked),
        ("最低100元哦", asked),
        ("在的，可以直接拍", facts(**around, buyer_text="那我拍了")),
    ):
        output = ModelOutput(action="reply", text=text, offered_fen=None)
        assert [one for one in check(output, known) if not one.passed] == [], text
    seen = facts(**around | {"turns": (Turn(is_buyer=False, text="100元哦"),)}, buyer_text="刚才那个价还有吗")
    output = ModelOutput(action="reply", text="有的，可以直接拍", offered_fen=None)
    assert [one for one in check(output, seen) if not one.passed] == [], "nobody named a low one"

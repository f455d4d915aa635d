"""The output filter: what it names is found in every writing, and what sellers usually say is not."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest

from shoal.errors import InvalidInput
from shoal.rules.contact_details import links_in
from shoal.rules.money_amounts import amounts_in, number_of
from shoal.rules.output_filter import MOST_WORDS, OutputFilter
from support.messages.filter_texts import FLOOR_FEN, HARMLESS, PATTERN, named

FULL = OutputFilter(contacts=True, links=True, patterns=PATTERN, floor_fen=FLOOR_FEN)


def test_2000_made_up_texts_are_all_found() -> None:
    rng = Random(22)
    missed = [text for text in (named(rng) for _ in range(2_000)) if not FULL.words_in([text])]
    assert missed == []


@pytest.mark.parametrize(("floor_fen", "price"), [(2_000, "20"), (1_999, "19.99"), (100, "1"), (123_400, "1234")])
def test_g17_the_lowest_price_itself_may_be_said_and_a_fen_less_may_not(floor_fen: int, price: str) -> None:
    floor = OutputFilter(contacts=False, links=False, patterns="", floor_fen=floor_fen)
    less, more = (f"{(floor_fen + step) / 100:.2f}" for step in (-1, 1))
    for form in ("{}元", "¥{}", "最低{}块", "{}RMB"):
        assert floor.words_in([form.format(price)]) == (), form
        assert floor.words_in([form.format(more)]) == (), form
        assert floor.words_in([form.format(less)]), form


@pytest.mark.parametrize("text", HARMLESS)
def test_what_sellers_usually_say_passes(text: str) -> None:
    assert FULL.words_in([text]) == ()


def test_it_says_what_it_found_and_names_a_few() -> None:
    assert FULL.words_in(["加我微信，或者 QQ12345"]) == ("加我微", "qq")
    assert FULL.words_in(["代刷 15元 http://user@evil.example/x"]) == ("user@evil.example", PATTERN, "15元")
    assert len(FULL.words_in([" ".join(f"1380013800{digit}" for digit in range(9))])) == MOST_WORDS


def test_the_console_s_examples_hold_back_what_they_say() -> None:
    own = OutputFilter(contacts=False, links=False, patterns="加我\n加.*薇\nadd me\nadd .* on WhatsApp", floor_fen=None)
    texts = ("请加我好友", "加一下薇", "please Add me", "add us on whatsapp", "加一件吧")
    assert [own.words_in([text]) for text in texts] == [
        ("加我",), ("加.*薇",), ("add me",), ("add .* on WhatsApp",), (),
    ]  # fmt: skip


def test_a_number_does_not_leave_in_two_messages() -> None:
    assert FULL.words_in(["我的号码 138001", "38000"])


@pytest.mark.parametrize(
    "text",
    ["微🌸信", "w⭐x abc", "ⓥⓧ", "🅥🅧 abc", "🇶🇶", "ẃẍ abc", "1️⃣3️⃣8️⃣0️⃣0️⃣1️⃣3️⃣8️⃣0️⃣0️⃣0️⃣", "①③⑧⓪⓪①③⑧⓪⓪⓪", "❶❸❽⓿⓿❶❸❽⓿⓿⓿",
     "ⅠⅢⅧ00138000", "138🍀0013🍀8000", "订单1📞13800138000", "éxample🍎.com", "加💬群"],
)  # fmt: skip
def test_pictures_marks_and_other_forms_of_letters_hide_nothing(text: str) -> None:
    assert FULL.words_in([text])


def test_a_product_named_like_a_messenger_passes_and_an_invitation_with_its_name_does_not() -> None:
    for product in ("支持微信登录", "可以用微信支付", "QQ音乐会员，QQ登录"):
        assert FULL.words_in([product]) == (), product
    for other in (
        "微信支付给我",
        "微信支付宝都行",
        "加微信支付",
        "加一下QQ登录",
        "微信登录：abc123",
        "微信登录，微信聊",
    ):
        assert FULL.words_in([other]), other


def test_a_link_of_the_site_passes_and_one_that_only_looks_like_it_does_not() -> None:
    links = OutputFilter(contacts=False, links=True, patterns="", floor_fen=None)
    for allowed in ("https://www.goofish.com/item?id=1", "m.tb.cn/h.abc", "见 taobao.com 。"):
        assert links.words_in([allowed]) == ()
    for other in ("https://goofish.com.evil.cn/", "https://www.goofish.com@evil.example/", "notgoofish.com"):
        assert links.words_in([other]) != ()
    assert list(links_in("见 xhs。com。")) == ["xhs.com"]


def test_what_is_off_finds_nothing() -> None:
    off = OutputFilter(contacts=False, links=False, patterns="", floor_fen=None)
    assert not off.is_on
    assert off.words_in(["加微信 13800138000 http://evil.example 1元"]) == ()


def test_a_pattern_that_cannot_be_used_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput) as refused:
        OutputFilter(contacts=False, links=False, patterns="好\n(", floor_fen=None)
    assert (refused.value.code, refused.value.params["pattern"]) == ("bad_pattern", "(")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", "12"), ("1,200", "1200"), ("1.2万", "12000"), ("3k", "3000"), ("十二", "12"), ("一百二", "120"),
        ("两百五十", "250"), ("一千零五", "1005"), ("两万三", "23000"), ("一点五", "1.5"), ("三千五百", "3500"),
        ("二五", "25"),
    ],
)  # fmt: skip
def test_numbers_are_read_as_they_are_said(text: str, value: str) -> None:
    assert number_of(text) == Decimal(value)


def test_amounts_have_a_word_or_sign_of_money() -> None:
    assert list(amounts_in("三块五 ¥12.5 两件 20元")) == [(350, "三块五"), (1250, "¥12.5"), (2000, "20元")]
    assert list(amounts_in("一块儿走 5毛钱")) == [(50, "5毛钱")]

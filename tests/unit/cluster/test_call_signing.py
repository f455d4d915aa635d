"""A call of a node is believed once, by the node and the life it was made for, and while it is fresh."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from shoal.cluster import call_signing
from shoal.cluster.call_signing import PURPOSE, VALID_MS, CallSigner, NotSigned
from shoal.storage.vault import Vault

OLD, NEW = b"o" * 32, b"n" * 32
BODY = b'{"account": "shop"}'


class Clock:
    """The database's clock."""

    now = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def a_signer(clock: Clock, keys: Sequence[bytes] = (NEW,)) -> CallSigner:
    vault = Vault(list(keys))
    return CallSigner(lambda: vault.derived(PURPOSE), clock)


def test_a_call_is_believed_and_its_answer_too(clock: Clock) -> None:
    asks, answers = a_signer(clock), a_signer(clock)
    header, number = asks.signed("send", BODY, to="b", to_inc=3, by="a")
    key, heard = answers.check(header, "send", BODY, me="b", my_inc=3)
    assert heard == number
    answer = answers.answer(key, heard, b"{}")
    assert asks.is_answer(answer, number, b"{}")
    assert not asks.is_answer(answer, number, b"{ }")
    assert not asks.is_answer(answer, "another number", b"{}")
    assert not asks.is_answer("", number, b"{}")


def test_nothing_else_is_believed(clock: Clock) -> None:
    asks, answers = a_signer(clock), a_signer(clock)
    header, _ = asks.signed("send", BODY, to="b", to_inc=3, by="a")
    facts = json.loads(header)
    later = json.dumps([*facts[:3], facts[3] + 1, *facts[4:]])
    for wrong in (
        {"operation": "look"},
        {"body": BODY + b" "},
        {"me": "c"},
        {"my_inc": 4},
        {"header": later},
        {"header": ""},
        {"header": "{}"},
        {"header": "[1, 2]"},
        {"header": json.dumps([*facts[:5], None])},
        {"header": json.dumps([*facts[:2], float("inf"), *facts[3:]])},
        {"header": "[" * 9_999},
    ):
        call = {"header": header, "operation": "send", "body": BODY, "me": "b", "my_inc": 3} | wrong
        with pytest.raises(NotSigned):
            answers.check(**call)  # type: ignore[arg-type]  # the values fit, mypy sees a union
    answers.check(header, "send", BODY, me="b", my_inc=3)


@pytest.mark.parametrize("place", range(6))
def test_g16_half_a_surrogate_pair_in_the_header_of_a_call_is_refused(clock: Clock, place: int) -> None:
    asks, answers = a_signer(clock), a_signer(clock)
    header, _ = asks.signed("send", BODY, to="b", to_inc=3, by="a")
    facts = json.loads(header)
    facts[place] = "\ud800"
    with pytest.raises(NotSigned):
        answers.check(json.dumps(facts), "send", BODY, me="b", my_inc=3)
    assert not asks.is_answer("\ud800", "n", BODY)


def test_a_call_is_believed_once_and_not_when_it_comes_late(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    asks, answers = a_signer(clock), a_signer(clock)
    header, _ = asks.signed("send", BODY, to="b", to_inc=3, by="a")
    answers.check(header, "send", BODY, me="b", my_inc=3)
    with pytest.raises(NotSigned, match="twice"):
        answers.check(header, "send", BODY, me="b", my_inc=3)
    late, _ = asks.signed("send", BODY, to="b", to_inc=3, by="a")
    clock.now += VALID_MS
    with pytest.raises(NotSigned, match="late"):
        answers.check(late, "send", BODY, me="b", my_inc=3)
    monkeypatch.setattr(call_signing, "MOST_NUMBERS", 1)
    fresh, _ = asks.signed("send", BODY, to="b", to_inc=3, by="a")
    answers.check(fresh, "send", BODY, me="b", my_inc=3)  # the old number was forgotten
    more, _ = asks.signed("send", BODY, to="b", to_inc=3, by="a")
    with pytest.raises(NotSigned):
        answers.check(more, "send", BODY, me="b", my_inc=3)


def test_while_the_key_is_replaced_a_node_believes_those_whose_key_it_has(clock: Clock) -> None:
    both, old, new = a_signer(clock, (NEW, OLD)), a_signer(clock, (OLD,)), a_signer(clock, (NEW,))
    header, number = old.signed("send", BODY, to="b", to_inc=3, by="a")
    key, _ = both.check(header, "send", BODY, me="b", my_inc=3)
    assert old.is_answer(both.answer(key, number, b"{}"), number, b"{}")
    with pytest.raises(NotSigned):
        new.check(header, "send", BODY, me="b", my_inc=3)
    assert not set(Vault([NEW]).derived(PURPOSE)) & {NEW, *Vault([OLD]).derived(PURPOSE), *Vault([NEW]).derived("x")}

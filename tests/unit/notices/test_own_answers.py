"""An answer that Shoal gave is read in the reader's language; that of a service stays as it came."""

from __future__ import annotations

import pytest

from shoal.language.catalogue import say
from shoal.language.choice import Language
from shoal.notices.own_answers import answer_in


@pytest.mark.parametrize("stored", list(Language))
@pytest.mark.parametrize("read", list(Language))
@pytest.mark.parametrize("key", ["refused", "unreached", "not_sent", "no_answer", "busy", "gone", "push_gone"])
def test_an_own_answer_is_in_the_readers_language(key: str, stored: Language, read: Language) -> None:
    said = say(f"channels.{key}", stored, host="push.example.com")
    assert answer_in(read, said) == say(f"channels.{key}", read, host="push.example.com")


@pytest.mark.parametrize("answer", ["", "keywords not in content", "Could not reach", "连不上"])
def test_the_answer_of_a_service_stays_as_it_came(answer: str) -> None:
    assert answer_in(Language.EN, answer) == answer

"""Sentences come from the catalogue of the reader's language, filled in."""

from __future__ import annotations

import pytest

from shoal.language import catalogue
from shoal.language.catalogue import knows, translate
from shoal.language.choice import Language


@pytest.fixture
def one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"a.days": "In {count:day|days}, {who}.", "a.length": "{minutes::h|min}"}
    monkeypatch.setattr(catalogue, "_loaded", lambda _language, _name: texts)


def test_a_sentence_is_in_the_readers_language() -> None:
    assert translate("qr_login.cancelled", Language.ZH) == "登录已取消。"
    assert translate("qr_login.cancelled", Language.EN) == "The login was cancelled."


def test_a_key_without_a_sentence_is_an_error() -> None:
    assert not knows("qr_login.unheard_of")
    assert not knows("no_such_file.key")
    with pytest.raises(KeyError):
        translate("no_such_file.key", Language.ZH)


@pytest.mark.usefixtures("one_sentence")
@pytest.mark.parametrize(("count", "text"), [(0, "0 days"), (1, "1 day"), (2, "2 days")])
def test_a_number_chooses_its_form(count: int, text: str) -> None:
    assert translate("a.days", Language.EN, count=count, who="you") == f"In {text}, you."


@pytest.mark.usefixtures("one_sentence")
def test_a_param_that_is_not_given_is_left_empty() -> None:
    assert translate("a.days", Language.EN) == "In , ."


@pytest.mark.usefixtures("one_sentence")
@pytest.mark.parametrize(
    ("minutes", "text"), [(0, "0 min"), (59, "59 min"), (60, "1 h"), (61, "1 h 1 min"), (1439, "23 h 59 min")]
)
def test_minutes_become_hours_and_minutes(minutes: int, text: str) -> None:
    assert translate("a.length", Language.EN, minutes=minutes) == text
    assert translate("a.length", Language.EN) == ""

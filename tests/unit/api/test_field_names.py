"""Errors about a setting call it as the console does, in both languages, and the answer still names the field."""

from __future__ import annotations

import pytest

from shoal.accounts.edits import ITEM_SETTINGS
from shoal.accounts.shop_settings import SETTINGS
from shoal.api.http.problem_table import PROBLEMS
from shoal.assistant.providers import changed_values
from shoal.errors import InvalidInput
from shoal.goods.suppliers import Supplier
from shoal.language.catalogue import knows, translate
from shoal.language.choice import Language

ABOUT_FIELDS = sorted(code for code, row in PROBLEMS.items() if row.codes == "fields")
WRONG: tuple[object, ...] = (object(), -1, 2**70)
"""Values that no setting may have."""


def test_every_setting_of_which_an_error_tells_has_a_name() -> None:
    told: set[str] = set()
    for name, check in {**{name: one.checked for name, one in SETTINGS.items()}, **ITEM_SETTINGS}.items():
        for value in WRONG:
            try:
                check(value, name)
            except InvalidInput as error:
                told |= {str(error.params["field"])} if "field" in error.params else set()
            except (TypeError, AttributeError):
                continue  # the shape is checked before
    assert {"ai_tokens_per_day", "floor_fen", "buyer_replies_per_hour", "auto_confirm"} <= told
    told |= {*Supplier.__struct_fields__, "per_message", "low_at", "uses_each"}
    told |= {"price_in_fen", "price_out_fen", "calls_per_minute", "fen_per_day", "name", "model", "value", "proxy"}
    assert {name for name in {*told, *SETTINGS} if not knows(f"fields.{name}")} == set()


@pytest.mark.parametrize("code", ABOUT_FIELDS)
def test_an_error_says_the_name_and_not_the_field(code: str) -> None:
    row = PROBLEMS[code]
    params = {"field": "ai_tokens_per_day", "limit": 9, "least": 1, "most": 9, "low": 1, "high": 9, "name": "x"}
    shown = row.shown(params)
    for language in Language:
        sentence = row.sentence(language, shown)
        assert translate("fields.ai_tokens_per_day", language) in sentence
        assert "ai_tokens" not in sentence
        assert "a_field_of_its_own" in row.sentence(language, {**shown, "field": "a_field_of_its_own"})
    assert shown["field"] == "ai_tokens_per_day", "programs read the field"


def test_the_numbers_of_a_provider_are_told_with_their_names() -> None:
    values = {"name": "n", "model": "m", "base_url": "https://a.example", "key": "k"}
    for name in ("price_in_fen", "price_out_fen", "calls_per_minute", "fen_per_day"):
        with pytest.raises(InvalidInput) as caught:
            changed_values(None, {}, {**values, name: -1})
        assert caught.value.params["field"] == name
        assert knows(f"fields.{name}")

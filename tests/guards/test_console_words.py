"""The console has texts in both languages for every reason that the server names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.accounts.account import SCALAR_FIELDS, ParkReason, StopReason
from shoal.accounts.shop_settings import SETTINGS
from shoal.api.schemas.orders import OrderStatusShape
from shoal.assistant import rail_facts
from shoal.auth.audit_entries import AuditEvent
from shoal.language.catalogue import ROOT, read_catalogue
from shoal.orders.order_store import Action, ActionState, Why

SOURCES = Path(__file__).parents[2] / "web" / "src"


def _names(file: str, group: str, language: str) -> set[str]:
    """Return the keys of one group of texts in one language."""
    text = (SOURCES / f"{file}.ts").read_text()
    text = text[text.index(f"const {language}") :]
    found = re.search(rf"\n  {group}: \{{\n(.*?)\n  \}},\n", text, re.DOTALL)
    assert found is not None, group
    return set(re.findall(r"^    (\w+):", found[1], re.MULTILINE))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_reason_has_words(language: str) -> None:
    retried = {key.removeprefix("retry.") for key in read_catalogue(ROOT / "zh") if key.startswith("retry.")}
    assert "unreachable" in retried
    assert {*ParkReason, *StopReason, *retried} - _names("accounts/texts", "reason", language) == set()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_kind_of_security_event_has_words(language: str) -> None:
    assert {*AuditEvent} - _names("settings/securityTexts", "kinds", language) == set()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_reason_of_a_held_back_answer_has_words(language: str) -> None:
    shown_as_bad_output = {"unreadable"}
    assert {*rail_facts.Why} - _names("assistant/runTexts", "why", language) - shown_as_bad_output == set()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_field_of_the_history_has_a_name(language: str) -> None:
    of_the_program = {"owner_id", "created_at_ms"}  # they are only in the entry of an added account
    named = {*SETTINGS, *_names("common/texts", "fields", language)}
    assert {*SCALAR_FIELDS, "keywords", "items"} - named == of_the_program


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_stage_and_outcome_of_an_order_has_words(language: str) -> None:
    assert {*OrderStatusShape} - _names("orders/texts", "states", language) == set()
    assert {*ActionState} - _names("orders/stepTexts", "actState", language) == set()
    switched_off = {"auto_confirm_off", "free_shipping_off"}
    assert {*Why, *switched_off} - _names("orders/stepTexts", "why", language) == set()
    assert set(Action) == {"free_shipping", "paid_message", "confirm"}, "the console knows these steps, in this order"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_fact_of_the_audit_log_has_a_name_or_is_left_out(language: str) -> None:
    of_the_entry = {"actor", "user_id", "origin", "outcome", "account", "by"}
    found = set(_facts_of_the_audit_log()) - of_the_entry
    assert {"consented_host", "provider_id", "role"} <= found
    omitted = re.search(r"OMITTED.*?\[(.*?)\]", (SOURCES / "settings/auditWords.ts").read_text(), re.DOTALL)
    assert omitted is not None
    named = _names("settings/securityTexts", "facts", language)
    assert found - named - set(re.findall(r"'(\w+)'", omitted[1])) == set()


def _facts_of_the_audit_log() -> Iterator[str]:
    """Yield the names of what the code records beside who, when and what."""
    for file in (SOURCES.parents[1] / "src" / "shoal").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and _records(node):
                yield from (keyword.arg for keyword in node.keywords if keyword.arg)


def _records(call: ast.Call) -> bool:
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    return any(ast.unparse(one).startswith("AuditEvent.") for one in given) or (
        isinstance(call.func, ast.Attribute) and ast.unparse(call.func).endswith("audit_log.record")
    )

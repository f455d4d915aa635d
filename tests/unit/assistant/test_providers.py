"""The settings of a provider: what may be stored, what a new host ends, and where a call goes."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.assistant.providers import (
    MOST_KEY,
    MOST_URL,
    ProviderKind,
    Target,
    changed_values,
    checked_base_url,
    host_of,
)
from shoal.errors import Conflict, InvalidInput
from support.models.model_steps import KEY, a_target

GOOD: dict[str, Any] = {"name": "m", "base_url": "https://api.example.com/v1", "key": "sk-1", "model": "tiny"}


def code_of(values: dict[str, Any], before: dict[str, Any] | None = None, secrets: dict[str, str] | None = None) -> str:
    with pytest.raises(InvalidInput) as refused:
        changed_values(before, secrets or {}, values)
    return refused.value.code


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"base_url": "ftp://api.example.com"}, "provider_url"),
        ({"base_url": "https://me:secret@api.example.com/v1"}, "provider_url"),
        ({"base_url": "https://api.example.com/v1?key=secret"}, "provider_url"),
        ({"base_url": "https://api.example.com/v1#x"}, "provider_url"),
        ({"base_url": "https://api.example.com:99999/v1"}, "provider_url"),
        ({"base_url": "https://api.exämple.com/v1"}, "provider_url"),
        ({"base_url": f"https://api.example.com/{'v' * MOST_URL}"}, "provider_url"),
        ({"base_url": ""}, "provider_url"),
        ({"key": "sk\r\nX-Evil: 1"}, "provider_key"),
        ({"key": "密钥"}, "provider_key"),
        ({"key": "k" * (MOST_KEY + 1)}, "provider_key"),
        ({"name": "  "}, "provider_text"),
        ({"model": ""}, "provider_text"),
        ({"price_in_fen": -1}, "provider_number"),
        ({"calls_per_minute": 0}, "provider_number"),
        ({"fen_per_day": -1}, "provider_number"),
        ({"consented_host": "api.example.org"}, "provider_consent"),
    ],
)
def test_what_is_no_setting_is_refused(values: dict[str, Any], code: str) -> None:
    assert code_of({**GOOD, **values}) == code


def test_an_agent_needs_no_model_and_a_local_server_no_key() -> None:
    columns, secrets = changed_values(None, {}, {**GOOD, "kind": "agent", "model": "", "key": ""})
    assert (columns["kind"], columns["model"], secrets["key"]) == (ProviderKind.AGENT, "", "")


def test_a_new_host_ends_the_agreement_and_takes_no_stored_key_along() -> None:
    before, secrets = changed_values(None, {}, {**GOOD, "consented_host": "api.example.com"})
    assert before["consented_host"] == "api.example.com"
    same, kept = changed_values(before, secrets, {"base_url": "https://api.example.com/v2"})
    assert (same["consented_host"], kept["key"]) == ("api.example.com", "sk-1"), "the same host"
    for elsewhere in ("https://evil.example/v1", "https://api.example.com:8443/v1", "http://api.example.com/v1"):
        assert code_of({"base_url": elsewhere}, before, secrets) == "provider_key"
        moved, fresh = changed_values(before, secrets, {"base_url": elsewhere, "key": "sk-2"})
        assert (moved["consented_host"], fresh["key"]) == ("", "sk-2")
    again, _ = changed_values(
        before, secrets, {"base_url": "https://b.example", "key": "", "consented_host": "b.example"}
    )
    assert again["consented_host"] == "b.example", "a change may agree to the host that it names"
    ended, _ = changed_values(before, secrets, {"consented_host": ""})
    assert ended["consented_host"] == ""


@pytest.mark.parametrize(
    ("url", "base"),
    [
        (" https://api.example.com/v1/ ", "https://api.example.com/v1"),
        ("https://api.example.com/v1/chat/completions", "https://api.example.com/v1"),
        ("http://[::1]:11434/v1", "http://[::1]:11434/v1"),
    ],
)
def test_an_address_is_stored_in_one_form(url: str, base: str) -> None:
    assert checked_base_url(url) == base


def test_without_encryption_a_host_is_another_one() -> None:
    assert host_of("https://API.example.com:8443/v1") == "api.example.com:8443"
    assert host_of("http://api.example.com/v1") == "http://api.example.com"


def test_nothing_of_a_secret_stands_in_what_is_printed() -> None:
    target: Target = a_target("http://127.0.0.1:1")
    assert KEY not in repr(target)
    assert "/v1" not in repr(target)
    with pytest.raises(Conflict) as refused:
        a_target("http://127.0.0.1:1", agreed=False).provider.require_consent()
    assert refused.value.code == "no_consent"

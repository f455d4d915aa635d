"""The code of the page on webhooks, in both languages of it, takes what is signed here and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from shoal.accounts.positions import EventId, Stream
from shoal.errors import InvalidInput
from shoal.streams.stored_events import StoredEvent
from shoal.webhooks.posted_bodies import body_of, name_of
from shoal.webhooks.webhook_calls import _headers
from shoal.webhooks.webhooks import Target, checked_event, checked_secret, new_secret

PAGES = [Path(__file__).parents[3] / "docs" / "howto" / name for name in ("webhooks.md", "webhooks.en.md")]
EVENT = StoredEvent(
    id=EventId(Stream.MESSAGES, 4051),
    kind="message",
    type="message.received",
    at_ms=1_767_323_045_000,
    account_id="shop",
    facts={"text": "在吗 \N{GRINNING FACE}", "created_at_ms": 1},
)
Check = Callable[[str, dict[str, str], bytes], bool]


def _block(page: Path, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def _in_python(page: Path) -> Check:
    names: dict[str, Any] = {}
    exec(_block(page, "python"), names)  # noqa: S102  the page's own code
    check: Check = names["is_from_shoal"]
    return check


def _in_node(page: Path) -> Check:
    node = shutil.which("node")
    assert node is not None, "the console is built with it"

    def check(secret: str, headers: dict[str, str], body: bytes) -> bool:
        asked = f"isFromShoal({json.dumps(secret)}, {json.dumps(headers)}, Buffer.from({body.hex()!r}, 'hex'))"
        code = f"{_block(page, 'js')}\nprocess.stdout.write(String({asked}))"
        said = subprocess.run([node, "-e", code], capture_output=True, text=True, check=True, timeout=60)
        return said.stdout == "true"

    return check


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
@pytest.mark.parametrize("made", [_in_python, _in_node])
def test_the_code_of_the_page_takes_what_is_signed_and_nothing_else(page: Path, made: Callable[[Path], Check]) -> None:
    check, secret, body = made(page), new_secret(), body_of(EVENT)
    headers = _headers(Target("https://x.example", secret), name_of(EVENT), int(time.time() * 1000), body)
    headers = {name.lower(): value for name, value in headers.items()}
    assert check(secret, headers, body)
    assert check(secret, {**headers, "webhook-signature": f"v1,AAAA {headers['webhook-signature']}"}, body)
    assert not check(new_secret(), headers, body)
    assert not check(secret, headers, body + b" ")
    assert not check(secret, {**headers, "webhook-id": "m1-1"}, body)
    old = _headers(Target("https://x.example", secret), name_of(EVENT), int(time.time() - 301) * 1000, body)
    assert not check(secret, old, body)


def test_g9_a_webhook_is_signed_as_the_examples_of_the_specification() -> None:
    for secret, name, at_s, body, signature in (
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_plJ3nmyCDGBKInavdOK15jsl",
            "msg_loFOjxBNrRLzqYUf",
            1_731_705_121,
            b'{"event_type":"ping","data":{"success":true}}',
            "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
        ),
    ):
        headers = _headers(Target("https://x.example", secret), name, at_s * 1000, body)
        assert headers["webhook-signature"] == signature


def test_the_body_names_the_event_as_its_header_does() -> None:
    body = json.loads(body_of(EVENT))
    assert (body["type"], body["timestamp"]) == ("message.received", "2026-01-02T03:04:05.000Z")
    assert body["data"]["event"] == name_of(EVENT) == "m4051-1767323045000"
    assert checked_event(name_of(EVENT)) == checked_event("m4051") == EVENT.id


def test_g11_a_body_that_is_made_from_its_row_each_time_is_the_same_in_later_versions() -> None:
    """Those of orders and incidents are stored; a change of this one is another body for an id that was posted."""
    wanted = (
        '{"type":"message.received","timestamp":"2026-01-02T03:04:05.000Z","data":{"event":"m4051-1767323045000",'
        '"account_id":"shop","text":"在吗 \N{GRINNING FACE}","created_at_ms":1}}'
    )
    assert body_of(EVENT).decode() == wanted
    decided = replace(EVENT, facts={**EVENT.facts, "decision": "replied"})
    assert body_of(decided).decode() == wanted, "what is decided later is left out"


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_!!!", "whsec_" + "A" * 28, "whsec_" + "A" * 92])
def test_a_secret_has_the_form_of_the_specification(text: str) -> None:
    with pytest.raises(InvalidInput):
        checked_secret(text)

"""What can go wrong at the site, as chance has it: names and options of the sandbox's faults."""

from __future__ import annotations

from random import Random
from typing import Any, Final

CALLS: Final = ("token", "consign", "send", "reg", "heartbeat", "getstate", "ackdiff", "history", "conversations")
"""What the site is asked, by the names of its faults."""
STANDS_STILL: Final = "the site stands still"
"""Whatever it is asked, it answers nothing for so many ``seconds``."""


def some_fault(rng: Random) -> tuple[str, dict[str, Any]]:
    """Choose one, with what the sandbox must be told of it."""
    few = rng.randint(1, 3)
    some_seconds = rng.uniform(3, 60)
    choices: list[tuple[str, dict[str, Any]]] = [
        ("token_expired", {"times": few}),
        ("session_expired", {"until_seconds": some_seconds}),
        ("risk_control", {"until_seconds": some_seconds, "order": rng.choice(["validate_first", "rgv_first"])}),
        ("token_refused", {"times": few, "reason": rng.choice(["invalid token", "not auth", "token invalid"])}),
        ("connect_limit", {"times": few, "reason": rng.choice(["connect limit", "too many"])}),
        ("close", {"code": rng.choice([1000, 1001, 1006, 1011]), "when": "now"}),
        ("close", {"code": 1006, "when": rng.choice(["send", "reg", "getstate", "heartbeat"]), "times": few}),
        ("silent_zombie", {"heartbeats": rng.random() < 0.7, "sticky": rng.random() < 0.3}),
        ("duplicate_push", {"times": few, "copies": rng.randint(1, 3)}),
        ("batch_push", {"times": few, "size": rng.randint(2, 6)}),
        ("undecodable_push", {"times": 1}),
        ("delay", {"which": rng.choice(CALLS), "seconds": round(rng.uniform(0.5, 25), 3), "times": few}),
        ("hold", {"which": rng.choice(CALLS), "times": few}),
        (STANDS_STILL, {"seconds": round(rng.uniform(2, 40), 3)}),
        ("send_refused", {"times": few, "reason": "CSI_FORBID"}),
        ("send_timeout", {"times": few, "delivered": rng.random() < 0.5}),
        ("rotate_cookie", {"times": 1, "name": rng.choice(["cookie2", "_tb_token_"])}),
        ("http_500", {"times": few, "which": rng.choice(["token", "consign", "haslogin"])}),
        ("html_answer", {"times": few, "which": rng.choice(["token", "consign"])}),
        ("kickout", {}),
        ("session_remove", {}),
        ("expire", {"what": rng.choice(["login", "im_token", "im_token", "tk", "tk"])}),
        ("policy", {"push_to_latest_only": rng.random() < 0.5}),
    ]
    return rng.choice(choices)

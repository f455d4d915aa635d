"""How the site behaves where its real behaviour is not certain, and how strict it is (docs/sandbox.md)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from shoal.sandbox.strict.rules import STRICT


@dataclass(frozen=True, slots=True)
class Policy:
    """How the site behaves where its real behaviour is not certain (docs/protocol.md §5). Durations in seconds."""

    tk_seconds: int = 86_400
    """lifetime of ``_m_h5_tk``"""
    im_token_seconds: int = 86_400
    """lifetime of an IM access token"""
    dedupe_uuid: bool = True
    """a message that is sent again with the same uuid gets the first id and is not delivered twice"""
    new_token_makes_zombie: bool = True
    """a socket gets no more pushes after its account fetched a newer token for the same device"""
    expired_token_makes_zombie: bool = True
    """a socket gets no more pushes after its token has expired"""
    replays_missed: bool = True
    """``ackDiff`` with an older position in the feed repeats what was not acknowledged since"""
    socket_seconds: int = 0
    """how long the site keeps a socket open before it closes it (1001); 0: without limit.

    The real site is said to close sockets every 10 to 30 minutes.
    """
    session_seconds: int = 0
    """how long a login lasts until ``silentHasLogin`` renews it; 0: without limit"""
    cookie2_by_visit: bool = False
    """``cookie2`` comes with the calls before a QR code (docs/sandbox.md) and not with its confirmation"""
    qr_token: bool = False
    """a confirmed QR login gives a token, and ``login_token/login.do`` the cookies"""
    deletes_tk_elsewhere: bool = False
    """an answer that sets ``_m_h5_tk`` also deletes the one of ``m.goofish.com``"""
    push_to_latest_only: bool = False
    """of several sockets with different devices only the newest gets pushes"""
    rules: frozenset[str] = frozenset()
    """the strict rules in force, by name (docs/sandbox.md)"""
    real_shapes: bool = False
    """pushes, answers and cards have the captured shapes"""
    ready_seconds: float = 0.5
    """how long after "free shipping" the site pushes a bargain's ready card; below 0: only ``pay`` pushes it"""
    oldest_chrome: int = 139
    """the oldest version that a browser of 2026 has"""
    devices_of_login: int = 2
    """how many device ids one login may use"""
    tokens_a_minute: int = 3
    tokens_an_hour: int = 10
    messages_a_second: float = 1.0
    most_characters: int = 2_000

    def view(self) -> dict[str, Any]:
        """Return the policy as JSON."""
        return asdict(self) | {"rules": sorted(self.rules)}


STRICT_LEVERS: Final[dict[str, Any]] = {
    "rules": STRICT,
    "real_shapes": True,
    "cookie2_by_visit": True,
    "deletes_tk_elsewhere": True,
}
"""what ``--strict`` sets"""


def strict_policy(*without: str, also: Iterable[str] = (), **levers: Any) -> Policy:
    """Return the policy of ``--strict``, without some rules and switches, with others and other levers."""
    off = {name: False for name in without if name in STRICT_LEVERS}
    policy = replace(Policy(), **(STRICT_LEVERS | off | levers))
    return replace(policy, rules=policy.rules.union(also) - set(without))

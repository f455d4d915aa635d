"""Recognises who writes in a chat: a user, or the site itself in the form of one (docs/protocol.md §3.8)."""

from __future__ import annotations

from collections.abc import Set
from enum import StrEnum
from typing import Final

CARD_TYPES: Final = frozenset({6, 25, 26, 28, 32})
"""The content types of the site's cards and notices."""

TIPS: Final = 14
"""The content type of a hint between two messages."""

_OFFICIAL_SESSIONS: Final = frozenset({"3", "53"})
_PERSON_SESSIONS: Final = frozenset({"", "1"})
_SHORTEST_PERSON_ID: Final = 6
_CARD_MARK, _TIP_MARK = "msgcard", "msgtips"
_SITE_SOURCE: Final = "C2C:"


class Speaker(StrEnum):
    """Who says a message. Only what a ``person`` says may be answered."""

    PERSON = "person"
    OWN = "own"
    """The account itself: the echo of a message that was sent here, or its owner in the site's own client."""
    CARD = "card"
    """A card or notice of the site. It carries a buyer's id as its sender."""
    TIP = "tip"
    """A hint or an advertisement of the site."""
    OFFICIAL = "official"
    """An account of the site."""
    GROUP = "group"
    """A chat that is not with one person: a group, or a kind of session that is not known."""
    SITE = "site"
    """The site: words that are its own."""


def is_official(session_type: str, sender_id: str) -> bool:
    """Return whether an account of the site speaks, by the kind of its chat or by its short id."""
    return session_type in _OFFICIAL_SESSIONS or (sender_id.isdigit() and len(sender_id) < _SHORTEST_PERSON_ID)


def is_in_a_persons_chat(session_type: str, sender_id: str) -> bool:
    """Return whether a card stands in a chat with one person: only there does the site report an order's steps."""
    return session_type in _PERSON_SESSIONS and not is_official(session_type, sender_id)


def speaker_of(
    *,
    content_types: Set[int],
    session_type: str,
    mark: str,
    source_id: str,
    sender_id: str,
    me: str,
    is_card: bool = False,
    is_known_phrase: bool = False,
) -> Speaker:
    """Return who says a message, by what its frame or its line of the history says about it.

    ``mark`` is ``msgArg1`` of ``extJson``, ``source_id`` that of ``bizTag``; both and ``session_type`` may be empty.
    ``content_types``: what each place says; they differ, and one that speaks of a card is enough. ``is_card``: its
    content is a card. ``is_known_phrase``: its text is one of the site's own. ``needPush`` says nothing: it is "false"
    on buyers' lines too.
    """
    mark, source_id = mark.lower(), source_id.upper()
    if TIPS in content_types or mark == _TIP_MARK:
        return Speaker.TIP
    if is_card or content_types & CARD_TYPES or mark == _CARD_MARK or source_id.startswith(_SITE_SOURCE):
        return Speaker.CARD
    if sender_id == me:
        return Speaker.OWN
    if is_official(session_type, sender_id) or not sender_id.isdigit():  # without a numeric id it cannot be answered
        return Speaker.OFFICIAL
    if session_type not in _PERSON_SESSIONS:
        return Speaker.GROUP
    return Speaker.SITE if is_known_phrase else Speaker.PERSON

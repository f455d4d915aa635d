"""What was decided about a message that came in: nothing vanishes without a word."""

from __future__ import annotations

from enum import StrEnum


class Decision(StrEnum):
    """Why a message was answered, or was not. Stored with it; ``is_final`` tells whether it may still be answered."""

    PENDING = ""
    """Nothing is decided yet."""
    ANSWERED = "answered"
    """A rule (or the item's, or the default reply) answers it; what became of that stands with the sendings."""
    SILENT_RULE = "silent_rule"
    """A rule fired that says nothing: the owner wants it so."""
    NO_RULE = "no_rule"
    """Nothing answers such words."""
    PAUSED = "paused"
    """The owner has the chat, by having spoken there or by hand."""
    HUMAN_ANSWERED = "human_answered"
    """The owner answered it first."""
    BUYER_LIMIT = "buyer_limit"
    """The buyer got as many automatic replies within an hour as the shop allows."""
    SHOP_LIMIT = "shop_limit"
    """The shop sent as many automatic replies within a minute as it allows. It is answered when there is room again, if
    that comes before it has grown old."""
    COOLDOWN = "cooldown"
    """The rule spoke to this buyer a short while ago."""
    SAID_ONCE = "said_once"
    """The chat has had its default reply, which is given once."""
    TOO_OLD = "too_old"
    """It had waited too long when it could have been answered."""
    DISABLED = "disabled"
    """The account was switched off. It is answered all the same if that ends before it has grown old."""
    SYSTEM_TEXT = "system_text"
    """The site's own words; nobody expects an answer."""
    NOTHING_SAID = "nothing_said"
    """No words and no picture that a rule could look at."""
    ECHO = "echo"
    """Our own sending, come back."""
    HUMAN = "human"
    """The owner, speaking in the site's own client."""

    @property
    def is_final(self) -> bool:
        """Whether the message needs nothing more."""
        return self not in {Decision.PENDING, Decision.DISABLED, Decision.SHOP_LIMIT}

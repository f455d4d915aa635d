"""What became of messages since the start: decisions, outcomes of sendings, and how long replies took."""

from __future__ import annotations

from shoal.measures import Histogram, Tally


class MessageCounts:
    """The counts of all accounts."""

    def __init__(self) -> None:
        self.decided = Tally()
        """How many messages got which decision. One that was put off is decided again."""
        self.sent = Tally()
        """How often a sending came to which outcome. One that was uncertain may still turn out to be sent."""
        self.reply_seconds = Histogram(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
        """From the moment an automatic reply was due until the site accepted its last part."""

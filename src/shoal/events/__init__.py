"""What happened, read again from a position on, and posted to the addresses that users named (webhooks)."""

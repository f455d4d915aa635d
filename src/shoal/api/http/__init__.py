"""What stands around every route: callers, idempotency, limits, headers, problems."""

"""What all routes share: caller checks, idempotency, limits, headers, error answers."""

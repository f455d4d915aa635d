"""Network addresses and outbound connections."""

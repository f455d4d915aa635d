"""The JSON that callers send and receive."""

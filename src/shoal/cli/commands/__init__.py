"""The commands that call the API: rows by noun."""

"""Stored events, read in order from a position on, and the events of other nodes."""

"""Incidents, and who is notified of them over which channel."""

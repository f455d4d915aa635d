"""Incidents, and who is told of them over which channel."""

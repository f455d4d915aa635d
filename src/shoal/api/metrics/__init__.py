"""Figures of the server for Prometheus: what it counts of itself, and what the database and the process say."""

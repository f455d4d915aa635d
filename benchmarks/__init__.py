"""Measurements: ``python -m benchmarks.NAME``."""

PARKED = "parked-"
"""The stubbed site (``stub_server``) asks for the owner of an account whose id begins so."""

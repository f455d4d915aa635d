"""Shoal: one server that keeps many Xianyu seller accounts connected, answering and in step."""

__version__ = "0.1.0"

"""Backups: one encrypted file of everything, and the way back from it."""

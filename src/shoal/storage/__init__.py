"""The database and everything stored in it."""

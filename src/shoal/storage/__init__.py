"""The database and everything that is kept in it."""

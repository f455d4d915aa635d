"""Moving in from another system, backups, and the shop as a file."""

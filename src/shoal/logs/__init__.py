"""Log output, and how secrets are kept out of it."""

"""Orders and the irreversible actions on them."""

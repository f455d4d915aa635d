"""One account's connection to the site."""

"""The web console: its page, its sign-in, and the socket that keeps it up to date."""

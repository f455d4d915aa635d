"""The command line talking to a server: what it asks, and how it shows the answer."""

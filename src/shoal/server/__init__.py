"""The server process: assembled, started, stopped."""

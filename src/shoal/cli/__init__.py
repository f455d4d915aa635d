"""The command line: commands, their calls of a server, and the demo."""

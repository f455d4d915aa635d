"""The command line: commands, their questions to a server, and the demo."""

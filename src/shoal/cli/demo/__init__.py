"""The demo: a sandbox, a server, shops and their buyers, all as real processes."""

"""The demo: a sandbox, a server, shops and talk, all as real processes."""

"""The console in a real Chromium, against the real server on a socket."""

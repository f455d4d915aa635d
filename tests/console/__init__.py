"""Tests of the console's side of the server, without a browser."""

"""Small defects drawn by a seed over all sources, each tried against the tests that run its line."""

"""Small defects that no test of their area noticed once, each with the test that notices it now."""

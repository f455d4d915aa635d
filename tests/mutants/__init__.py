"""Small defects that no test once noticed, each with the test that notices it now."""

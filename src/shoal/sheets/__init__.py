"""Tables as files that are written while they are sent, safe in programs that take texts for formulas."""

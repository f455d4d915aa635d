"""Tables in CSV and Excel files: read as texts, and written safe in programs that take texts for formulas."""

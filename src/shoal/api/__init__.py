"""The HTTP door: one file per noun, each with the routes of that noun."""

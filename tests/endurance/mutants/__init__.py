"""Defects put into a copy of the sources, to show that the endurance run sees them."""

"""Fair turns, bounded threads and shared runs of work."""

"""Fair turns, bounded threads and processes, and shared runs of work."""

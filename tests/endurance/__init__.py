"""Hours of faults: the real connection and the real sandbox on virtual time, and real processes for real minutes."""

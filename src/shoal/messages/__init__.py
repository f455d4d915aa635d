"""Messages: received, decided, answered, sent."""

"""Posts events to the addresses that users named, in order, and stores how each attempt ended."""

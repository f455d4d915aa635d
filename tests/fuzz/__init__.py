"""Hostile input: whatever the site, or somebody in its place, may send to the decoders."""

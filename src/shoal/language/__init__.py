"""The sentences that people read: a catalogue for each language, and its loader."""

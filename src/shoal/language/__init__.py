"""Texts: the sentences that people read, a catalogue for each language and its loader; and what counts as equal."""

"""Proofs of the state contract: a model, explored schedules, cancellation everywhere, mutants that must be caught."""

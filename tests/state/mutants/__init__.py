"""Defects put into the state plane on purpose: the proofs must see each of them."""

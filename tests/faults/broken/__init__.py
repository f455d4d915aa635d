"""The program, broken on purpose in one place: what the proofs must see."""

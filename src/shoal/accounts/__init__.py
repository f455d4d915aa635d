"""The state plane: desired state, observed state, and the single path of every change."""

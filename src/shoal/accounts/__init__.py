"""The state plane: what an owner wants, what is happening, and the one path of every change."""

"""``shoal doctor``: looks at what a server needs, on its own machine, whether it runs or not."""

"""Goods: what owners sell by machine, their units, batches and bindings."""

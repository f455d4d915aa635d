"""Moving in: what another system holds, the plan of an import, and the import."""

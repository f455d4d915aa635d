"""The routes, bodies and tables of the system that sellers come from, as views of what Shoal stores."""

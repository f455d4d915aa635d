"""The HTTP API: routes, bodies, and what all routes share."""

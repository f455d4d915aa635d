"""Moving a whole store from SQLite to PostgreSQL or back, on one data directory."""

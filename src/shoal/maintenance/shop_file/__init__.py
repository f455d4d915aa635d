"""The shop as a file: settings, rules, deliveries and staff of accounts, exported and applied again."""

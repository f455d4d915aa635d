"""The items that shops sell: their lists and pages at the site, and what of them is stored."""

"""Rules: which words of a buyer get which answer."""

"""What a strict site refuses: the rules, what each looks at, and the record of what each refused (docs/sandbox.md)."""

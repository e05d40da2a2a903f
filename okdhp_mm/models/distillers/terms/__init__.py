"""Loss terms: one family per file."""

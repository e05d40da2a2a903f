"""Files: safe reading, atomic writing, locks."""

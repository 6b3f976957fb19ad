"""Floor 3: what is older than its period goes, by operations as everything else, a slice at a time (process.py)."""

"""Shadow state: how its versions are made, and a file for each kind of it (`kinds.py` is the table)."""

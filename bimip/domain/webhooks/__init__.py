"""What back ends are told of: see `feed.py`."""

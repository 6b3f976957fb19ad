"""Floor 1, pure: what both ends of a connection must agree on. No codecs, no I/O, no clock.

The server and the SDK import the same rules, so they cannot drift apart: close codes (`close.py`), what a client's
position takes in or drops (`position.py`), what a server may have in flight (`window.py`).
"""

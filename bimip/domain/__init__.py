"""Floor 0, pure: the rules of messaging, as functions over values.

Nothing here waits, reads a clock, draws a random number or knows how a byte is laid out.
"""

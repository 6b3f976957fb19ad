"""What an operator does with a store: check that what it holds fits together, make again what of a damaged one can be,
copy it while it is served, and put a copy back. Nothing here is used while a store serves.
"""

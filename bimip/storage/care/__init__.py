"""What an operator does with a store: check that what it holds fits together, make again what of a damaged one can be,
copy it while it is served, put a copy back, and raise its format. Nothing here is used while a store serves.
"""

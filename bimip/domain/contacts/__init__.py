"""Whom a user knows, and who may see what of whom."""

"""Clients that pass: this project's SDK, and one in plain JavaScript that shares nothing with it."""

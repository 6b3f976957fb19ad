"""Clients that pass: this project's SDK and `bimip.mjs`, and one in plain JavaScript that shares nothing with them."""

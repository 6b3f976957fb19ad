"""BIMIP: a multi-device instant-messaging server."""

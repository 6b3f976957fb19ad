"""Users, their devices and their tokens."""

"""Floor 2: the users, their sessions and devices, and what is delivered to them."""

"""What people tell each other of themselves at this moment, and nobody stores: rules as tables."""

"""Messages enter the logs, the chain covers them, and they expire."""

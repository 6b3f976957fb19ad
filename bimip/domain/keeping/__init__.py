"""What a store notes of itself: which one it is, and what time it has seen."""

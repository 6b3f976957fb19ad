"""Push: devices that are not connected are told that something waits for them."""

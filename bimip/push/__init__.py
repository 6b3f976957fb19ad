"""Floor 3: the gateways by which devices are reached that are not connected, and the key of Web Push."""

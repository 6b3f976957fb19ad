"""The numbers of the model, each a type of its own: an offset is not a version.

Users, devices and conversations have a number in the store (32 bits, never used twice), so that keys stay short
whatever people are called.
"""

from typing import NewType

UserId = NewType("UserId", int)
DeviceId = NewType("DeviceId", int)
ConversationId = NewType("ConversationId", int)

Offset = NewType("Offset", int)
"""A place in one user's log of one partition: 1, 2, 3 … without gaps. 0 is "before the first"."""

ConversationOffset = NewType("ConversationOffset", int)
"""A place in one conversation, the same for everybody in it: 1, 2, 3 …"""

Version = NewType("Version", int)
"""A change of one user's shadow state: increasing; numbers may be missing. 0 is "nothing seen"."""

Stamp = NewType("Stamp", int)
"""A hybrid logical clock stamp (clock.py). A message's `signal_offset` is one."""

Millis = NewType("Millis", int)
"""Milliseconds since 1970, UTC."""

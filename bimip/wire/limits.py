"""How large, how many and how fast. `Hello` tells the client those that concern it."""

from dataclasses import dataclass

from bimip.settings import COUNT, KIB, MIB, seconds, setting, whole


@dataclass(frozen=True, slots=True)
class Limits:
    max_message_bytes: int = setting(64 * KIB, whole(KIB, 16 * MIB))  # one encoded Message
    max_frame_bytes: int = setting(MIB, whole(16 * KIB, 64 * MIB))
    max_eid_bytes: int = 255  # UTF-8
    max_id_bytes: int = 64  # of a device, message, conversation, partition
    window_entries: int = setting(256, whole(1, 65_536))  # sent and not yet acknowledged, per device and partition
    window_bytes: int = setting(MIB, whole(1, 2**62))
    grace_seconds: float = setting(30.0, seconds(0.1, 86_400))
    """Without an ack, until the unacknowledged is sent again."""
    heartbeat_seconds: float = setting(30.0, seconds(0.1, 3600), section="gateway")
    """How often a ping goes out. A peer that is silent for two of them is gone."""
    unanswered_requests: int = setting(64, whole(1, 65_536))  # of one device, before the server stops reading
    max_fetch: int = 256  # messages in one answer
    max_group_members: int = setting(500, whole(2, 5000))
    max_small_group: int = 32  # members up to which receipts and the list of members are state
    max_title_bytes: int = 255  # UTF-8, of a group
    max_batch: int = setting(1024, whole(256, 65_536))  # parts of one Body, messages in one Hello
    edit_seconds: int = setting(172_800, whole(0, 2**31), section="commands")
    """After it was sent, in which its author may edit a message; 0: for ever, as below."""
    delete_seconds: int = setting(172_800, whole(0, 2**31), section="commands")
    """The same for deleting it for everyone."""
    max_reactions: int = 16  # of one user to one message
    # Not told in Hello, because no sensible client meets them.
    redelivery_rounds: int = setting(3, whole(1, 100))  # of what is not acknowledged, until the connection is closed
    max_partitions: int = 64  # in one Hello
    max_devices: int = 256  # addressed by one message
    max_mentions: int = 256
    max_audiences: int = 256
    max_malformed: int = 8
    """Frames in a row that are answered as malformed; the next one ends the connection."""

    @property
    def max_held(self) -> int:
        """Offsets held above a position, and ranges in one ack: a window."""
        return self.window_entries

    def contradictions(self) -> list[str]:
        found = []
        least = self.max_message_bytes + KIB
        if self.max_frame_bytes < least:
            allowed = f"max_message_bytes and {KIB} more ({least})"
            found.append(f"limits.max_frame_bytes is {self.max_frame_bytes}; allowed: {allowed}")
        if self.window_bytes < self.max_message_bytes:
            allowed = f"max_message_bytes ({self.max_message_bytes}) or more"
            found.append(f"limits.window_bytes is {self.window_bytes}; allowed: {allowed}")
        return found

    def told(self) -> dict[str, int]:
        """Those that Hello tells, by the names of `Limits` in the schema."""
        return {
            "max_message_bytes": self.max_message_bytes,
            "max_frame_bytes": self.max_frame_bytes,
            "max_eid_bytes": self.max_eid_bytes,
            "max_id_bytes": self.max_id_bytes,
            "window_entries": self.window_entries,
            "window_bytes": self.window_bytes,
            "grace_period_ms": int(self.grace_seconds * 1000),
            "heartbeat_ms": int(self.heartbeat_seconds * 1000),
            "max_unanswered": self.unanswered_requests,
            "max_fetch": self.max_fetch,
            "max_batch": self.max_batch,
            "max_group_members": self.max_group_members,
            "max_small_group": self.max_small_group,
            "max_title_bytes": self.max_title_bytes,
            "edit_seconds": self.edit_seconds,
            "delete_seconds": self.delete_seconds,
            "max_reactions": self.max_reactions,
        }


@dataclass(frozen=True, slots=True)
class RateSettings:
    """How fast a device, and all devices of a user together, may ask; 0: without limit."""

    device_requests_per_second: int = setting(10_000, COUNT, section="limits", reloads=True)
    device_bytes_per_second: int = setting(16 * MIB, COUNT, section="limits", reloads=True)
    user_requests_per_second: int = setting(20_000, COUNT, section="limits", reloads=True)
    user_bytes_per_second: int = setting(32 * MIB, COUNT, section="limits", reloads=True)
    user_logins_per_second: int = setting(10, COUNT, section="limits", reloads=True)
    rate_burst_seconds: float = setting(2.0, seconds(0.01, 3600), section="limits", reloads=True)

"""How large and how many. `Hello` tells the client those that concern it."""

from dataclasses import dataclass

from bimip.wire import bimip_pb2 as pb

KIB = 1024
SECONDS = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    max_message_bytes: int = 64 * KIB  # one encoded Message
    max_frame_bytes: int = 1024 * KIB
    max_eid_bytes: int = 255  # UTF-8
    max_id_bytes: int = 64  # of a device, message, conversation, partition
    window_entries: int = 256  # sent and not yet acknowledged, per device and partition
    window_bytes: int = 1024 * KIB
    grace_period_ms: int = 30 * SECONDS  # without an ack, until the unacknowledged is sent again
    heartbeat_ms: int = 30 * SECONDS
    max_unanswered: int = 64  # requests of one device in flight before the server stops reading
    max_fetch: int = 256  # messages in one answer
    max_batch: int = 1024  # messages and signals in one Body, messages in one Hello
    # Not told in Hello, because no sensible client meets them.
    max_partitions: int = 64  # in one Hello
    max_devices: int = 256  # addressed by one message
    max_mentions: int = 256
    max_audiences: int = 256

    @property
    def max_held(self) -> int:
        """Offsets held above a position, and ranges in one ack: a window."""
        return self.window_entries

    def to_proto(self) -> pb.Limits:
        return pb.Limits(
            max_message_bytes=self.max_message_bytes,
            max_frame_bytes=self.max_frame_bytes,
            max_eid_bytes=self.max_eid_bytes,
            max_id_bytes=self.max_id_bytes,
            window_entries=self.window_entries,
            window_bytes=self.window_bytes,
            grace_period_ms=self.grace_period_ms,
            heartbeat_ms=self.heartbeat_ms,
            max_unanswered=self.max_unanswered,
            max_fetch=self.max_fetch,
            max_batch=self.max_batch,
        )

# mypy: ignore-errors
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class MessageType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MESSAGE_TYPE_UNSPECIFIED: _ClassVar[MessageType]
    CHAT: _ClassVar[MessageType]
    PUSH_NOTIFICATION: _ClassVar[MessageType]

class MessageStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MESSAGE_STATUS_UNSPECIFIED: _ClassVar[MessageStatus]
    SENT: _ClassVar[MessageStatus]
    DELIVERED: _ClassVar[MessageStatus]
    READ: _ClassVar[MessageStatus]
    FORWARDED: _ClassVar[MessageStatus]
    PLAYED: _ClassVar[MessageStatus]
    STATUS_TYPING: _ClassVar[MessageStatus]
    STATUS_RECORDING: _ClassVar[MessageStatus]
    STATUS_PAUSED: _ClassVar[MessageStatus]
    STATUS_CANCELLED: _ClassVar[MessageStatus]
    STATUS_RESUME: _ClassVar[MessageStatus]
    CALLING: _ClassVar[MessageStatus]
    DECLINE: _ClassVar[MessageStatus]

class CallStep(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CALL_STEP_UNSPECIFIED: _ClassVar[CallStep]
    CALL_OFFER: _ClassVar[CallStep]
    CALL_RINGING: _ClassVar[CallStep]
    CALL_ANSWER: _ClassVar[CallStep]
    CALL_CANDIDATE: _ClassVar[CallStep]
    CALL_HANG_UP: _ClassVar[CallStep]
    CALL_ENDED: _ClassVar[CallStep]

class CallEnd(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CALL_END_UNSPECIFIED: _ClassVar[CallEnd]
    CALL_DECLINED: _ClassVar[CallEnd]
    CALL_ANSWERED_ELSEWHERE: _ClassVar[CallEnd]
    CALL_CANCELLED: _ClassVar[CallEnd]
    CALL_TIMED_OUT: _ClassVar[CallEnd]
    CALL_BUSY: _ClassVar[CallEnd]
    CALL_HUNG_UP: _ClassVar[CallEnd]
    CALL_LOST: _ClassVar[CallEnd]

class Turn(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IN_TURN: _ClassVar[Turn]
    TURN_RESUME: _ClassVar[Turn]
    TURN_FETCH: _ClassVar[Turn]
    REDELIVERED: _ClassVar[Turn]

class GapReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GAP_REASON_UNSPECIFIED: _ClassVar[GapReason]
    EXPIRED: _ClassVar[GapReason]
    SKIPPED: _ClassVar[GapReason]
    DAMAGED: _ClassVar[GapReason]

class FetchKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UNACKNOWLEDGED: _ClassVar[FetchKind]
    LOG: _ClassVar[FetchKind]
    HISTORY: _ClassVar[FetchKind]
    RECEIPTS: _ClassVar[FetchKind]
    BY_SEQ: _ClassVar[FetchKind]
    THREAD: _ClassVar[FetchKind]
    INBOX: _ClassVar[FetchKind]
    HEADS: _ClassVar[FetchKind]
    SYNCED: _ClassVar[FetchKind]

class Start(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    START_UNSPECIFIED: _ClassVar[Start]
    FIRST: _ClassVar[Start]
    HEAD: _ClassVar[Start]
    LAST: _ClassVar[Start]

class ErrorCode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_CODE_UNSPECIFIED: _ClassVar[ErrorCode]
    MALFORMED: _ClassVar[ErrorCode]
    INVALID: _ClassVar[ErrorCode]
    TOO_LARGE: _ClassVar[ErrorCode]
    UNSUPPORTED: _ClassVar[ErrorCode]
    UNAUTHENTICATED: _ClassVar[ErrorCode]
    FORBIDDEN: _ClassVar[ErrorCode]
    NOT_FOUND: _ClassVar[ErrorCode]
    CONFLICT: _ClassVar[ErrorCode]
    OFFSET_BEYOND_HEAD: _ClassVar[ErrorCode]
    RATE_LIMITED: _ClassVar[ErrorCode]
    STORAGE_FULL: _ClassVar[ErrorCode]
    UNAVAILABLE: _ClassVar[ErrorCode]
    UNKNOWN_OUTCOME: _ClassVar[ErrorCode]
    INTERNAL: _ClassVar[ErrorCode]
    OUT_OF_ORDER: _ClassVar[ErrorCode]

class AwarenessStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AWARENESS_STATUS_UNSPECIFIED: _ClassVar[AwarenessStatus]
    ONLINE: _ClassVar[AwarenessStatus]
    OFFLINE: _ClassVar[AwarenessStatus]
    AWAY: _ClassVar[AwarenessStatus]
    BUSY: _ClassVar[AwarenessStatus]
    DND: _ClassVar[AwarenessStatus]
    TYPING: _ClassVar[AwarenessStatus]
    RECORDING: _ClassVar[AwarenessStatus]
    RESUME: _ClassVar[AwarenessStatus]
    PAUSED: _ClassVar[AwarenessStatus]
    CANCELLED: _ClassVar[AwarenessStatus]

class Audience(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AUDIENCE_UNSPECIFIED: _ClassVar[Audience]
    EVERYBODY: _ClassVar[Audience]
    CONTACTS: _ClassVar[Audience]
    NOBODY: _ClassVar[Audience]
MESSAGE_TYPE_UNSPECIFIED: MessageType
CHAT: MessageType
PUSH_NOTIFICATION: MessageType
MESSAGE_STATUS_UNSPECIFIED: MessageStatus
SENT: MessageStatus
DELIVERED: MessageStatus
READ: MessageStatus
FORWARDED: MessageStatus
PLAYED: MessageStatus
STATUS_TYPING: MessageStatus
STATUS_RECORDING: MessageStatus
STATUS_PAUSED: MessageStatus
STATUS_CANCELLED: MessageStatus
STATUS_RESUME: MessageStatus
CALLING: MessageStatus
DECLINE: MessageStatus
CALL_STEP_UNSPECIFIED: CallStep
CALL_OFFER: CallStep
CALL_RINGING: CallStep
CALL_ANSWER: CallStep
CALL_CANDIDATE: CallStep
CALL_HANG_UP: CallStep
CALL_ENDED: CallStep
CALL_END_UNSPECIFIED: CallEnd
CALL_DECLINED: CallEnd
CALL_ANSWERED_ELSEWHERE: CallEnd
CALL_CANCELLED: CallEnd
CALL_TIMED_OUT: CallEnd
CALL_BUSY: CallEnd
CALL_HUNG_UP: CallEnd
CALL_LOST: CallEnd
IN_TURN: Turn
TURN_RESUME: Turn
TURN_FETCH: Turn
REDELIVERED: Turn
GAP_REASON_UNSPECIFIED: GapReason
EXPIRED: GapReason
SKIPPED: GapReason
DAMAGED: GapReason
UNACKNOWLEDGED: FetchKind
LOG: FetchKind
HISTORY: FetchKind
RECEIPTS: FetchKind
BY_SEQ: FetchKind
THREAD: FetchKind
INBOX: FetchKind
HEADS: FetchKind
SYNCED: FetchKind
START_UNSPECIFIED: Start
FIRST: Start
HEAD: Start
LAST: Start
ERROR_CODE_UNSPECIFIED: ErrorCode
MALFORMED: ErrorCode
INVALID: ErrorCode
TOO_LARGE: ErrorCode
UNSUPPORTED: ErrorCode
UNAUTHENTICATED: ErrorCode
FORBIDDEN: ErrorCode
NOT_FOUND: ErrorCode
CONFLICT: ErrorCode
OFFSET_BEYOND_HEAD: ErrorCode
RATE_LIMITED: ErrorCode
STORAGE_FULL: ErrorCode
UNAVAILABLE: ErrorCode
UNKNOWN_OUTCOME: ErrorCode
INTERNAL: ErrorCode
OUT_OF_ORDER: ErrorCode
AWARENESS_STATUS_UNSPECIFIED: AwarenessStatus
ONLINE: AwarenessStatus
OFFLINE: AwarenessStatus
AWAY: AwarenessStatus
BUSY: AwarenessStatus
DND: AwarenessStatus
TYPING: AwarenessStatus
RECORDING: AwarenessStatus
RESUME: AwarenessStatus
PAUSED: AwarenessStatus
CANCELLED: AwarenessStatus
AUDIENCE_UNSPECIFIED: Audience
EVERYBODY: Audience
CONTACTS: Audience
NOBODY: Audience

class MessageScheme(_message.Message):
    __slots__ = ("route", "awareness", "ping_pong", "awareness_visibility", "token_authority", "message", "signal", "push_notification", "location_stream", "body", "error", "logout", "hello", "contact", "command", "state_delta", "fetch", "conversation", "peer_signal", "settings", "snapshot", "devices", "keys", "ref")
    ROUTE_FIELD_NUMBER: _ClassVar[int]
    AWARENESS_FIELD_NUMBER: _ClassVar[int]
    PING_PONG_FIELD_NUMBER: _ClassVar[int]
    AWARENESS_VISIBILITY_FIELD_NUMBER: _ClassVar[int]
    TOKEN_AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    PUSH_NOTIFICATION_FIELD_NUMBER: _ClassVar[int]
    LOCATION_STREAM_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    LOGOUT_FIELD_NUMBER: _ClassVar[int]
    HELLO_FIELD_NUMBER: _ClassVar[int]
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    STATE_DELTA_FIELD_NUMBER: _ClassVar[int]
    FETCH_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    PEER_SIGNAL_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    route: int
    awareness: Awareness
    ping_pong: PingPong
    awareness_visibility: AwarenessVisibility
    token_authority: TokenAuthority
    message: Message
    signal: Signal
    push_notification: PushNotification
    location_stream: LocationStream
    body: Body
    error: ErrorMessage
    logout: Logout
    hello: Hello
    contact: Contact
    command: Command
    state_delta: StateDelta
    fetch: Fetch
    conversation: Conversation
    peer_signal: PeerSignal
    settings: Settings
    snapshot: Snapshot
    devices: Devices
    keys: Keys
    ref: int
    def __init__(self, route: _Optional[int] = ..., awareness: _Optional[_Union[Awareness, _Mapping]] = ..., ping_pong: _Optional[_Union[PingPong, _Mapping]] = ..., awareness_visibility: _Optional[_Union[AwarenessVisibility, _Mapping]] = ..., token_authority: _Optional[_Union[TokenAuthority, _Mapping]] = ..., message: _Optional[_Union[Message, _Mapping]] = ..., signal: _Optional[_Union[Signal, _Mapping]] = ..., push_notification: _Optional[_Union[PushNotification, _Mapping]] = ..., location_stream: _Optional[_Union[LocationStream, _Mapping]] = ..., body: _Optional[_Union[Body, _Mapping]] = ..., error: _Optional[_Union[ErrorMessage, _Mapping]] = ..., logout: _Optional[_Union[Logout, _Mapping]] = ..., hello: _Optional[_Union[Hello, _Mapping]] = ..., contact: _Optional[_Union[Contact, _Mapping]] = ..., command: _Optional[_Union[Command, _Mapping]] = ..., state_delta: _Optional[_Union[StateDelta, _Mapping]] = ..., fetch: _Optional[_Union[Fetch, _Mapping]] = ..., conversation: _Optional[_Union[Conversation, _Mapping]] = ..., peer_signal: _Optional[_Union[PeerSignal, _Mapping]] = ..., settings: _Optional[_Union[Settings, _Mapping]] = ..., snapshot: _Optional[_Union[Snapshot, _Mapping]] = ..., devices: _Optional[_Union[Devices, _Mapping]] = ..., keys: _Optional[_Union[Keys, _Mapping]] = ..., ref: _Optional[int] = ...) -> None: ...

class Identity(_message.Message):
    __slots__ = ("eid", "connection_resource_id", "node")
    EID_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_RESOURCE_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    eid: str
    connection_resource_id: str
    node: str
    def __init__(self, eid: _Optional[str] = ..., connection_resource_id: _Optional[str] = ..., node: _Optional[str] = ...) -> None: ...

class OffsetRange(_message.Message):
    __slots__ = ("to",)
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    to: int
    def __init__(self, to: _Optional[int] = ..., **kwargs) -> None: ...

class Message(_message.Message):
    __slots__ = ("id", "signal_id", "to", "type", "timestamp", "payload", "encryption_type", "encrypted", "signature", "status", "signal_offset", "user_offset", "signal_type", "partition", "devices", "conversation", "conversation_offset", "server_time", "reply_to", "scope", "seq", "audiences", "stamp", "expires_at", "mentions", "erased", "ttl_ms", "group_event", "digest", "edited", "devices_complete", "call_event")
    class AudiencesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTION_TYPE_FIELD_NUMBER: _ClassVar[int]
    ENCRYPTED_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_OFFSET_FIELD_NUMBER: _ClassVar[int]
    USER_OFFSET_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_TYPE_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_OFFSET_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    AUDIENCES_FIELD_NUMBER: _ClassVar[int]
    STAMP_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    MENTIONS_FIELD_NUMBER: _ClassVar[int]
    ERASED_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    GROUP_EVENT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    EDITED_FIELD_NUMBER: _ClassVar[int]
    DEVICES_COMPLETE_FIELD_NUMBER: _ClassVar[int]
    CALL_EVENT_FIELD_NUMBER: _ClassVar[int]
    id: str
    signal_id: str
    to: Identity
    type: int
    timestamp: int
    payload: bytes
    encryption_type: str
    encrypted: str
    signature: str
    status: int
    signal_offset: int
    user_offset: int
    signal_type: int
    partition: str
    devices: _containers.RepeatedCompositeFieldContainer[DeviceAddress]
    conversation: str
    conversation_offset: int
    server_time: int
    reply_to: str
    scope: str
    seq: str
    audiences: _containers.ScalarMap[str, str]
    stamp: int
    expires_at: int
    mentions: _containers.RepeatedScalarFieldContainer[str]
    erased: bool
    ttl_ms: int
    group_event: GroupEvent
    digest: bytes
    edited: int
    devices_complete: bool
    call_event: CallEvent
    def __init__(self, id: _Optional[str] = ..., signal_id: _Optional[str] = ..., to: _Optional[_Union[Identity, _Mapping]] = ..., type: _Optional[int] = ..., timestamp: _Optional[int] = ..., payload: _Optional[bytes] = ..., encryption_type: _Optional[str] = ..., encrypted: _Optional[str] = ..., signature: _Optional[str] = ..., status: _Optional[int] = ..., signal_offset: _Optional[int] = ..., user_offset: _Optional[int] = ..., signal_type: _Optional[int] = ..., partition: _Optional[str] = ..., devices: _Optional[_Iterable[_Union[DeviceAddress, _Mapping]]] = ..., conversation: _Optional[str] = ..., conversation_offset: _Optional[int] = ..., server_time: _Optional[int] = ..., reply_to: _Optional[str] = ..., scope: _Optional[str] = ..., seq: _Optional[str] = ..., audiences: _Optional[_Mapping[str, str]] = ..., stamp: _Optional[int] = ..., expires_at: _Optional[int] = ..., mentions: _Optional[_Iterable[str]] = ..., erased: _Optional[bool] = ..., ttl_ms: _Optional[int] = ..., group_event: _Optional[_Union[GroupEvent, _Mapping]] = ..., digest: _Optional[bytes] = ..., edited: _Optional[int] = ..., devices_complete: _Optional[bool] = ..., call_event: _Optional[_Union[CallEvent, _Mapping]] = ..., **kwargs) -> None: ...

class GroupEvent(_message.Message):
    __slots__ = ("kind", "members", "title", "role", "owner")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[GroupEvent.Kind]
        CREATED: _ClassVar[GroupEvent.Kind]
        ADDED: _ClassVar[GroupEvent.Kind]
        LEFT: _ClassVar[GroupEvent.Kind]
        REMOVED: _ClassVar[GroupEvent.Kind]
        RENAMED: _ClassVar[GroupEvent.Kind]
        ROLE_CHANGED: _ClassVar[GroupEvent.Kind]
    KIND_UNSPECIFIED: GroupEvent.Kind
    CREATED: GroupEvent.Kind
    ADDED: GroupEvent.Kind
    LEFT: GroupEvent.Kind
    REMOVED: GroupEvent.Kind
    RENAMED: GroupEvent.Kind
    ROLE_CHANGED: GroupEvent.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    kind: GroupEvent.Kind
    members: _containers.RepeatedScalarFieldContainer[str]
    title: str
    role: str
    owner: str
    def __init__(self, kind: _Optional[_Union[GroupEvent.Kind, str]] = ..., members: _Optional[_Iterable[str]] = ..., title: _Optional[str] = ..., role: _Optional[str] = ..., owner: _Optional[str] = ...) -> None: ...

class DeviceAddress(_message.Message):
    __slots__ = ("identity", "payload")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    identity: Identity
    payload: bytes
    def __init__(self, identity: _Optional[_Union[Identity, _Mapping]] = ..., payload: _Optional[bytes] = ...) -> None: ...

class Signal(_message.Message):
    __slots__ = ("id", "signal_id", "to", "status", "timestamp", "partition", "signal_offset", "user_offset", "conversation", "conversation_offset", "duplicate", "upto", "offsets", "payload", "call", "step", "end", "sequence", "ttl_ms", "ref")
    ID_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_OFFSET_FIELD_NUMBER: _ClassVar[int]
    USER_OFFSET_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_OFFSET_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    UPTO_FIELD_NUMBER: _ClassVar[int]
    OFFSETS_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    id: str
    signal_id: str
    to: Identity
    status: int
    timestamp: int
    partition: str
    signal_offset: int
    user_offset: int
    conversation: str
    conversation_offset: int
    duplicate: bool
    upto: int
    offsets: _containers.RepeatedCompositeFieldContainer[OffsetRange]
    payload: bytes
    call: str
    step: CallStep
    end: CallEnd
    sequence: int
    ttl_ms: int
    ref: int
    def __init__(self, id: _Optional[str] = ..., signal_id: _Optional[str] = ..., to: _Optional[_Union[Identity, _Mapping]] = ..., status: _Optional[int] = ..., timestamp: _Optional[int] = ..., partition: _Optional[str] = ..., signal_offset: _Optional[int] = ..., user_offset: _Optional[int] = ..., conversation: _Optional[str] = ..., conversation_offset: _Optional[int] = ..., duplicate: _Optional[bool] = ..., upto: _Optional[int] = ..., offsets: _Optional[_Iterable[_Union[OffsetRange, _Mapping]]] = ..., payload: _Optional[bytes] = ..., call: _Optional[str] = ..., step: _Optional[_Union[CallStep, str]] = ..., end: _Optional[_Union[CallEnd, str]] = ..., sequence: _Optional[int] = ..., ttl_ms: _Optional[int] = ..., ref: _Optional[int] = ..., **kwargs) -> None: ...

class CallEvent(_message.Message):
    __slots__ = ("call", "end", "started")
    CALL_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    call: str
    end: CallEnd
    started: int
    def __init__(self, call: _Optional[str] = ..., end: _Optional[_Union[CallEnd, str]] = ..., started: _Optional[int] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("partition", "to", "reason")
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    partition: str
    to: int
    reason: GapReason
    def __init__(self, partition: _Optional[str] = ..., to: _Optional[int] = ..., reason: _Optional[_Union[GapReason, str]] = ..., **kwargs) -> None: ...

class PassedEntry(_message.Message):
    __slots__ = ("offset", "signal_offset", "digest")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_OFFSET_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    offset: int
    signal_offset: int
    digest: bytes
    def __init__(self, offset: _Optional[int] = ..., signal_offset: _Optional[int] = ..., digest: _Optional[bytes] = ...) -> None: ...

class Body(_message.Message):
    __slots__ = ("partition", "after", "upto", "turn", "messages", "gaps", "signals", "states", "commands", "errors", "next_offset", "acknowledged", "complete", "next_cursor", "conversations", "synced", "awareness", "awareness_reset", "locations", "passed", "peer_signals", "ref")
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    UPTO_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    NEXT_OFFSET_FIELD_NUMBER: _ClassVar[int]
    ACKNOWLEDGED_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    CONVERSATIONS_FIELD_NUMBER: _ClassVar[int]
    SYNCED_FIELD_NUMBER: _ClassVar[int]
    AWARENESS_FIELD_NUMBER: _ClassVar[int]
    AWARENESS_RESET_FIELD_NUMBER: _ClassVar[int]
    LOCATIONS_FIELD_NUMBER: _ClassVar[int]
    PASSED_FIELD_NUMBER: _ClassVar[int]
    PEER_SIGNALS_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    partition: str
    after: int
    upto: int
    turn: Turn
    messages: _containers.RepeatedCompositeFieldContainer[Message]
    gaps: _containers.RepeatedCompositeFieldContainer[Gap]
    signals: _containers.RepeatedCompositeFieldContainer[Signal]
    states: _containers.RepeatedCompositeFieldContainer[StateDelta]
    commands: _containers.RepeatedCompositeFieldContainer[Command]
    errors: _containers.RepeatedCompositeFieldContainer[ErrorMessage]
    next_offset: int
    acknowledged: _containers.RepeatedScalarFieldContainer[bool]
    complete: bool
    next_cursor: bytes
    conversations: _containers.RepeatedCompositeFieldContainer[Conversation]
    synced: _containers.RepeatedCompositeFieldContainer[Synced]
    awareness: _containers.RepeatedCompositeFieldContainer[Awareness]
    awareness_reset: bool
    locations: _containers.RepeatedCompositeFieldContainer[LocationStream]
    passed: _containers.RepeatedCompositeFieldContainer[PassedEntry]
    peer_signals: _containers.RepeatedCompositeFieldContainer[PeerSignal]
    ref: int
    def __init__(self, partition: _Optional[str] = ..., after: _Optional[int] = ..., upto: _Optional[int] = ..., turn: _Optional[_Union[Turn, str]] = ..., messages: _Optional[_Iterable[_Union[Message, _Mapping]]] = ..., gaps: _Optional[_Iterable[_Union[Gap, _Mapping]]] = ..., signals: _Optional[_Iterable[_Union[Signal, _Mapping]]] = ..., states: _Optional[_Iterable[_Union[StateDelta, _Mapping]]] = ..., commands: _Optional[_Iterable[_Union[Command, _Mapping]]] = ..., errors: _Optional[_Iterable[_Union[ErrorMessage, _Mapping]]] = ..., next_offset: _Optional[int] = ..., acknowledged: _Optional[_Iterable[bool]] = ..., complete: _Optional[bool] = ..., next_cursor: _Optional[bytes] = ..., conversations: _Optional[_Iterable[_Union[Conversation, _Mapping]]] = ..., synced: _Optional[_Iterable[_Union[Synced, _Mapping]]] = ..., awareness: _Optional[_Iterable[_Union[Awareness, _Mapping]]] = ..., awareness_reset: _Optional[bool] = ..., locations: _Optional[_Iterable[_Union[LocationStream, _Mapping]]] = ..., passed: _Optional[_Iterable[_Union[PassedEntry, _Mapping]]] = ..., peer_signals: _Optional[_Iterable[_Union[PeerSignal, _Mapping]]] = ..., ref: _Optional[int] = ...) -> None: ...

class Synced(_message.Message):
    __slots__ = ("origin", "upto", "head", "missing", "seq")
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    UPTO_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    origin: str
    upto: int
    head: int
    missing: int
    seq: str
    def __init__(self, origin: _Optional[str] = ..., upto: _Optional[int] = ..., head: _Optional[int] = ..., missing: _Optional[int] = ..., seq: _Optional[str] = ...) -> None: ...

class Fetch(_message.Message):
    __slots__ = ("kind", "partition", "to", "limit", "offset", "conversation", "backwards", "seq_from", "seq_to", "cursor", "upto", "reply_to")
    KIND_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    BACKWARDS_FIELD_NUMBER: _ClassVar[int]
    SEQ_FROM_FIELD_NUMBER: _ClassVar[int]
    SEQ_TO_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    UPTO_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    kind: FetchKind
    partition: str
    to: Identity
    limit: int
    offset: int
    conversation: str
    backwards: bool
    seq_from: str
    seq_to: str
    cursor: bytes
    upto: int
    reply_to: str
    def __init__(self, kind: _Optional[_Union[FetchKind, str]] = ..., partition: _Optional[str] = ..., to: _Optional[_Union[Identity, _Mapping]] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ..., conversation: _Optional[str] = ..., backwards: _Optional[bool] = ..., seq_from: _Optional[str] = ..., seq_to: _Optional[str] = ..., cursor: _Optional[bytes] = ..., upto: _Optional[int] = ..., reply_to: _Optional[str] = ..., **kwargs) -> None: ...

class Position(_message.Message):
    __slots__ = ("partition", "offset", "held", "start", "last", "seq")
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    partition: str
    offset: int
    held: _containers.RepeatedCompositeFieldContainer[OffsetRange]
    start: Start
    last: int
    seq: str
    def __init__(self, partition: _Optional[str] = ..., offset: _Optional[int] = ..., held: _Optional[_Iterable[_Union[OffsetRange, _Mapping]]] = ..., start: _Optional[_Union[Start, str]] = ..., last: _Optional[int] = ..., seq: _Optional[str] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("token", "partitions", "epoch", "state_version", "snapshot_id", "snapshot_checksum", "messages", "agent", "identity", "limits", "logs", "results", "server_time", "gaps", "snapshots")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PARTITIONS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    STATE_VERSION_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_ID_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    AGENT_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    GAPS_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    token: str
    partitions: _containers.RepeatedCompositeFieldContainer[Position]
    epoch: int
    state_version: int
    snapshot_id: str
    snapshot_checksum: bytes
    messages: _containers.RepeatedCompositeFieldContainer[Message]
    agent: str
    identity: Identity
    limits: Limits
    logs: _containers.RepeatedCompositeFieldContainer[LogState]
    results: _containers.RepeatedCompositeFieldContainer[HelloResult]
    server_time: int
    gaps: _containers.RepeatedCompositeFieldContainer[Gap]
    snapshots: _containers.RepeatedCompositeFieldContainer[Snapshot]
    def __init__(self, token: _Optional[str] = ..., partitions: _Optional[_Iterable[_Union[Position, _Mapping]]] = ..., epoch: _Optional[int] = ..., state_version: _Optional[int] = ..., snapshot_id: _Optional[str] = ..., snapshot_checksum: _Optional[bytes] = ..., messages: _Optional[_Iterable[_Union[Message, _Mapping]]] = ..., agent: _Optional[str] = ..., identity: _Optional[_Union[Identity, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., logs: _Optional[_Iterable[_Union[LogState, _Mapping]]] = ..., results: _Optional[_Iterable[_Union[HelloResult, _Mapping]]] = ..., server_time: _Optional[int] = ..., gaps: _Optional[_Iterable[_Union[Gap, _Mapping]]] = ..., snapshots: _Optional[_Iterable[_Union[Snapshot, _Mapping]]] = ...) -> None: ...

class LogState(_message.Message):
    __slots__ = ("partition", "first", "head", "floor", "position", "chain")
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    FLOOR_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    partition: str
    first: int
    head: int
    floor: int
    position: int
    chain: bytes
    def __init__(self, partition: _Optional[str] = ..., first: _Optional[int] = ..., head: _Optional[int] = ..., floor: _Optional[int] = ..., position: _Optional[int] = ..., chain: _Optional[bytes] = ...) -> None: ...

class HelloResult(_message.Message):
    __slots__ = ("sent", "error")
    SENT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    sent: Signal
    error: ErrorMessage
    def __init__(self, sent: _Optional[_Union[Signal, _Mapping]] = ..., error: _Optional[_Union[ErrorMessage, _Mapping]] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_message_bytes", "max_frame_bytes", "max_eid_bytes", "max_id_bytes", "window_entries", "window_bytes", "grace_period_ms", "heartbeat_ms", "max_unanswered", "max_fetch", "max_batch", "max_group_members", "max_small_group", "max_title_bytes", "edit_seconds", "delete_seconds", "max_reactions")
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAME_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_EID_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_ID_BYTES_FIELD_NUMBER: _ClassVar[int]
    WINDOW_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    WINDOW_BYTES_FIELD_NUMBER: _ClassVar[int]
    GRACE_PERIOD_MS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_MS_FIELD_NUMBER: _ClassVar[int]
    MAX_UNANSWERED_FIELD_NUMBER: _ClassVar[int]
    MAX_FETCH_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_FIELD_NUMBER: _ClassVar[int]
    MAX_GROUP_MEMBERS_FIELD_NUMBER: _ClassVar[int]
    MAX_SMALL_GROUP_FIELD_NUMBER: _ClassVar[int]
    MAX_TITLE_BYTES_FIELD_NUMBER: _ClassVar[int]
    EDIT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    DELETE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_REACTIONS_FIELD_NUMBER: _ClassVar[int]
    max_message_bytes: int
    max_frame_bytes: int
    max_eid_bytes: int
    max_id_bytes: int
    window_entries: int
    window_bytes: int
    grace_period_ms: int
    heartbeat_ms: int
    max_unanswered: int
    max_fetch: int
    max_batch: int
    max_group_members: int
    max_small_group: int
    max_title_bytes: int
    edit_seconds: int
    delete_seconds: int
    max_reactions: int
    def __init__(self, max_message_bytes: _Optional[int] = ..., max_frame_bytes: _Optional[int] = ..., max_eid_bytes: _Optional[int] = ..., max_id_bytes: _Optional[int] = ..., window_entries: _Optional[int] = ..., window_bytes: _Optional[int] = ..., grace_period_ms: _Optional[int] = ..., heartbeat_ms: _Optional[int] = ..., max_unanswered: _Optional[int] = ..., max_fetch: _Optional[int] = ..., max_batch: _Optional[int] = ..., max_group_members: _Optional[int] = ..., max_small_group: _Optional[int] = ..., max_title_bytes: _Optional[int] = ..., edit_seconds: _Optional[int] = ..., delete_seconds: _Optional[int] = ..., max_reactions: _Optional[int] = ...) -> None: ...

class StateDelta(_message.Message):
    __slots__ = ("after", "upto", "reset", "complete", "items", "ref")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    UPTO_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    after: int
    upto: int
    reset: bool
    complete: bool
    items: _containers.RepeatedCompositeFieldContainer[StateItem]
    ref: int
    def __init__(self, after: _Optional[int] = ..., upto: _Optional[int] = ..., reset: _Optional[bool] = ..., complete: _Optional[bool] = ..., items: _Optional[_Iterable[_Union[StateItem, _Mapping]]] = ..., ref: _Optional[int] = ...) -> None: ...

class StateItem(_message.Message):
    __slots__ = ("version", "removed", "receipts", "message", "read_marker", "settings", "contact", "conversation", "device", "intent", "privacy_exception", "group", "location_share", "private_receipts")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    READ_MARKER_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    CONTACT_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    INTENT_FIELD_NUMBER: _ClassVar[int]
    PRIVACY_EXCEPTION_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    LOCATION_SHARE_FIELD_NUMBER: _ClassVar[int]
    PRIVATE_RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    version: int
    removed: bool
    receipts: Receipts
    message: MessageState
    read_marker: ReadMarker
    settings: Settings
    contact: Contact
    conversation: Conversation
    device: DeviceState
    intent: Awareness
    privacy_exception: PrivacyException
    group: Conversation
    location_share: LocationStream
    private_receipts: Receipts
    def __init__(self, version: _Optional[int] = ..., removed: _Optional[bool] = ..., receipts: _Optional[_Union[Receipts, _Mapping]] = ..., message: _Optional[_Union[MessageState, _Mapping]] = ..., read_marker: _Optional[_Union[ReadMarker, _Mapping]] = ..., settings: _Optional[_Union[Settings, _Mapping]] = ..., contact: _Optional[_Union[Contact, _Mapping]] = ..., conversation: _Optional[_Union[Conversation, _Mapping]] = ..., device: _Optional[_Union[DeviceState, _Mapping]] = ..., intent: _Optional[_Union[Awareness, _Mapping]] = ..., privacy_exception: _Optional[_Union[PrivacyException, _Mapping]] = ..., group: _Optional[_Union[Conversation, _Mapping]] = ..., location_share: _Optional[_Union[LocationStream, _Mapping]] = ..., private_receipts: _Optional[_Union[Receipts, _Mapping]] = ...) -> None: ...

class Receipts(_message.Message):
    __slots__ = ("conversation", "member", "kind", "block", "runs")
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    conversation: str
    member: str
    kind: MessageStatus
    block: int
    runs: _containers.RepeatedCompositeFieldContainer[ReceiptRun]
    def __init__(self, conversation: _Optional[str] = ..., member: _Optional[str] = ..., kind: _Optional[_Union[MessageStatus, str]] = ..., block: _Optional[int] = ..., runs: _Optional[_Iterable[_Union[ReceiptRun, _Mapping]]] = ...) -> None: ...

class ReceiptRun(_message.Message):
    __slots__ = ("to", "time")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    to: int
    time: int
    def __init__(self, to: _Optional[int] = ..., time: _Optional[int] = ..., **kwargs) -> None: ...

class ReadMarker(_message.Message):
    __slots__ = ("conversation", "conversation_offset")
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_OFFSET_FIELD_NUMBER: _ClassVar[int]
    conversation: str
    conversation_offset: int
    def __init__(self, conversation: _Optional[str] = ..., conversation_offset: _Optional[int] = ...) -> None: ...

class MessageState(_message.Message):
    __slots__ = ("signal_offset", "conversation", "conversation_offset", "payload", "deleted", "stamp", "reactions", "pinned", "hidden", "forwards", "pinned_stamp")
    SIGNAL_OFFSET_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_OFFSET_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    STAMP_FIELD_NUMBER: _ClassVar[int]
    REACTIONS_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    HIDDEN_FIELD_NUMBER: _ClassVar[int]
    FORWARDS_FIELD_NUMBER: _ClassVar[int]
    PINNED_STAMP_FIELD_NUMBER: _ClassVar[int]
    signal_offset: int
    conversation: str
    conversation_offset: int
    payload: bytes
    deleted: bool
    stamp: int
    reactions: _containers.RepeatedCompositeFieldContainer[Reaction]
    pinned: bool
    hidden: bool
    forwards: int
    pinned_stamp: int
    def __init__(self, signal_offset: _Optional[int] = ..., conversation: _Optional[str] = ..., conversation_offset: _Optional[int] = ..., payload: _Optional[bytes] = ..., deleted: _Optional[bool] = ..., stamp: _Optional[int] = ..., reactions: _Optional[_Iterable[_Union[Reaction, _Mapping]]] = ..., pinned: _Optional[bool] = ..., hidden: _Optional[bool] = ..., forwards: _Optional[int] = ..., pinned_stamp: _Optional[int] = ...) -> None: ...

class Reaction(_message.Message):
    __slots__ = ("eid", "emoji", "stamp", "removed")
    EID_FIELD_NUMBER: _ClassVar[int]
    EMOJI_FIELD_NUMBER: _ClassVar[int]
    STAMP_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    eid: str
    emoji: str
    stamp: int
    removed: bool
    def __init__(self, eid: _Optional[str] = ..., emoji: _Optional[str] = ..., stamp: _Optional[int] = ..., removed: _Optional[bool] = ...) -> None: ...

class DeviceState(_message.Message):
    __slots__ = ("name", "created", "last_seen", "online", "label", "asking", "stale", "logs", "stamp")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    ONLINE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    ASKING_FIELD_NUMBER: _ClassVar[int]
    STALE_FIELD_NUMBER: _ClassVar[int]
    LOGS_FIELD_NUMBER: _ClassVar[int]
    STAMP_FIELD_NUMBER: _ClassVar[int]
    name: str
    created: int
    last_seen: int
    online: bool
    label: str
    asking: bool
    stale: bool
    logs: _containers.RepeatedCompositeFieldContainer[DeviceLog]
    stamp: int
    def __init__(self, name: _Optional[str] = ..., created: _Optional[int] = ..., last_seen: _Optional[int] = ..., online: _Optional[bool] = ..., label: _Optional[str] = ..., asking: _Optional[bool] = ..., stale: _Optional[bool] = ..., logs: _Optional[_Iterable[_Union[DeviceLog, _Mapping]]] = ..., stamp: _Optional[int] = ...) -> None: ...

class DeviceLog(_message.Message):
    __slots__ = ("partition", "head", "floor", "lag")
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    FLOOR_FIELD_NUMBER: _ClassVar[int]
    LAG_FIELD_NUMBER: _ClassVar[int]
    partition: str
    head: int
    floor: int
    lag: int
    def __init__(self, partition: _Optional[str] = ..., head: _Optional[int] = ..., floor: _Optional[int] = ..., lag: _Optional[int] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("id", "partition", "offset", "checksum", "state_version", "matches", "unknown", "time", "delta", "whole")
    ID_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    STATE_VERSION_FIELD_NUMBER: _ClassVar[int]
    MATCHES_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    id: str
    partition: str
    offset: int
    checksum: bytes
    state_version: int
    matches: bool
    unknown: bool
    time: int
    delta: Cost
    whole: Cost
    def __init__(self, id: _Optional[str] = ..., partition: _Optional[str] = ..., offset: _Optional[int] = ..., checksum: _Optional[bytes] = ..., state_version: _Optional[int] = ..., matches: _Optional[bool] = ..., unknown: _Optional[bool] = ..., time: _Optional[int] = ..., delta: _Optional[_Union[Cost, _Mapping]] = ..., whole: _Optional[_Union[Cost, _Mapping]] = ...) -> None: ...

class Cost(_message.Message):
    __slots__ = ("entries", "bytes", "states")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    entries: int
    bytes: int
    states: int
    def __init__(self, entries: _Optional[int] = ..., bytes: _Optional[int] = ..., states: _Optional[int] = ...) -> None: ...

class PingPong(_message.Message):
    __slots__ = ("kind", "id", "timestamp")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PING: _ClassVar[PingPong.Kind]
        PONG: _ClassVar[PingPong.Kind]
    PING: PingPong.Kind
    PONG: PingPong.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    kind: PingPong.Kind
    id: str
    timestamp: int
    def __init__(self, kind: _Optional[_Union[PingPong.Kind, str]] = ..., id: _Optional[str] = ..., timestamp: _Optional[int] = ...) -> None: ...

class TokenAuthority(_message.Message):
    __slots__ = ("action", "token", "jti", "expires_at")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTION_UNSPECIFIED: _ClassVar[TokenAuthority.Action]
        REFRESH: _ClassVar[TokenAuthority.Action]
        REVOKE: _ClassVar[TokenAuthority.Action]
    ACTION_UNSPECIFIED: TokenAuthority.Action
    REFRESH: TokenAuthority.Action
    REVOKE: TokenAuthority.Action
    ACTION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    JTI_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    action: TokenAuthority.Action
    token: str
    jti: str
    expires_at: int
    def __init__(self, action: _Optional[_Union[TokenAuthority.Action, str]] = ..., token: _Optional[str] = ..., jti: _Optional[str] = ..., expires_at: _Optional[int] = ...) -> None: ...

class Logout(_message.Message):
    __slots__ = ("forget", "reason", "revoke")
    FORGET_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REVOKE_FIELD_NUMBER: _ClassVar[int]
    forget: bool
    reason: str
    revoke: bool
    def __init__(self, forget: _Optional[bool] = ..., reason: _Optional[str] = ..., revoke: _Optional[bool] = ...) -> None: ...

class ErrorMessage(_message.Message):
    __slots__ = ("code", "message", "retry_after_ms", "id", "field", "missing", "extra", "ref")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    code: ErrorCode
    message: str
    retry_after_ms: int
    id: str
    field: str
    missing: _containers.RepeatedCompositeFieldContainer[Identity]
    extra: _containers.RepeatedCompositeFieldContainer[Identity]
    ref: int
    def __init__(self, code: _Optional[_Union[ErrorCode, str]] = ..., message: _Optional[str] = ..., retry_after_ms: _Optional[int] = ..., id: _Optional[str] = ..., field: _Optional[str] = ..., missing: _Optional[_Iterable[_Union[Identity, _Mapping]]] = ..., extra: _Optional[_Iterable[_Union[Identity, _Mapping]]] = ..., ref: _Optional[int] = ...) -> None: ...

class Awareness(_message.Message):
    __slots__ = ("to", "status", "timestamp", "last_seen", "conversation", "latitude", "longitude", "location_sharing", "id", "until", "ttl_ms", "inactive", "stamp", "version", "keep_intent")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    LATITUDE_FIELD_NUMBER: _ClassVar[int]
    LONGITUDE_FIELD_NUMBER: _ClassVar[int]
    LOCATION_SHARING_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    INACTIVE_FIELD_NUMBER: _ClassVar[int]
    STAMP_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    KEEP_INTENT_FIELD_NUMBER: _ClassVar[int]
    to: Identity
    status: AwarenessStatus
    timestamp: int
    last_seen: int
    conversation: str
    latitude: float
    longitude: float
    location_sharing: bool
    id: str
    until: int
    ttl_ms: int
    inactive: bool
    stamp: int
    version: int
    keep_intent: bool
    def __init__(self, to: _Optional[_Union[Identity, _Mapping]] = ..., status: _Optional[_Union[AwarenessStatus, str]] = ..., timestamp: _Optional[int] = ..., last_seen: _Optional[int] = ..., conversation: _Optional[str] = ..., latitude: _Optional[float] = ..., longitude: _Optional[float] = ..., location_sharing: _Optional[bool] = ..., id: _Optional[str] = ..., until: _Optional[int] = ..., ttl_ms: _Optional[int] = ..., inactive: _Optional[bool] = ..., stamp: _Optional[int] = ..., version: _Optional[int] = ..., keep_intent: _Optional[bool] = ..., **kwargs) -> None: ...

class AwarenessVisibility(_message.Message):
    __slots__ = ("visible", "timestamp", "id", "stamp", "version")
    FROM_FIELD_NUMBER: _ClassVar[int]
    VISIBLE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    STAMP_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    visible: bool
    timestamp: int
    id: str
    stamp: int
    version: int
    def __init__(self, visible: _Optional[bool] = ..., timestamp: _Optional[int] = ..., id: _Optional[str] = ..., stamp: _Optional[int] = ..., version: _Optional[int] = ..., **kwargs) -> None: ...

class LocationStream(_message.Message):
    __slots__ = ("to", "latitude", "longitude", "altitude", "accuracy", "timestamp", "expires_at", "enabled", "id", "conversation", "has_position", "version")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    LATITUDE_FIELD_NUMBER: _ClassVar[int]
    LONGITUDE_FIELD_NUMBER: _ClassVar[int]
    ALTITUDE_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    HAS_POSITION_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    to: Identity
    latitude: float
    longitude: float
    altitude: float
    accuracy: float
    timestamp: int
    expires_at: int
    enabled: bool
    id: str
    conversation: str
    has_position: bool
    version: int
    def __init__(self, to: _Optional[_Union[Identity, _Mapping]] = ..., latitude: _Optional[float] = ..., longitude: _Optional[float] = ..., altitude: _Optional[float] = ..., accuracy: _Optional[float] = ..., timestamp: _Optional[int] = ..., expires_at: _Optional[int] = ..., enabled: _Optional[bool] = ..., id: _Optional[str] = ..., conversation: _Optional[str] = ..., has_position: _Optional[bool] = ..., version: _Optional[int] = ..., **kwargs) -> None: ...

class PushNotification(_message.Message):
    __slots__ = ("id", "token", "platform", "remove", "p256dh", "auth", "query", "subscriptions", "device", "created", "public_key", "platforms")
    ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    P256DH_FIELD_NUMBER: _ClassVar[int]
    AUTH_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIPTIONS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    PLATFORMS_FIELD_NUMBER: _ClassVar[int]
    id: str
    token: str
    platform: str
    remove: bool
    p256dh: bytes
    auth: bytes
    query: bool
    subscriptions: _containers.RepeatedCompositeFieldContainer[PushNotification]
    device: str
    created: int
    public_key: str
    platforms: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., token: _Optional[str] = ..., platform: _Optional[str] = ..., remove: _Optional[bool] = ..., p256dh: _Optional[bytes] = ..., auth: _Optional[bytes] = ..., query: _Optional[bool] = ..., subscriptions: _Optional[_Iterable[_Union[PushNotification, _Mapping]]] = ..., device: _Optional[str] = ..., created: _Optional[int] = ..., public_key: _Optional[str] = ..., platforms: _Optional[_Iterable[str]] = ...) -> None: ...

class Contact(_message.Message):
    __slots__ = ("action", "eid", "name", "mutual", "state", "stamp", "id", "sees_you", "seen", "blocked", "version", "duplicate", "time", "after", "limit", "contacts", "complete")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTION_UNSPECIFIED: _ClassVar[Contact.Action]
        REQUEST: _ClassVar[Contact.Action]
        ACCEPT: _ClassVar[Contact.Action]
        DENY: _ClassVar[Contact.Action]
        REMOVE: _ClassVar[Contact.Action]
        BLOCK: _ClassVar[Contact.Action]
        UNBLOCK: _ClassVar[Contact.Action]
        LIST: _ClassVar[Contact.Action]
        NAME: _ClassVar[Contact.Action]
    ACTION_UNSPECIFIED: Contact.Action
    REQUEST: Contact.Action
    ACCEPT: Contact.Action
    DENY: Contact.Action
    REMOVE: Contact.Action
    BLOCK: Contact.Action
    UNBLOCK: Contact.Action
    LIST: Contact.Action
    NAME: Contact.Action
    ACTION_FIELD_NUMBER: _ClassVar[int]
    EID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MUTUAL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STAMP_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    SEES_YOU_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    BLOCKED_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CONTACTS_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    action: Contact.Action
    eid: str
    name: str
    mutual: bool
    state: str
    stamp: int
    id: str
    sees_you: bool
    seen: bool
    blocked: bool
    version: int
    duplicate: bool
    time: int
    after: str
    limit: int
    contacts: _containers.RepeatedCompositeFieldContainer[Contact]
    complete: bool
    def __init__(self, action: _Optional[_Union[Contact.Action, str]] = ..., eid: _Optional[str] = ..., name: _Optional[str] = ..., mutual: _Optional[bool] = ..., state: _Optional[str] = ..., stamp: _Optional[int] = ..., id: _Optional[str] = ..., sees_you: _Optional[bool] = ..., seen: _Optional[bool] = ..., blocked: _Optional[bool] = ..., version: _Optional[int] = ..., duplicate: _Optional[bool] = ..., time: _Optional[int] = ..., after: _Optional[str] = ..., limit: _Optional[int] = ..., contacts: _Optional[_Iterable[_Union[Contact, _Mapping]]] = ..., complete: _Optional[bool] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("id", "kind", "target", "target_id", "conversation", "payload", "emoji", "value", "conversation_offset", "stamp", "until", "version", "duplicate", "superseded", "ref")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Command.Kind]
        EDIT: _ClassVar[Command.Kind]
        DELETE_FOR_ME: _ClassVar[Command.Kind]
        DELETE_FOR_EVERYONE: _ClassVar[Command.Kind]
        REACT: _ClassVar[Command.Kind]
        UNREACT: _ClassVar[Command.Kind]
        MARK_READ: _ClassVar[Command.Kind]
        PIN: _ClassVar[Command.Kind]
        ARCHIVE: _ClassVar[Command.Kind]
        MUTE: _ClassVar[Command.Kind]
        FORWARD_MARK: _ClassVar[Command.Kind]
        DRAFT: _ClassVar[Command.Kind]
        MARK_UNREAD: _ClassVar[Command.Kind]
    KIND_UNSPECIFIED: Command.Kind
    EDIT: Command.Kind
    DELETE_FOR_ME: Command.Kind
    DELETE_FOR_EVERYONE: Command.Kind
    REACT: Command.Kind
    UNREACT: Command.Kind
    MARK_READ: Command.Kind
    PIN: Command.Kind
    ARCHIVE: Command.Kind
    MUTE: Command.Kind
    FORWARD_MARK: Command.Kind
    DRAFT: Command.Kind
    MARK_UNREAD: Command.Kind
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    TARGET_ID_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    EMOJI_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_OFFSET_FIELD_NUMBER: _ClassVar[int]
    STAMP_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    SUPERSEDED_FIELD_NUMBER: _ClassVar[int]
    REF_FIELD_NUMBER: _ClassVar[int]
    id: str
    kind: Command.Kind
    target: int
    target_id: str
    conversation: str
    payload: bytes
    emoji: str
    value: bool
    conversation_offset: int
    stamp: int
    until: int
    version: int
    duplicate: bool
    superseded: bool
    ref: int
    def __init__(self, id: _Optional[str] = ..., kind: _Optional[_Union[Command.Kind, str]] = ..., target: _Optional[int] = ..., target_id: _Optional[str] = ..., conversation: _Optional[str] = ..., payload: _Optional[bytes] = ..., emoji: _Optional[str] = ..., value: _Optional[bool] = ..., conversation_offset: _Optional[int] = ..., stamp: _Optional[int] = ..., until: _Optional[int] = ..., version: _Optional[int] = ..., duplicate: _Optional[bool] = ..., superseded: _Optional[bool] = ..., ref: _Optional[int] = ...) -> None: ...

class Conversation(_message.Message):
    __slots__ = ("action", "id", "title", "members", "head", "unread", "mentions", "last_message", "peer", "archived", "muted_until", "stamp", "request_id", "draft", "last_activity", "more_unread", "read_upto", "member_count", "role", "history_from", "conversation_offset", "duplicate", "after", "limit", "complete", "marked_unread", "pinned", "version", "feed")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTION_UNSPECIFIED: _ClassVar[Conversation.Action]
        CREATE: _ClassVar[Conversation.Action]
        INVITE: _ClassVar[Conversation.Action]
        JOIN: _ClassVar[Conversation.Action]
        LEAVE: _ClassVar[Conversation.Action]
        REMOVE_MEMBER: _ClassVar[Conversation.Action]
        RENAME: _ClassVar[Conversation.Action]
        SET_ROLE: _ClassVar[Conversation.Action]
        GET: _ClassVar[Conversation.Action]
    ACTION_UNSPECIFIED: Conversation.Action
    CREATE: Conversation.Action
    INVITE: Conversation.Action
    JOIN: Conversation.Action
    LEAVE: Conversation.Action
    REMOVE_MEMBER: Conversation.Action
    RENAME: Conversation.Action
    SET_ROLE: Conversation.Action
    GET: Conversation.Action
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    UNREAD_FIELD_NUMBER: _ClassVar[int]
    MENTIONS_FIELD_NUMBER: _ClassVar[int]
    LAST_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    MUTED_UNTIL_FIELD_NUMBER: _ClassVar[int]
    STAMP_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DRAFT_FIELD_NUMBER: _ClassVar[int]
    LAST_ACTIVITY_FIELD_NUMBER: _ClassVar[int]
    MORE_UNREAD_FIELD_NUMBER: _ClassVar[int]
    READ_UPTO_FIELD_NUMBER: _ClassVar[int]
    MEMBER_COUNT_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FROM_FIELD_NUMBER: _ClassVar[int]
    CONVERSATION_OFFSET_FIELD_NUMBER: _ClassVar[int]
    DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    MARKED_UNREAD_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FEED_FIELD_NUMBER: _ClassVar[int]
    action: Conversation.Action
    id: str
    title: str
    members: _containers.RepeatedCompositeFieldContainer[Member]
    head: int
    unread: int
    mentions: int
    last_message: Message
    peer: str
    archived: bool
    muted_until: int
    stamp: int
    request_id: str
    draft: bytes
    last_activity: int
    more_unread: bool
    read_upto: int
    member_count: int
    role: str
    history_from: int
    conversation_offset: int
    duplicate: bool
    after: str
    limit: int
    complete: bool
    marked_unread: bool
    pinned: bool
    version: int
    feed: bool
    def __init__(self, action: _Optional[_Union[Conversation.Action, str]] = ..., id: _Optional[str] = ..., title: _Optional[str] = ..., members: _Optional[_Iterable[_Union[Member, _Mapping]]] = ..., head: _Optional[int] = ..., unread: _Optional[int] = ..., mentions: _Optional[int] = ..., last_message: _Optional[_Union[Message, _Mapping]] = ..., peer: _Optional[str] = ..., archived: _Optional[bool] = ..., muted_until: _Optional[int] = ..., stamp: _Optional[int] = ..., request_id: _Optional[str] = ..., draft: _Optional[bytes] = ..., last_activity: _Optional[int] = ..., more_unread: _Optional[bool] = ..., read_upto: _Optional[int] = ..., member_count: _Optional[int] = ..., role: _Optional[str] = ..., history_from: _Optional[int] = ..., conversation_offset: _Optional[int] = ..., duplicate: _Optional[bool] = ..., after: _Optional[str] = ..., limit: _Optional[int] = ..., complete: _Optional[bool] = ..., marked_unread: _Optional[bool] = ..., pinned: _Optional[bool] = ..., version: _Optional[int] = ..., feed: _Optional[bool] = ...) -> None: ...

class Member(_message.Message):
    __slots__ = ("eid", "role", "history_from", "joined")
    EID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FROM_FIELD_NUMBER: _ClassVar[int]
    JOINED_FIELD_NUMBER: _ClassVar[int]
    eid: str
    role: str
    history_from: int
    joined: int
    def __init__(self, eid: _Optional[str] = ..., role: _Optional[str] = ..., history_from: _Optional[int] = ..., joined: _Optional[int] = ...) -> None: ...

class PeerSignal(_message.Message):
    __slots__ = ("to", "kind", "payload", "id", "reached")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    REACHED_FIELD_NUMBER: _ClassVar[int]
    to: Identity
    kind: str
    payload: bytes
    id: str
    reached: int
    def __init__(self, to: _Optional[_Union[Identity, _Mapping]] = ..., kind: _Optional[str] = ..., payload: _Optional[bytes] = ..., id: _Optional[str] = ..., reached: _Optional[int] = ..., **kwargs) -> None: ...

class Settings(_message.Message):
    __slots__ = ("send_read_receipts", "show_read_receipts", "show_last_seen", "show_online_status", "stamp", "version", "visible", "read_receipts_to", "read_receipts_of", "last_seen_to", "online_status_to", "exceptions")
    SEND_READ_RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    SHOW_READ_RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    SHOW_LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    SHOW_ONLINE_STATUS_FIELD_NUMBER: _ClassVar[int]
    STAMP_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    VISIBLE_FIELD_NUMBER: _ClassVar[int]
    READ_RECEIPTS_TO_FIELD_NUMBER: _ClassVar[int]
    READ_RECEIPTS_OF_FIELD_NUMBER: _ClassVar[int]
    LAST_SEEN_TO_FIELD_NUMBER: _ClassVar[int]
    ONLINE_STATUS_TO_FIELD_NUMBER: _ClassVar[int]
    EXCEPTIONS_FIELD_NUMBER: _ClassVar[int]
    send_read_receipts: bool
    show_read_receipts: bool
    show_last_seen: bool
    show_online_status: bool
    stamp: int
    version: int
    visible: bool
    read_receipts_to: Audience
    read_receipts_of: Audience
    last_seen_to: Audience
    online_status_to: Audience
    exceptions: _containers.RepeatedCompositeFieldContainer[PrivacyException]
    def __init__(self, send_read_receipts: _Optional[bool] = ..., show_read_receipts: _Optional[bool] = ..., show_last_seen: _Optional[bool] = ..., show_online_status: _Optional[bool] = ..., stamp: _Optional[int] = ..., version: _Optional[int] = ..., visible: _Optional[bool] = ..., read_receipts_to: _Optional[_Union[Audience, str]] = ..., read_receipts_of: _Optional[_Union[Audience, str]] = ..., last_seen_to: _Optional[_Union[Audience, str]] = ..., online_status_to: _Optional[_Union[Audience, str]] = ..., exceptions: _Optional[_Iterable[_Union[PrivacyException, _Mapping]]] = ...) -> None: ...

class PrivacyException(_message.Message):
    __slots__ = ("eid", "send_read_receipts", "show_read_receipts", "show_last_seen", "show_online_status", "stamp", "version")
    class Exception(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNCHANGED: _ClassVar[PrivacyException.Exception]
        NONE: _ClassVar[PrivacyException.Exception]
        ALLOWED: _ClassVar[PrivacyException.Exception]
        DENIED: _ClassVar[PrivacyException.Exception]
    UNCHANGED: PrivacyException.Exception
    NONE: PrivacyException.Exception
    ALLOWED: PrivacyException.Exception
    DENIED: PrivacyException.Exception
    EID_FIELD_NUMBER: _ClassVar[int]
    SEND_READ_RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    SHOW_READ_RECEIPTS_FIELD_NUMBER: _ClassVar[int]
    SHOW_LAST_SEEN_FIELD_NUMBER: _ClassVar[int]
    SHOW_ONLINE_STATUS_FIELD_NUMBER: _ClassVar[int]
    STAMP_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    eid: str
    send_read_receipts: PrivacyException.Exception
    show_read_receipts: PrivacyException.Exception
    show_last_seen: PrivacyException.Exception
    show_online_status: PrivacyException.Exception
    stamp: int
    version: int
    def __init__(self, eid: _Optional[str] = ..., send_read_receipts: _Optional[_Union[PrivacyException.Exception, str]] = ..., show_read_receipts: _Optional[_Union[PrivacyException.Exception, str]] = ..., show_last_seen: _Optional[_Union[PrivacyException.Exception, str]] = ..., show_online_status: _Optional[_Union[PrivacyException.Exception, str]] = ..., stamp: _Optional[int] = ..., version: _Optional[int] = ...) -> None: ...

class Devices(_message.Message):
    __slots__ = ("action", "name", "devices", "label", "complete", "eid")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        LIST: _ClassVar[Devices.Action]
        REMOVE: _ClassVar[Devices.Action]
        RENAME: _ClassVar[Devices.Action]
    LIST: Devices.Action
    REMOVE: Devices.Action
    RENAME: Devices.Action
    ACTION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    EID_FIELD_NUMBER: _ClassVar[int]
    action: Devices.Action
    name: str
    devices: _containers.RepeatedCompositeFieldContainer[DeviceState]
    label: str
    complete: bool
    eid: str
    def __init__(self, action: _Optional[_Union[Devices.Action, str]] = ..., name: _Optional[str] = ..., devices: _Optional[_Iterable[_Union[DeviceState, _Mapping]]] = ..., label: _Optional[str] = ..., complete: _Optional[bool] = ..., eid: _Optional[str] = ...) -> None: ...

class Keys(_message.Message):
    __slots__ = ("action", "keys", "one_time", "of", "after", "devices", "complete", "one_time_left", "last_id")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        COUNT: _ClassVar[Keys.Action]
        PUBLISH: _ClassVar[Keys.Action]
        QUERY: _ClassVar[Keys.Action]
        CLAIM: _ClassVar[Keys.Action]
        WITHDRAW: _ClassVar[Keys.Action]
    COUNT: Keys.Action
    PUBLISH: Keys.Action
    QUERY: Keys.Action
    CLAIM: Keys.Action
    WITHDRAW: Keys.Action
    ACTION_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    ONE_TIME_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    ONE_TIME_LEFT_FIELD_NUMBER: _ClassVar[int]
    LAST_ID_FIELD_NUMBER: _ClassVar[int]
    action: Keys.Action
    keys: DeviceKeys
    one_time: _containers.RepeatedCompositeFieldContainer[PreKey]
    of: _containers.RepeatedCompositeFieldContainer[Identity]
    after: str
    devices: _containers.RepeatedCompositeFieldContainer[DeviceKeys]
    complete: bool
    one_time_left: int
    last_id: int
    def __init__(self, action: _Optional[_Union[Keys.Action, str]] = ..., keys: _Optional[_Union[DeviceKeys, _Mapping]] = ..., one_time: _Optional[_Iterable[_Union[PreKey, _Mapping]]] = ..., of: _Optional[_Iterable[_Union[Identity, _Mapping]]] = ..., after: _Optional[str] = ..., devices: _Optional[_Iterable[_Union[DeviceKeys, _Mapping]]] = ..., complete: _Optional[bool] = ..., one_time_left: _Optional[int] = ..., last_id: _Optional[int] = ...) -> None: ...

class DeviceKeys(_message.Message):
    __slots__ = ("device", "identity", "signing", "signature", "fallback", "claimed", "is_fallback", "published")
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    SIGNING_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    FALLBACK_FIELD_NUMBER: _ClassVar[int]
    CLAIMED_FIELD_NUMBER: _ClassVar[int]
    IS_FALLBACK_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    device: Identity
    identity: bytes
    signing: bytes
    signature: bytes
    fallback: PreKey
    claimed: PreKey
    is_fallback: bool
    published: int
    def __init__(self, device: _Optional[_Union[Identity, _Mapping]] = ..., identity: _Optional[bytes] = ..., signing: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., fallback: _Optional[_Union[PreKey, _Mapping]] = ..., claimed: _Optional[_Union[PreKey, _Mapping]] = ..., is_fallback: _Optional[bool] = ..., published: _Optional[int] = ...) -> None: ...

class PreKey(_message.Message):
    __slots__ = ("id", "key", "signature")
    ID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    id: int
    key: bytes
    signature: bytes
    def __init__(self, id: _Optional[int] = ..., key: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Envelope(_message.Message):
    __slots__ = ("sender_key", "kind", "ciphertext")
    SENDER_KEY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXT_FIELD_NUMBER: _ClassVar[int]
    sender_key: bytes
    kind: int
    ciphertext: bytes
    def __init__(self, sender_key: _Optional[bytes] = ..., kind: _Optional[int] = ..., ciphertext: _Optional[bytes] = ...) -> None: ...

class Letter(_message.Message):
    __slots__ = ("id", "to", "addressee", "addressee_key", "signing", "payload", "reply_to", "ttl_ms")
    ID_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    ADDRESSEE_FIELD_NUMBER: _ClassVar[int]
    ADDRESSEE_KEY_FIELD_NUMBER: _ClassVar[int]
    SIGNING_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    id: str
    to: str
    addressee: Identity
    addressee_key: bytes
    signing: bytes
    payload: bytes
    reply_to: str
    ttl_ms: int
    def __init__(self, id: _Optional[str] = ..., to: _Optional[str] = ..., addressee: _Optional[_Union[Identity, _Mapping]] = ..., addressee_key: _Optional[bytes] = ..., signing: _Optional[bytes] = ..., payload: _Optional[bytes] = ..., reply_to: _Optional[str] = ..., ttl_ms: _Optional[int] = ..., **kwargs) -> None: ...

"""What may be said of a group, and how it is answered."""

from typing import Any

import pytest

from bimip.domain.conversations.groups import (
    AddMembers,
    CreateGroup,
    GroupChanged,
    RemoveMember,
    RenameGroup,
    SetRole,
)
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, UserId
from bimip.domain.core.operations import Barrier, Done, Fault, Refused
from bimip.domain.core.records import Changes, Conversation, Group, Member, Role, Table, User
from bimip.requests.message import LOGS_FOR_A_REQUEST, write
from bimip.storage.memory import MemoryStore
from bimip.wire import bimip_pb2 as pb
from tests.requests.support import Peer

Action = pb.Conversation.Action
ANN = (UserId(1), DeviceId(11))
SEVEN = ConversationId(7)


def members(*eids: str, role: str = "") -> list[pb.Member]:
    return [pb.Member(eid=eid, role=role) for eid in eids]


@pytest.mark.parametrize(
    ("said", "operation"),
    [
        ({"action": pb.Conversation.CREATE, "title": "trip"}, CreateGroup(*ANN, "r", b"", "trip", ())),
        (
            {"action": pb.Conversation.CREATE, "members": members("bob", "carol", "bob")},
            CreateGroup(*ANN, "r", b"", "", ("bob", "carol")),
        ),
        (
            {"action": pb.Conversation.INVITE, "id": "c7", "members": members("bob", role="member")},
            AddMembers(*ANN, "r", b"", SEVEN, ("bob",)),
        ),
        ({"action": pb.Conversation.LEAVE, "id": "c7"}, RemoveMember(*ANN, "r", b"", SEVEN, "ann")),
        (
            {"action": pb.Conversation.REMOVE_MEMBER, "id": "c7", "members": members("bob")},
            RemoveMember(*ANN, "r", b"", SEVEN, "bob"),
        ),
        (
            {"action": pb.Conversation.RENAME, "id": "c7", "title": "👨‍👩‍👧"},
            RenameGroup(*ANN, "r", b"", SEVEN, "👨‍👩‍👧"),
        ),
        ({"action": pb.Conversation.RENAME, "id": "c7"}, RenameGroup(*ANN, "r", b"", SEVEN, "")),
        (
            {"action": pb.Conversation.SET_ROLE, "id": "c7", "members": members("bob", role="owner")},
            SetRole(*ANN, "r", b"", SEVEN, "bob", Role.OWNER),
        ),
    ],
)
def test_each_action_becomes_an_operation_and_is_answered_by_the_same_payload(
    said: dict[str, Any], operation: Any
) -> None:
    peer = Peer()
    peer.take("conversation", pb.Conversation(request_id="r", **said))
    asked: list[Any] = peer.operations()
    peer.decide(GroupChanged("r", SEVEN, ConversationOffset(4), duplicate=True))

    assert [one._replace(digest=b"") for one in asked] == [operation]
    assert len(asked[0].digest) == 8
    expected = pb.Conversation(id="c7", request_id="r", conversation_offset=4, duplicate=True)
    expected.action = said["action"]
    assert peer.alone() == [("conversation", expected)]


def test_requests_that_ask_for_the_same_have_the_same_digest_and_others_have_another() -> None:
    def digest(**said: Any) -> bytes:
        peer = Peer()
        peer.take("conversation", pb.Conversation(**said))
        (operation,) = peer.operations()
        found: bytes = operation.digest  # type: ignore[attr-defined]  # each of these has one
        return found

    told: dict[str, Any] = {"action": pb.Conversation.CREATE, "title": "a", "members": members("bob")}
    same = digest(request_id="1", **told)

    assert digest(request_id="2", stamp=7, **told) == same
    others = [{**told, "title": "b"}, {**told, "members": members("carol")}, {**told, "members": []}]
    assert same not in [digest(**one) for one in others]
    assert digest(action=pb.Conversation.LEAVE, id="c1") != digest(action=pb.Conversation.LEAVE, id="c2")


def test_a_request_without_an_id_is_given_one() -> None:
    peer = Peer()
    peer.take("conversation", pb.Conversation(action=pb.Conversation.CREATE))

    assert peer.operations()[0].id == "new"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("said", "code", "field"),
    [
        ({}, pb.INVALID, "action"),
        ({"action": 77}, pb.INVALID, "action"),
        ({"action": -1}, pb.INVALID, "action"),
        ({"action": pb.Conversation.JOIN, "id": "c7"}, pb.UNSUPPORTED, "action"),
        ({"action": pb.Conversation.CREATE, "request_id": "\n"}, pb.INVALID, "request_id"),
        ({"action": pb.Conversation.CREATE, "request_id": "x" * 65}, pb.TOO_LARGE, "request_id"),
        ({"action": pb.Conversation.CREATE, "title": "x" * 256}, pb.TOO_LARGE, "title"),
        ({"action": pb.Conversation.CREATE, "title": "é" * 128}, pb.TOO_LARGE, "title"),
        ({"action": pb.Conversation.CREATE, "title": "a\u202eb"}, pb.INVALID, "title"),
        ({"action": pb.Conversation.CREATE, "title": "a\nb"}, pb.INVALID, "title"),
        ({"action": pb.Conversation.CREATE, "members": members("")}, pb.INVALID, "members.eid"),
        ({"action": pb.Conversation.CREATE, "members": members("c7")}, pb.INVALID, "members.eid"),
        ({"action": pb.Conversation.CREATE, "members": members("x" * 256)}, pb.TOO_LARGE, "members.eid"),
        ({"action": pb.Conversation.CREATE, "members": members("bob", role="owner")}, pb.INVALID, "members.role"),
        ({"action": pb.Conversation.CREATE, "members": members(*["b"] * 501)}, pb.TOO_LARGE, "members"),
        ({"action": pb.Conversation.INVITE, "id": "c7"}, pb.INVALID, "members"),
        ({"action": pb.Conversation.INVITE, "members": members("bob")}, pb.INVALID, "id"),
        ({"action": pb.Conversation.INVITE, "id": "bob", "members": members("bob")}, pb.NOT_FOUND, "id"),
        ({"action": pb.Conversation.INVITE, "id": "c" * 65, "members": members("bob")}, pb.TOO_LARGE, "id"),
        ({"action": pb.Conversation.LEAVE}, pb.INVALID, "id"),
        ({"action": pb.Conversation.REMOVE_MEMBER, "id": "c7"}, pb.INVALID, "members"),
        ({"action": pb.Conversation.REMOVE_MEMBER, "id": "c7", "members": members("a", "b")}, pb.INVALID, "members"),
        ({"action": pb.Conversation.REMOVE_MEMBER, "id": "c7", "members": members("")}, pb.INVALID, "members.eid"),
        ({"action": pb.Conversation.RENAME, "id": "c7", "title": "x" * 256}, pb.TOO_LARGE, "title"),
        ({"action": pb.Conversation.RENAME, "title": "x"}, pb.INVALID, "id"),
        ({"action": pb.Conversation.SET_ROLE, "id": "c7"}, pb.INVALID, "members"),
        ({"action": pb.Conversation.SET_ROLE, "id": "c7", "members": members("bob")}, pb.INVALID, "members.role"),
        (
            {"action": pb.Conversation.SET_ROLE, "id": "c7", "members": members("b", role="x")},
            pb.INVALID,
            "members.role",
        ),
        ({"action": pb.Conversation.GET}, pb.INVALID, "id"),
        ({"action": pb.Conversation.GET, "id": "bob"}, pb.NOT_FOUND, "id"),
        ({"action": pb.Conversation.GET, "id": "c7", "after": "c8"}, pb.INVALID, "after"),
    ],
)
def test_what_is_wrong_is_said_with_the_field_and_asks_nothing_of_the_store(
    said: dict[str, Any], code: int, field: str
) -> None:
    peer = Peer()
    peer.take("conversation", pb.Conversation(**{"request_id": "r", **said}))
    (error,) = peer.together().errors

    assert (error.code, error.field, error.id, error.ref) == (code, field, "" if "request_id" in said else "r", 5)
    assert peer.operations() == []


def store_of_a_group(size: int) -> MemoryStore:
    """Group 7 of the users 1 … size, of whom Ann is the first; and conversation 8, which is of others."""
    users = [UserId(number) for number in range(1, size + 1)]
    head = ConversationOffset(3)
    store = MemoryStore()
    store.begin()
    store.apply(
        Changes(
            puts={
                Table.USERS: {(f"u{user}",): User(user, 0) for user in users},  # type: ignore[arg-type]  # plain numbers
                Table.EIDS: {(user,): f"u{user}" for user in users},
                Table.CONVERSATIONS: {
                    (7,): Conversation(ConversationOffset(1), head, ()),
                    (8,): Conversation(ConversationOffset(1), head, (UserId(2), UserId(3))),
                    (9,): Conversation(ConversationOffset(1), head, (UserId(1), UserId(2))),
                },
                Table.GROUPS: {(7,): Group("trip", tuple(users), head)},
                Table.MEMBERS: {
                    (7, user): Member(Role.OWNER, ConversationOffset(2), ConversationOffset(0), 5)  # type: ignore[arg-type]
                    for user in users
                },
            }
        )
    )
    store.commit()
    return store


def get(peer: Peer, **said: Any) -> Any:
    peer.frames.clear()
    peer.take("conversation", pb.Conversation(action=pb.Conversation.GET, request_id="r", **said))
    assert peer.operations() == [Barrier()]
    peer.decide(Done())
    ((_, answer),) = peer.alone()
    return answer


def test_get_tells_of_a_group_and_its_members_page_by_page() -> None:
    peer = Peer(store_of_a_group(5))
    first = get(peer, id="c7", limit=3)
    last = get(peer, id="c7", limit=3, after="u3")

    assert [member.eid for member in first.members] == ["u1", "u2", "u3"]
    assert [member.eid for member in last.members] == ["u4", "u5"]
    assert (first.complete, last.complete) == (False, True)
    assert first.members[0] == pb.Member(eid="u1", role="owner", history_from=2, joined=5)
    told = (first.title, first.head, first.member_count, first.role, first.history_from, first.request_id)
    assert told == ("trip", 3, 5, "owner", 2, "r")


def test_get_tells_of_a_conversation_of_two() -> None:
    answer = get(Peer(store_of_a_group(2)), id="c9")

    assert [member.eid for member in answer.members] == ["u1", "u2"]
    assert (answer.member_count, answer.history_from, answer.complete) == (2, 1, True)


@pytest.mark.parametrize("conversation", ["c8", "c99"])
def test_get_of_what_one_is_not_in_is_answered_like_what_does_not_exist(conversation: str) -> None:
    peer = Peer(store_of_a_group(3))
    peer.take("conversation", pb.Conversation(action=pb.Conversation.GET, id=conversation))
    peer.decide(Done())
    (error,) = peer.together().errors

    assert (error.code, error.field, error.message) == (pb.NOT_FOUND, "id", "you are in no such conversation")


def test_messages_to_a_large_group_are_several_appends_each_message_answered_in_its_place() -> None:
    peer = Peer(store_of_a_group(400))
    for number in range(30):
        peer.take("message", pb.Message(id=f"m{number}", to=pb.Identity(eid="c7"), type=1), ref=number + 1)
    write(peer)
    asked: list[Any] = peer.operations()

    assert [len(append.messages) for append in asked] == [12, 12, 6]
    assert [message.id for append in asked for message in append.messages] == [f"m{number}" for number in range(30)]
    assert peer.weight == 30 * 400 // LOGS_FOR_A_REQUEST
    peer.decide(Refused(Fault.UNAVAILABLE, "not now"))
    assert [(error.id, error.ref) for error in peer.together().errors] == [
        (f"m{number}", number + 1) for number in range(30)
    ]


@pytest.mark.parametrize("to", ["c8", "c9", "c99", "bob", "carol"])
def test_messages_to_others_are_one_append_and_cost_nothing_more(to: str) -> None:
    peer = Peer(store_of_a_group(400))
    for number in range(12):
        peer.take("message", pb.Message(id=f"m{number}", to=pb.Identity(eid=to), type=1))
    write(peer)

    assert [len(append.messages) for append in peer.operations()] == [12]  # type: ignore[attr-defined]
    assert peer.weight == 0


def test_what_reaches_many_is_charged_by_how_many_and_by_nothing_where_one_is_not_in_it() -> None:
    def charged(conversation: str) -> int:
        peer = Peer(store_of_a_group(400))
        peer.take("conversation", pb.Conversation(action=pb.Conversation.RENAME, id=conversation, title="x"))
        return peer.weight

    assert charged("c7") == 400 // LOGS_FOR_A_REQUEST
    assert charged("c8") == charged("c99") == 0

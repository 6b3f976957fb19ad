"""Whoever names a conversation, a message or a group that is not theirs is answered alike, and costs the server the
same reads and decodings, whether it exists or not: so neither the error nor its time tells.

Each question is asked by Ann about a place of each sort, which none of them may she see: reads are compared one by one,
and none is taken on a real clock.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from bimip.domain.commands.command import RULES
from bimip.domain.conversations.groups import AddMembers, CreateGroup, RemoveMember
from bimip.domain.core.ids import ConversationId, DeviceId, Millis, Stamp
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.operations import FRIENDS, Barrier, Done
from bimip.domain.core.records import Changes, Contact, Reader, Roster, Table
from bimip.domain.core.rules import Context
from bimip.domain.decisions import decide
from bimip.domain.state.privacy_exceptions import ExceptionValue
from bimip.domain.state.settings import Setting
from bimip.names import conversation_id
from bimip.requests.conversation import ACTIONS
from bimip.requests.fetch import KINDS
from bimip.requests.message import write
from bimip.storage.memory import MemoryStore
from bimip.wire import bimip_pb2 as pb
from tests.domain.conversations.test_feeds import accept
from tests.domain.support import Ledger
from tests.requests.support import Peer

ABOUT_PRESENCE = (Setting.SHOW_ONLINE_STATUS, Setting.SHOW_LAST_SEEN)
DENIED = int(ExceptionValue.DENIED)

Work = list[tuple[str, ...]]


def written(value: int) -> LastWrite:
    return LastWrite(value, Stamp(1), DeviceId(1))


Say = Callable[["Place"], tuple[str, Any]]
"""Makes a route's name and a payload that is about a place."""

NOBODYS = 12345
"""A stamp that no message has."""


class Place:
    """A conversation by its id, and a message in it by its stamp."""

    def __init__(self, conversation: str, stamp: int) -> None:
        self.conversation = conversation
        self.stamp = stamp


class Others:
    """What there is that Ann may not see: a conversation of two, a group that she never was in, one that she left, and
    Carol's feed; and of a group that she is in what stands before she joined.
    """

    def __init__(self) -> None:
        self.ledger = Ledger()
        ann, bob, carol = (self.ledger.device(name) for name in ("ann", "bob", "carol"))
        self._requests = 0
        self._carol = carol
        two = self.ledger.send(bob, "carol", "two")
        theirs, left, joined = (self._create(bob, eids) for eids in (("carol",), ("carol", "ann"), ("carol",)))
        sent = {name: self.ledger.send(carol, conversation_id(name), f"m{name}") for name in (theirs, left, joined)}
        self._ask(RemoveMember, bob, left, "ann")
        self._ask(AddMembers, bob, joined, ("ann",))
        accept(self.ledger, carol, bob)
        feed = self.ledger.send(carol, FRIENDS, "for friends")
        assert ann.user == 1  # as the peer that asks is
        self.absent = Place("c99", NOBODYS)
        self.places = {
            "two": Place(conversation_id(two.conversation), two.stamp),
            "a group": Place(conversation_id(theirs), sent[theirs].stamp),
            "a group that was left": Place(conversation_id(left), sent[left].stamp),
            "a feed": Place(conversation_id(feed.conversation), feed.stamp),
        }
        self.early = Place(conversation_id(joined), sent[joined].stamp)

    def _create(self, owner: Any, eids: tuple[str, ...]) -> ConversationId:
        self._requests += 1
        made = self.ledger.do(CreateGroup(owner.user, owner.device, f"r{self._requests}", bytes(8), "trip", eids))
        return ConversationId(made.conversation)

    def _ask(self, kind: Any, who: Any, *said: Any) -> None:
        self._requests += 1
        self.ledger.do(kind(who.user, who.device, f"r{self._requests}", bytes(8), *said))


class CountedView:
    """A view that notes what is read of it."""

    def __init__(self, view: Any, work: Work) -> None:
        self._view = view
        self._work = work

    def __getattr__(self, name: str) -> Any:
        ask = getattr(self._view, name)

        def read(table: Any, *said: Any, **more: Any) -> Any:
            self._work.append((name, table.value))
            return ask(table, *said, **more)

        return read


class CountedStore:
    def __init__(self, store: MemoryStore, work: Work) -> None:
        self._store = store
        self._work = work

    @contextmanager
    def snapshot(self) -> Iterator[Reader]:
        with self._store.snapshot() as view:
            yield cast("Reader", CountedView(view, self._work))


def work_of(others: Others, say: Say, place: Place) -> tuple[list[pb.ErrorMessage], Work]:
    """How a question about a place is answered, and what was read and decoded for it."""
    work: Work = []
    store = CountedStore(others.ledger.store, work)
    bodies = others.ledger.rules.bodies

    def locate(body: bytes) -> Any:
        work.append(("decode", "bodies"))
        return bodies.locate(body)

    rules = replace(others.ledger.rules, bodies=replace(bodies, locate=locate))
    context = Context(rules, others.ledger.now, others.ledger.context.stamp)
    peer = Peer(cast("MemoryStore", store))
    peer.take(*say(place))
    write(peer)
    for operation in peer.operations():
        with store.snapshot() as view:
            peer.decide(Done() if isinstance(operation, Barrier) else decide(view, operation, context).result)
    while peer.pending is not None and peer.pending.work(0):
        pass
    assert peer.frames == []
    return list(peer.together().errors), work


def command(kind: int, **fields: Any) -> Say:
    def say(place: Place) -> tuple[str, Any]:
        named = fields or {"target": place.stamp}
        if "conversation" in named:
            named = {**named, "conversation": place.conversation}
        said = pb.Command(id="k", emoji="+", payload=b"x", **named)
        said.kind = kind  # type: ignore[assignment]  # a number
        return "command", said

    return say


def group(action: int, *members: str) -> Say:
    def say(place: Place) -> tuple[str, Any]:
        listed = [pb.Member(eid=eid, role="admin" if action == pb.Conversation.SET_ROLE else "") for eid in members]
        said = pb.Conversation(id=place.conversation, request_id="r", title="mine", members=listed)
        said.action = action  # type: ignore[assignment]  # a number
        return "conversation", said

    return say


def fetch(kind: int) -> Say:
    def say(place: Place) -> tuple[str, Any]:
        said = pb.Fetch(conversation=place.conversation, reply_to="0" * 13)
        said.kind = kind  # type: ignore[assignment]  # a number
        return "fetch", said

    return say


ABOUT_MESSAGES: dict[str, Say] = {
    **{f"command {kind.name}": command(kind) for kind, rule in RULES.items() if rule.about_message},
    "signal FORWARDED": lambda place: ("signal", pb.Signal(status=pb.FORWARDED, id="k", signal_offset=place.stamp)),
}

MEMBERS: dict[int, tuple[str, ...]] = {
    pb.Conversation.INVITE: ("bob",),
    pb.Conversation.REMOVE_MEMBER: ("bob",),
    pb.Conversation.SET_ROLE: ("bob",),
}

ABOUT_CONVERSATIONS: dict[str, Say] = {
    **{
        f"command {kind.name} of a conversation": command(kind, conversation="")
        for kind, rule in RULES.items()
        if rule.about_conversation
    },
    "command MARK_READ": command(pb.Command.MARK_READ, conversation="", conversation_offset=1),
    **{
        f"conversation {pb.Conversation.Action.Name(action)}": group(action, *MEMBERS.get(action, ()))
        for action in (*ACTIONS, pb.Conversation.GET)
        if action != pb.Conversation.CREATE
    },
    **{
        f"fetch {pb.FetchKind.Name(kind)}": fetch(kind)
        for kind, row in KINDS.items()
        if not row.of_log and kind != pb.INBOX
    },
    "signal READ": lambda place: ("signal", pb.Signal(status=pb.READ, conversation=place.conversation, upto=1)),
    "signal PLAYED": lambda place: (
        "signal",
        pb.Signal(status=pb.PLAYED, to=pb.Identity(eid=place.conversation), conversation_offset=1),
    ),
    "message": lambda place: ("message", pb.Message(id="m", to=pb.Identity(eid=place.conversation), type=1)),
    "message for all devices": lambda place: (
        "message",
        pb.Message(
            id="m",
            to=pb.Identity(eid=place.conversation),
            type=1,
            devices=[pb.DeviceAddress(identity=pb.Identity(eid="bob", connection_resource_id="phone"))],
            devices_complete=True,
        ),
    ),
}

SAYS = ABOUT_MESSAGES | ABOUT_CONVERSATIONS


@pytest.mark.parametrize("sort", ["two", "a group", "a group that was left", "a feed"])
@pytest.mark.parametrize("name", SAYS)
def test_what_is_somebody_elses_is_answered_like_what_does_not_exist_and_takes_the_same_work(
    name: str, sort: str
) -> None:
    others = Others()
    errors, work = work_of(others, SAYS[name], others.absent)
    theirs, their_work = work_of(others, SAYS[name], others.places[sort])

    assert [error.code for error in errors] == [pb.NOT_FOUND]
    assert theirs == errors
    assert their_work == work
    assert work


@pytest.mark.parametrize("name", ABOUT_MESSAGES)
def test_what_stands_before_a_member_joined_is_answered_like_what_does_not_exist(name: str) -> None:
    others = Others()

    assert work_of(others, SAYS[name], others.early) == work_of(others, SAYS[name], others.absent)


@pytest.mark.parametrize(
    "say",
    [
        lambda eid: ("devices", pb.Devices(eid=eid)),
        lambda eid: ("signal", pb.Signal(status=pb.READ, to=pb.Identity(eid=eid), upto=1)),
    ],
    ids=["devices LIST", "signal READ"],
)
def test_a_user_with_whom_one_never_wrote_is_answered_like_one_who_does_not_exist(say: Callable[[str], Any]) -> None:
    others = Others()
    found = {
        eid: work_of(others, lambda _, eid=eid: say(eid), others.absent)  # type: ignore[misc]
        for eid in ("bob", "dave")
    }

    assert found["bob"] == found["dave"]
    assert [error.code for error in found["bob"][0]] == [pb.NOT_FOUND]


def test_a_feed_that_is_not_read_is_answered_like_one_that_was_never_written() -> None:
    """Of Carol, who writes one for Bob, of Bob, who wrote none, and of nobody."""
    others = Others()
    said = [
        lambda _, eid=eid: ("conversation", pb.Conversation(action=pb.Conversation.GET, feed=True, peer=eid))
        for eid in ("nobody", "bob", "carol")
    ]
    absent, *theirs = [work_of(others, say, others.absent) for say in said]

    assert [error.code for error in absent[0]] == [pb.NOT_FOUND]
    assert theirs == [absent, absent]


STANDING: dict[str, dict[Table, dict[Any, Any]]] = {
    "a stranger": {},
    "one who accepted her and hides": {
        Table.CONTACTS: {(4, 1): Contact(grants=True)},
        Table.SETTINGS: {(4, Setting.VISIBLE): written(0)},
    },
    "one who accepted her and makes an exception": {
        Table.CONTACTS: {(4, 1): Contact(grants=True)},
        Table.SETTINGS: {(4, setting): written(1) for setting in ABOUT_PRESENCE},
        Table.PRIVACY_EXCEPTIONS: {(4, 1, setting): written(DENIED) for setting in ABOUT_PRESENCE},
    },
    "one who shows it to nobody": {
        Table.CONTACTS: {(4, 1): Contact(grants=True)},
        Table.SETTINGS: {(4, setting): written(0) for setting in ABOUT_PRESENCE},
    },
    "one who shows it to contacts": {Table.SETTINGS: {(4, setting): written(2) for setting in ABOUT_PRESENCE}},
    "one who has blocked her": {
        Table.CONTACTS: {(4, 1): Contact(blocked=True, blocked_at=Millis(5))},
        Table.ROSTERS: {(4,): Roster(1, blocked=1)},
    },
    "one whom she has blocked": {
        Table.CONTACTS: {(4, 1): Contact(grants=True), (1, 4): Contact(blocked=True)},
        Table.ROSTERS: {(1,): Roster(1, blocked=1)},
    },
}
"""Of Dave, whom Ann may not see, whatever the reason is."""


@pytest.mark.parametrize("what", STANDING)
def test_whoever_asks_how_somebody_is_learns_not_why_they_are_told_nothing(what: str) -> None:
    absent, found = (asked_of(eid, STANDING[what]) for eid in ("nobody", "dave"))

    assert found == absent
    assert found[0] == (pb.OFFLINE, 0)


def asked_of(eid: str, standing: dict[Table, dict[Any, Any]]) -> tuple[tuple[int, int], Work]:
    """What Ann is told of how somebody is, and what was read for it."""
    others = Others()
    others.ledger.device("dave")
    others.ledger.store.begin()
    others.ledger.store.apply(Changes(puts=standing))
    others.ledger.store.commit()
    work: Work = []
    peer = Peer(cast("MemoryStore", CountedStore(others.ledger.store, work)))
    peer.take("awareness", pb.Awareness(to=pb.Identity(eid=eid)))
    [frame] = peer.frames
    told = pb.MessageScheme.FromString(frame).awareness
    return (told.status, told.last_seen), work

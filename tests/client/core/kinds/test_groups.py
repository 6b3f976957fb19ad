from bimip.client.core.kinds import CLIENT_KINDS
from bimip.client.core.kinds.groups import KnownGroup, groups_of
from bimip.client.core.state import State
from bimip.client.events import GroupChanged
from bimip.client.store import Store
from bimip.client.wire.bimip import Conversation, Member, StateItem
from tests.client.support import page


def group(title: str, changed: int, *members: str, role: str = "member") -> StateItem:
    item = Conversation(id="c1", title=title, role=role, member_count=9, history_from=3, conversation_offset=changed)
    item.members = [Member(eid=eid, role="admin") for eid in members]
    return StateItem(group=item)


def gone(conversation: str = "c1") -> StateItem:
    return StateItem(removed=True, group=Conversation(id=conversation))


def test_of_two_the_one_that_changed_later_counts(store: Store) -> None:
    state = State(store, CLIENT_KINDS)

    assert state.page(page(0, 1, group("trip", 4, "bob"))) == [
        GroupChanged("c1", "trip", "member", 9, {"bob": "admin"})
    ]
    assert state.page(page(1, 2, group("before", 3))) == []
    assert state.page(page(2, 3, group("trip", 4, "bob"))) == []
    assert state.page(page(3, 4, group("journey", 5, role="owner"))) == [GroupChanged("c1", "journey", "owner", 9, {})]
    assert groups_of(store) == {"c1": KnownGroup(5, "journey", "owner", 9, 3, ())}


def test_a_group_that_one_is_in_no_more_is_gone_and_may_come_back(store: Store) -> None:
    state = State(store, CLIENT_KINDS)
    state.page(page(0, 1, group("trip", 4)))

    assert state.page(page(1, 2, gone(), gone("c2"))) == [GroupChanged("c1", "trip", "", 0, {}, is_gone=True)]
    assert groups_of(store) == {}
    assert state.page(page(2, 3, group("trip", 9))) == [GroupChanged("c1", "trip", "member", 9, {})]

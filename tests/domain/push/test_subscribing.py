"""Subscriptions come, are replaced and go, each once however often it is asked for."""

from bimip.domain.core.ids import ConversationOffset, DeviceId, Millis
from bimip.domain.core.operations import Done, Fault, Forget, Refused
from bimip.domain.core.records import PushShown, Table
from bimip.domain.push.subscribing import (
    MAX_OF_A_DEVICE,
    MAX_OF_A_USER,
    Subscribe,
    Subscribed,
    SubscriptionKey,
    Unsubscribe,
    subscriptions_of,
)
from tests.domain.support import BEGIN, Ledger, Peer


def subscribe(peer: Peer, name: str = "p", token: str = "t") -> Subscribe:
    return Subscribe(SubscriptionKey(peer.user, peer.device, name), "fcm", token)


def tokens(ledger: Ledger, peer: Peer) -> list[str]:
    with ledger.store.snapshot() as view:
        return [subscription.token for _, subscription in subscriptions_of(view, peer.user)]


def rows(ledger: Ledger) -> dict[object, object]:
    tables = (Table.PUSH_SUBSCRIPTIONS, Table.PUSH_CURSORS, Table.PUSH_SHOWN)
    return {key: record for key, record in ledger.everything().items() if key[0] in tables}


def test_it_begins_at_the_heads_of_the_logs() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    ledger.send(bob, "ann", "m1")
    ledger.send(bob, "ann", "m2", partition="notification")

    assert ledger.do(subscribe(ann)) == Subscribed(BEGIN)
    cursors = {key[1][2]: record for key, record in ledger.everything().items() if key[0] is Table.PUSH_CURSORS}
    assert cursors == {"chat": 1, "notification": 1}


def test_another_under_its_id_takes_its_place_and_goes_on_where_it_was() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    ledger.send(bob, "ann", "m1")
    ledger.do(subscribe(ann))
    before = rows(ledger)
    ledger.send(bob, "ann", "m2")
    ledger.now = Millis(BEGIN + 5)

    assert ledger.do(subscribe(ann, token="another")) == Subscribed(BEGIN)
    assert tokens(ledger, ann) == ["another"]
    assert rows(ledger).keys() == before.keys()
    assert ledger.do(subscribe(ann, token="another")) == Subscribed(BEGIN)
    assert tokens(ledger, ann) == ["another"]


def test_there_are_only_so_many_of_a_device_and_of_a_user() -> None:
    ledger = Ledger()
    devices = [ledger.device("ann", f"d{number}") for number in range(MAX_OF_A_USER // MAX_OF_A_DEVICE + 1)]
    refused = [
        ledger.do(subscribe(device, f"p{number}")) for device in devices[:1] for number in range(MAX_OF_A_DEVICE + 1)
    ][-1]
    for device in devices[1:-1]:
        for number in range(MAX_OF_A_DEVICE):
            ledger.do(subscribe(device, f"p{number}"))
    last = ledger.do(subscribe(devices[-1]))

    for one in (refused, last):
        assert isinstance(one, Refused)
        assert (one.fault, one.field) == (Fault.CONFLICT, "id")
    assert len(tokens(ledger, devices[0])) == MAX_OF_A_USER


def test_it_goes_with_all_that_is_its_own_and_no_other_one() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    ledger.send(bob, "ann", "m1")
    ledger.do(subscribe(ann, "p"))
    ledger.do(subscribe(ann, "q", "other"))
    number = ledger.get(Table.PUSH_SUBSCRIPTIONS, ann.user, ann.device, "p").number
    with_shown = ledger.decide()[0]
    with_shown.changes.puts[Table.PUSH_SHOWN] = {
        (ann.user, number, 1, "chat"): PushShown(ConversationOffset(1), 1, BEGIN)
    }
    ledger.commit(with_shown.changes)

    for _ in range(2):
        assert ledger.do(Unsubscribe(SubscriptionKey(ann.user, ann.device, "p"))) == Done()
        assert tokens(ledger, ann) == ["other"]
        assert len(rows(ledger)) == 2


def test_what_a_gateway_says_of_an_older_token_does_not_take_the_newer_one() -> None:
    ledger = Ledger()
    ann = ledger.device("ann")
    ledger.do(subscribe(ann))
    ledger.do(subscribe(ann, token="newer"))
    ledger.do(Unsubscribe(SubscriptionKey(ann.user, ann.device, "p"), "t"))

    assert tokens(ledger, ann) == ["newer"]


def test_a_device_that_is_forgotten_leaves_nothing_and_cannot_subscribe() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    ledger.send(bob, "ann", "m1")
    ledger.do(subscribe(ann))
    ledger.do(Forget(DeviceId(ann.device)))

    assert rows(ledger) == {}
    assert isinstance(ledger.do(subscribe(ann)), Refused)
    assert rows(ledger) == {}

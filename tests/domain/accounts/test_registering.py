from bimip.domain.accounts.registering import CreateUser, UserCreated
from bimip.domain.core.ids import DeviceId, Millis, UserId
from bimip.domain.core.operations import Done, Forget, Register, Revoke
from bimip.domain.core.records import Device, DeviceOwner, Table, User
from tests.domain.support import BEGIN, Ledger


def test_a_token_that_connects_makes_a_user_and_a_device() -> None:
    ledger = Ledger()
    phone = ledger.device("ann", "phone")

    assert ledger.get(Table.USERS, "ann") == User(phone.user, BEGIN, phone.device)
    assert ledger.get(Table.EIDS, phone.user) == "ann"
    assert ledger.get(Table.DEVICES, phone.user, "phone") == Device(phone.device, BEGIN, BEGIN)
    assert ledger.get(Table.DEVICE_OWNERS, phone.device) == DeviceOwner(phone.user, "phone")


def test_who_returns_is_the_same() -> None:
    ledger = Ledger()
    phone = ledger.device("ann", "phone")
    ledger.now = Millis(BEGIN + 7)

    assert ledger.device("ann", "phone") == phone
    assert ledger.get(Table.DEVICES, phone.user, "phone") == Device(phone.device, BEGIN, Millis(BEGIN + 7))
    assert ledger.get(Table.USERS, "ann").created == BEGIN


def test_an_operator_creates_a_user_whose_first_device_comes_later() -> None:
    ledger = Ledger()
    created, again = ledger.do_all(CreateUser("ann"), CreateUser("ann"))
    before: User = ledger.get(Table.USERS, "ann")
    phone = ledger.device("ann", "phone")

    assert (created, again) == (UserCreated(UserId(1), duplicate=False), UserCreated(UserId(1), duplicate=True))
    assert (before, ledger.get(Table.EIDS, 1)) == (User(UserId(1), BEGIN), "ann")
    assert (phone.user, ledger.get(Table.USERS, "ann").first_device) == (1, phone.device)


def test_numbers_are_never_used_twice() -> None:
    ledger = Ledger()
    results = ledger.do_all(*(Register(eid, name) for eid in ("ann", "bob") for name in ("phone", "watch")))
    again = ledger.do_all(Register("ann", "watch"), Register("cid", "phone"))

    assert results == [(1, 1), (1, 2), (2, 3), (2, 4)]
    assert again == [(1, 2), (3, 5)]


def test_a_device_that_is_forgotten_goes_with_its_cursors_and_returns_as_another() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    laptop = ledger.device("bob", "laptop")
    ledger.send(ann, "bob", "m")
    ledger.ack(bob, 1)
    ledger.ack(laptop, 1)

    assert ledger.do(Forget(bob.device)) == Done()
    assert ledger.get(Table.DEVICES, bob.user, "phone") is None
    assert ledger.cursor(bob) is None
    assert ledger.cursor(laptop) is not None
    assert ledger.device("bob").device not in {ann.device, bob.device, laptop.device}


def test_forgetting_again_does_not_forget_who_took_the_name_since() -> None:
    ledger = Ledger()
    old = ledger.device("bob")
    ledger.do(Forget(old.device))
    new = ledger.device("bob")
    ledger.do(Forget(old.device))

    assert ledger.get(Table.DEVICES, new.user, "phone").number == new.device


def test_forgetting_nobody_changes_nothing() -> None:
    ledger = Ledger()
    ledger.device("bob")
    before = ledger.everything()

    assert ledger.do(Forget(DeviceId(99))) == Done()
    assert ledger.everything() == before


def test_a_revoked_token_is_known_until_it_would_have_expired() -> None:
    ledger = Ledger()
    ledger.do(Revoke(UserId(1), "token", Millis(BEGIN + 9)))

    assert ledger.get(Table.REVOKED, 1, "token") == BEGIN + 9

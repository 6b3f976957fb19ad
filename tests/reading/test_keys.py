from bimip.domain.accounts.keys import KeyOwner, PublishKeys, Signed
from bimip.reading.keys import OwnKeys, read_keys, read_own_keys
from tests.domain.support import Ledger


def test_keys_are_read_and_none_of_them_is_taken() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    key = Signed(4, bytes(32), bytes(64))
    ledger.do(PublishKeys(bob.user, bob.device, b"i" * 32, bytes(32), bytes(64), key, (key,)))

    for _ in range(2):
        (found,) = read_keys(ledger.store, ann.user, (KeyOwner("bob"),), "", "correspondents").found
        assert (found.owner, found.keys.identity) == (KeyOwner("bob", bob.name), b"i" * 32)
    assert read_own_keys(ledger.store, bob.user, bob.device) == OwnKeys(1, 4)
    assert read_own_keys(ledger.store, ann.user, ann.device) == OwnKeys(0, 0)

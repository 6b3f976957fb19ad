"""The SDK's digest of what it sends is the one that the server makes of what arrives."""

from hypothesis import given
from hypothesis import strategies as st

from bimip.client.core.chain import digest_of
from bimip.client.wire import bimip as sdk
from bimip.names import normal_eid
from bimip.wire import bimip_pb2 as pb
from bimip.wire import stored
from bimip.wire.checks import check_recipient
from bimip.wire.limits import Limits

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
eids = st.sampled_from(["bob", "zoe\u0308", "c12", "Ann B."])
identities = st.builds(sdk.Identity, eid=eids.filter(lambda eid: eid != "c12"), connection_resource_id=texts)
addresses = st.builds(sdk.DeviceAddress, identity=identities, payload=st.none() | st.binary(max_size=200))
messages = st.builds(
    sdk.Message,
    id=texts,
    to=st.builds(sdk.Identity, eid=eids),
    type=st.integers(0, 2**31 - 1),
    payload=st.binary(max_size=300),
    encryption_type=texts,
    encrypted=texts,
    devices=st.lists(addresses, max_size=3),
)


@given(messages, st.sampled_from(["chat", "feed"]))
def test_both_ends_make_the_same_digest(message: sdk.Message, partition: str) -> None:
    arrived = pb.Message.FromString(bytes(message))
    arrived.to.eid = check_recipient(arrived.to.eid, "to.eid", Limits())
    for one in arrived.devices:
        one.identity.eid = normal_eid(one.identity.eid)

    assert digest_of(message, partition) == stored.digest(arrived, arrived.to.eid, partition)


def test_a_digest_that_is_told_counts() -> None:
    assert digest_of(sdk.Message(payload=b"x", digest=b"8 bytes."), "chat") == b"8 bytes."

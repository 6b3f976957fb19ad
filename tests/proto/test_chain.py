"""PROTOCOL.md's example of a chain is what the server and the SDK make of these entries."""

import re
from hashlib import blake2b
from pathlib import Path

from bimip.client.core.chain import START, digest_of, extended
from bimip.client.wire import bimip as sdk
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Stamp, UserId
from bimip.domain.core.records import Entry
from bimip.domain.messages.chaining import extend
from bimip.wire import stored
from bimip.wire.codec import decode

TEXT = (Path(__file__).parents[2] / "proto/PROTOCOL.md").read_text("utf-8")
(LINES,) = re.findall(r"```chain\n(.*?)```", TEXT, re.DOTALL)
TOLD = {name: bytes.fromhex(digits) for name, digits in re.findall(r"^(.+) = ([0-9a-f]+)$", LINES, re.MULTILINE)}
(SENT, *_) = re.findall(r"```hex\n(.*?)```", TEXT, re.DOTALL)


def test_the_digest_is_the_servers_and_the_sdks() -> None:
    message = decode(bytes.fromhex(SENT)).message
    of_the_sdk = sdk.MessageScheme.parse(bytes.fromhex(SENT)).message
    assert of_the_sdk is not None

    assert blake2b(TOLD["hashed for the digest"], digest_size=8).digest() == TOLD["digest of entry 1"]
    assert stored.digest(message, message.to.eid, "chat") == TOLD["digest of entry 1"]
    assert digest_of(of_the_sdk, "chat") == TOLD["digest of entry 1"]


def entry(number: int) -> Entry:
    return Entry(
        Stamp(int.from_bytes(TOLD[f"signal_offset of entry {number}"])),
        ConversationId(1),
        ConversationOffset(number),
        UserId(1),
        DeviceId(1),
        addressed=False,
        digest=TOLD[f"digest of entry {number}"],
    )


def test_the_chain_is_the_servers_and_the_sdks() -> None:
    chain = START
    for number in (1, 2):
        one = entry(number)
        chain = extended(chain, one.stamp, one.digest)

        assert chain == TOLD[f"chain at {number}"]
        assert extend(START, 0, map(entry, range(1, number + 1)))[0] == chain


def test_the_first_entry_is_the_message_of_the_examples() -> None:
    assert str(int.from_bytes(TOLD["signal_offset of entry 1"])) in TEXT.split("## Examples")[1]

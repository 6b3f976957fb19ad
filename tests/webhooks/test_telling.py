"""What PROTOCOL.md says of webhooks is what a back end is told, and its check of signatures is right."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from bimip.domain.core.clock import stamp_of
from bimip.domain.core.ids import ConversationId, ConversationOffset, Stamp, UserId
from bimip.domain.core.records import Changes, Event, Table
from bimip.domain.webhooks.feed import KIND_NAMES, EventKind
from bimip.storage.memory import MemoryStore
from bimip.webhooks.telling import describe
from tests.domain.support import BEGIN
from tests.kit.webhooks import SECRET
from tests.proto.test_protocol import SECTIONS, TEXT, rows

[EXAMPLE] = re.findall(r"POST /bimip HTTP/1.1\n(.*?)\n\n(.*?)\n```", TEXT, re.DOTALL)
[CHECK] = re.findall(r"```python\n(def is_from_the_server\(headers.*?)```", TEXT, re.DOTALL)


def test_the_pages_example_has_its_signature_by_the_pages_own_check() -> None:
    names: dict[str, Any] = {"Mapping": Mapping, "base64": base64, "hashlib": hashlib, "hmac": hmac}
    exec(CHECK, names)
    headers = dict(line.split(": ", 1) for line in EXAMPLE[0].splitlines())
    body, now = EXAMPLE[1].encode(), 1_700_000_000.0
    check = names["is_from_the_server"]

    assert SECRET in SECTIONS["Webhooks"]
    assert check(headers, body, SECRET, now)
    assert check(headers | {"webhook-signature": f"v1,x {headers['webhook-signature']}"}, body, SECRET, now)
    assert not check(headers, body + b" ", SECRET, now)
    assert not check(headers, body, SECRET, now + 600)


def test_the_page_names_all_that_is_told() -> None:
    assert [cells[0].strip("`") for cells in rows("Webhooks") if "." in cells[0]] == list(KIND_NAMES)


def test_the_pages_example_is_what_would_be_told() -> None:
    """As far as no message is there."""
    said = json.loads(EXAMPLE[1])
    store = MemoryStore()
    store.begin()
    store.apply(Changes(puts={Table.EIDS: {(1,): said["data"]["user"]}}))
    store.commit()
    place = ConversationOffset(int(said["data"]["conversation_offset"]))
    stamp = Stamp(int(said["data"]["signal_offset"]))
    event = Event(EventKind.ACCEPTED, BEGIN, UserId(1), ConversationId(7), place, place, stamp)
    with store.snapshot() as view:
        told = describe(view, event, content=False)
        gone = describe(view, event._replace(user=UserId(2)), content=False)

    assert told is not None
    assert (told["type"], told["timestamp"]) == (said["type"], said["timestamp"])
    assert told["data"] == {name: said["data"][name] for name in told["data"]}
    assert said["data"].keys() - told["data"].keys() == {"id", "device", "to", "partition"}
    assert stamp_of(said["data"]["signal_id"]) == stamp
    assert gone is None

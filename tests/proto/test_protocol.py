"""proto/PROTOCOL.md says what the contract and the code say: its tables and examples are compared with them."""

import re
from pathlib import Path

import pytest

from bimip.client.wire import bimip as sdk
from bimip.domain.awareness.calls import draw
from bimip.domain.awareness.settings import CallSettings
from bimip.domain.contacts.privacy import COLUMNS
from bimip.domain.contacts.privacy import ROWS as SEEN
from bimip.domain.push.outbox import NoticeKind
from bimip.gateway.authentication import MAX_TOKEN_CHARS
from bimip.names import NameRefusedError, normal_eid
from bimip.push.notifications import Notification
from bimip.requests.calls import MAX_PAYLOAD_BYTES
from bimip.requests.message import check_message
from bimip.session.close import Close, may_reconnect
from bimip.users.calls import KEPT, KEPT_BYTES
from bimip.users.hello import MAX_AGENT_CHARS
from bimip.wire import bimip_pb2 as pb
from bimip.wire.codec import ROUTES, decode
from bimip.wire.errors import WireError
from bimip.wire.json import MAX_COMMAS, MAX_OBJECTS, from_json
from bimip.wire.limits import Limits

TEXT = (Path(__file__).parents[2] / "proto/PROTOCOL.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^#{2,3} (.+?)\n(.*?)(?=^#{2,3} |\Z)", TEXT, re.MULTILINE | re.DOTALL))
TYPES = sorted(set(pb.DESCRIPTOR.message_types_by_name) & set(SECTIONS) - {"Limits"})  # which have a table of defaults
EXAMPLES = re.findall(r"```hex\n(.*?)```\s+```json\n(.*?)```", TEXT, re.DOTALL)


def rows(section: str) -> list[list[str]]:
    """The cells of a section's tables, without the heads."""
    lines = [line.strip("|").split("|") for line in SECTIONS[section].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in cells] for cells in lines if cells[0].strip(" -").strip()]


NUMBERS = [
    (text, cells[1]) for cells in rows("The frame") if len(cells) == 5 for text in re.findall(r"`(.+?)`", cells[0])
]
TEXTS = [
    (text, cells[4]) for cells in rows("The frame") if len(cells) == 5 for text in re.findall(r"`(.+?)`", cells[3])
]


@pytest.mark.parametrize(
    ("field", "text", "verdict"),
    [
        *(("upto", text, verdict) for text, verdict in NUMBERS),
        *(("payload" if text[:2] in {'"Y', '"-', '"+'} else "kind", text, verdict) for text, verdict in TEXTS),
    ],
)
def test_the_examples_of_json_are_taken_or_refused(field: str, text: str, verdict: str) -> None:
    """An enum's name stands in `Receipts`."""
    of_receipts = f'{{"route": 16, "state_delta": {{"items": [{{"receipts": {{"kind": {text}}}}}]}}}}'
    of_a_signal = f'{{"route": 7, "signal": {{"{field}": {text}}}}}'

    def take() -> object:
        scheme = pb.MessageScheme.FromString(from_json(of_receipts if field == "kind" else of_a_signal))
        return scheme.state_delta.items[0].receipts.kind if field == "kind" else getattr(scheme.signal, field)

    if verdict.startswith("refused"):
        with pytest.raises(WireError, match="MALFORMED"):
            take()
    else:
        assert take()


def test_there_are_examples_of_json() -> None:
    assert len(NUMBERS) == 10
    assert len(TEXTS) == 9


@pytest.mark.parametrize("name", TYPES)
def test_a_frames_table_names_its_fields_and_no_others(name: str) -> None:
    fields = {(field.number, field.name) for field in pb.DESCRIPTOR.message_types_by_name[name].fields}
    told = {(int(cells[0]), cells[1].strip("`")) for cells in rows(name) if cells[0].isdigit()}

    assert fields == told


def test_who_sees_what_is_as_the_rules_have_it() -> None:
    drawn = [[seen.value, ", ".join(COLUMNS[check] for check in checks)] for seen, checks in SEEN.items()]

    assert rows("Who sees what")[1:] == drawn


def test_every_frame_that_is_served_is_explained() -> None:
    served = {cells[at + 1]: cells[at + 2] for cells in rows("The frame") for at in (0, 4) if cells[at].isdigit()}

    assert set(served) <= set(TYPES)
    assert set(served.values()) == {"yes"}


def test_the_routes_are_the_contracts() -> None:
    told = {cells[at + 1]: int(cells[at]) for cells in rows("The frame") for at in (0, 4) if cells[at].isdigit()}
    fields = pb.MessageScheme.DESCRIPTOR.fields_by_name

    assert {fields[name].message_type.name: route for name, route in ROUTES.items()} == told  # type: ignore[union-attr]


def test_the_table_of_calls_is_the_one_that_the_server_goes_by() -> None:
    assert "\n".join(draw()) in SECTIONS["Calls"]
    ends = {cells[1]: int(cells[0]) for cells in rows("Calls") if cells[0].isdigit()}
    assert list(ends.items()) == pb.CallEnd.items()[1:]
    assert f"{MAX_PAYLOAD_BYTES:,} bytes at most" in SECTIONS["Signal"]
    assert f"{KEPT} signals or {KEPT_BYTES:,} bytes" in SECTIONS["Calls"]
    assert f"more than {CallSettings().steps_per_second} steps a second" in SECTIONS["Calls"]
    assert f"less than {CallSettings().away_seconds:g} seconds" in SECTIONS["Calls"]


def test_the_close_codes_are_those_of_the_code() -> None:
    told = [(int(cells[0]), cells[1], cells[2]) for cells in rows("Close codes") if cells[0].isdigit()]

    assert [(code.value, code.name, "yes" if may_reconnect(code) else "no") for code in Close] == told


def test_the_error_codes_are_the_contracts() -> None:
    told = [(cells[1], int(cells[0])) for cells in rows("Errors") if cells[0].isdigit()]

    assert pb.ErrorCode.items()[1:] == told


def test_the_limits_are_the_defaults() -> None:
    told = {cells[0].strip("`"): int(cells[1]) for cells in rows("Limits") if cells[0].startswith("`")}
    defaults = Limits().told()

    assert defaults == told


def test_the_limits_that_hello_does_not_tell_are_told_here() -> None:
    limits = Limits()
    expected = (
        f"{limits.max_partitions} partitions in a `Hello`; {limits.max_devices} addressed devices, "
        f"{limits.max_mentions} mentions and {limits.max_audiences} audiences in a message"
    )

    assert expected in SECTIONS["Limits"]
    assert (
        f"{MAX_AGENT_CHARS} characters of `Hello.agent`; {MAX_TOKEN_CHARS:,} characters of a token"
        in SECTIONS["Limits"]
    )
    assert f"more than {MAX_OBJECTS:,} objects or {MAX_COMMAS:,} commas" in SECTIONS["The frame"]


def test_what_is_pushed_at_once_and_what_replaces_what_are_as_the_code_has_it() -> None:
    (said,) = re.findall(
        r"`Urgency` is `high` of (.*?), and else `normal`; of (.*?) the push service keeps only", SECTIONS["Web Push"]
    )
    all_kinds = [Notification("n", kind, "k", {}, 60, is_of_call=kind is NoticeKind.CALL) for kind in NoticeKind]
    urgent = {one.kind for one in all_kinds if one.is_urgent}
    urgent_named, alone_named = (set(re.findall(r"`(\w+)`", part)) for part in said)

    assert urgent_named == urgent | {"clear"}
    assert "and the `clear` of a call" in said[0]
    assert alone_named == {one.kind for one in all_kinds if one.is_alone}


@pytest.mark.parametrize(("digits", "text"), EXAMPLES)
def test_an_example_is_the_same_in_hex_and_in_json_for_both_codecs(digits: str, text: str) -> None:
    frame = bytes.fromhex(digits)
    scheme = decode(frame)

    assert scheme == decode(from_json(text))
    assert scheme == pb.MessageScheme.FromString(bytes(sdk.MessageScheme.parse(frame)))


def test_the_first_example_is_explained_byte_by_byte_and_accepted() -> None:
    frame = bytes.fromhex(EXAMPLES[0][0])
    (explained,) = re.findall(r"```bytes\n(.*?)```", TEXT, re.DOTALL)
    digits = "".join(re.split(r"\s{2,}", line.strip())[0] for line in explained.splitlines())
    check_message(decode(frame).message, Limits(), "b@domain.com")

    assert frame == bytes.fromhex(digits)


def test_there_is_a_request_its_answer_and_its_delivery() -> None:
    schemes = [decode(bytes.fromhex(digits)) for digits, _ in EXAMPLES]

    assert [scheme.WhichOneof("payload") for scheme in schemes] == ["message", "body", "body"]
    assert schemes[0].ref == schemes[1].body.signals[0].ref
    assert schemes[1].body.signals[0].signal_offset == schemes[2].body.messages[0].signal_offset
    assert bytes.fromhex(EXAMPLES[2][0]).endswith(b"\x69\x0d" + bytes(7))


def test_the_contents_lead_to_sections() -> None:
    anchors = re.findall(r"^- \[(.+?)\]\(#(.+?)\)$", TEXT, re.MULTILINE)

    assert [title for title, _ in anchors] == re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    assert all(anchor == title.lower().replace(" ", "-") for title, anchor in anchors)


@pytest.mark.parametrize("cells", [cells for cells in rows("Names") if cells[0].startswith("`")])
def test_the_examples_of_names_are_names_or_none(cells: list[str]) -> None:
    written = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), cells[0].strip("`"))
    if cells[1] == "a name":
        assert normal_eid(written)
    else:
        with pytest.raises(NameRefusedError):
            normal_eid(written)

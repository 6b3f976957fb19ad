from pathlib import Path
from typing import Any, cast

import pytest

from bimip.client.errors import InvalidArgument
from bimip.client.facets.notes import Notes
from tests.client.support import FakeServer, a_client, both_backends


@both_backends
async def test_notes_outlive_the_client_by_kind_and_name(tmp_path: Path) -> None:
    path = tmp_path / "phone.db"
    async with a_client(FakeServer(), path=path) as client:
        client.notes.keep("drafts", "carol", b"later")
        client.notes.keep("drafts", "bob", b"Hel")
        client.notes.keep("drafts", "bob", b"Hello")
        client.notes.keep("places", "bob", b"\x00")
    async with a_client(FakeServer(), path=path) as client:
        assert list(client.notes.all("drafts").items()) == [("bob", b"Hello"), ("carol", b"later")]
        client.notes.drop("drafts", "bob")
        client.notes.drop("drafts", "nobody")
        found = [client.notes.get(kind, "bob") for kind in ("drafts", "places", "none")]

        assert (found, client.notes.all("drafts")) == ([None, b"\x00", None], {"carol": b"later"})


@pytest.mark.parametrize(
    ("kind", "name", "value"), [(1, "bob", b""), ("drafts", None, b""), ("drafts", "bob", "Hello")]
)
def test_what_is_no_note_is_refused(kind: object, name: object, value: object) -> None:
    nothing = cast("Any", None)

    with pytest.raises(InvalidArgument):
        Notes(nothing, nothing, nothing).keep(cast("Any", kind), cast("Any", name), cast("Any", value))

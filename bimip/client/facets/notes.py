"""Notes: what a program keeps for itself in the client's file, beside what it gives the server.

    client.notes.keep("drafts", "bob@example.org", b"To be said")
    for who, draft in client.notes.all("drafts").items():
        print(who, "is to be told:", draft.decode())
    client.notes.drop("drafts", "bob@example.org")
    print(client.notes.get("drafts", "bob@example.org"))

Events: none. Nothing of it leaves the device.
"""

from bimip.client.arguments import checked_text
from bimip.client.errors import InvalidArgument
from bimip.client.facets.facet import Facet


class Notes(Facet):
    """`client.notes`: bytes by kind and name, of which the program says what they are.

    A note is in the file when the call returns: it outlives a killed process, and goes with the file. All calls are at
    once, and raise InvalidArgument for what is no text and no bytes, StoreError where the file fails. There is nothing
    to be cancelled.
    """

    def keep(self, kind: str, name: str, value: bytes) -> None:
        """Keep a note, in the place of the one of this kind and name."""
        if not isinstance(value, bytes):
            raise InvalidArgument(f"a note is bytes, and not {value!r}")
        checked_text("kind", kind)
        checked_text("name", name)
        self._device.store.set_note(kind, name, value)

    def get(self, kind: str, name: str) -> bytes | None:
        """Return a note; None: there is none."""
        return self._device.store.note(checked_text("kind", kind), checked_text("name", name))

    def all(self, kind: str) -> dict[str, bytes]:
        """Return the notes of a kind by name, in the order of their names."""
        return self._device.store.notes(checked_text("kind", kind))

    def drop(self, kind: str, name: str) -> None:
        """Drop a note, where there is one."""
        self._device.store.drop_note(checked_text("kind", kind), checked_text("name", name))

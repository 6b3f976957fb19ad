"""The copy of the user's state, from the pages that the server sends. It names no kind: `kinds/` does.

Pages join like ranges of a log. A *whole* state (reset … complete) comes page by page as well: each value takes the
place of what was known of its key, which may have been another epoch's, and at its end goes what was in none of its
pages. Its version counts only then, so that a connection that is cut in the middle begins anew.

What belongs to a whole state is told by its generation, a number that is stored with each value: reset begins a new
one, and what has an older one when it is complete was in none of its pages. One that this device asks for itself has a
generation too; both may be under way at once, and neither drops what the other one brought.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import betterproto2

from bimip.client.core.kinds.kind import AnyKind, Table
from bimip.client.errors import ProtocolViolation
from bimip.client.events import Event
from bimip.client.store import Store
from bimip.client.wire.bimip import StateDelta, StateItem


class State:
    def __init__(self, store: Store, kinds: Iterable[AnyKind]) -> None:
        self._store = store
        self._tables: dict[str, Table[Any]] = {kind.field: Table(store, kind) for kind in kinds}
        self._resetting = False
        self._sent_generation = 0  # of the whole state that the server sends, or sent last
        self._asked_generation = 0  # of the one that this device asked for last
        self._note_kinds()

    def _note_kinds(self) -> None:
        """A program that knows a kind which the last one left out asks for the whole state again."""
        meta, kept = self._store.meta, " ".join(sorted(self._tables))
        if meta.state_kinds != kept:
            is_new = not self._tables.keys() <= set(meta.state_kinds.split())
            self._store.set_meta(replace(meta, state_kinds=kept, state_version=0 if is_new else meta.state_version))

    @property
    def version(self) -> int:
        return self._store.meta.state_version

    def connected(self) -> None:
        """Begin a new connection: a whole state that the last one began is not continued on it."""
        self._resetting = False

    def forget_version(self) -> None:
        self._store.set_meta(replace(self._store.meta, state_version=0))

    def page(self, page: StateDelta) -> list[Event]:
        """Merge one page; the caller's transaction makes it and its version one."""
        meta = self._store.meta
        if page.reset:
            self._resetting = True
            meta = replace(meta, state_generation=meta.state_generation + 1)
            self._store.set_meta(meta)
            self._sent_generation = meta.state_generation
        elif not self._resetting and page.after > meta.state_version:
            raise ProtocolViolation(f"a state page begins after {page.after}, but {meta.state_version} is where we are")
        events = self.items(page.items, whole=self._resetting)
        if not self._resetting:
            self._store.set_meta(replace(meta, state_version=max(meta.state_version, page.upto)))
        elif page.complete:
            self._resetting = False
            events += self._drop_before(self._sent_generation)
            self._store.set_meta(replace(meta, state_version=page.upto))
        return events

    def items(self, items: Iterable[StateItem], *, whole: bool = False) -> list[Event]:
        """Merge items of any version. `whole`: each is all that there is of its key."""
        return [event for item in items for event in self._item(item, whole=whole)]

    def read_again(self, items: Iterable[StateItem], *, begins: bool, complete: bool) -> list[Event]:
        """Merge a page of a whole state that was asked for; at its end goes what no page of it held.

        What comes by itself in between is of the same generation, and stays.
        """
        if begins:
            meta = self._store.meta
            self._asked_generation = meta.state_generation + 1
            self._store.set_meta(replace(meta, state_generation=self._asked_generation))
        events = self.items(items)
        if complete:
            events += self._drop_before(self._asked_generation)
        return events

    def _item(self, item: StateItem, *, whole: bool) -> Iterator[Event]:
        field, value = betterproto2.which_one_of(item, "value")
        table = self._tables.get(field)
        key = table.kind.key(value) if table else None
        if table is None or key is None:
            return  # a later version's
        known = table.get(key)
        if item.removed:
            table.drop(key)
            yield from table.changed(key, known, None)
            return
        arrived = table.kind.value(value)
        now = arrived if whole or known is None else table.kind.merge(known, arrived)
        table.set(key, now)
        yield from table.changed(key, known, now)

    def _drop_before(self, generation: int) -> list[Event]:
        return [
            event
            for field, key, stored in self._store.drop_state_before(generation)
            if (table := self._tables.get(field))
            for event in table.changed(key, table.kind.load(stored), None)
        ]

"""What a kind of state says of itself. The rest (versions, resets, the store) is the same for all: `core/state.py`."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Generic, TypeVar

from bimip.client.events import Event
from bimip.client.store import StateKey, Store

Item = TypeVar("Item")
Value = TypeVar("Value")


class Kind(ABC, Generic[Item, Value]):
    """A kind of state: `Item` is its message of the protocol, `Value` what is kept of it under a key."""

    field: ClassVar[str]
    """The field of StateItem in which it comes, and the name under which it is stored."""

    @abstractmethod
    def key(self, item: Item) -> StateKey | None:
        """Returns the key that an item is about; None leaves it out, as one that only a later version understands."""

    @abstractmethod
    def value(self, item: Item) -> Value:
        """Returns the value that an item brings. Raises ProtocolViolation for what no server may send."""

    @abstractmethod
    def merge(self, known: Value, arrived: Value) -> Value:
        """Merges two values of a key. It may not matter which came first, nor how often."""

    @abstractmethod
    def event(self, key: StateKey, before: Value | None, now: Value | None) -> Event | None:
        """Returns the event of a change, if it is one for programs. None: the key is not there."""

    def dump(self, value: Value) -> object:
        """Returns the value as JSON can hold it."""
        return value

    @abstractmethod
    def load(self, stored: Any) -> Value:  # noqa: ANN401 - what `dump` returned, after JSON
        """Returns the value that was dumped."""


AnyKind = Kind[Any, Any]


class Table(Generic[Value]):
    """The rows of one kind in the store."""

    def __init__(self, store: Store, kind: Kind[Any, Value]) -> None:
        self._store = store
        self.kind = kind

    def get(self, key: StateKey) -> Value | None:
        stored = self._store.state_value(self.kind.field, key)
        return None if stored is None else self.kind.load(stored)

    def under(self, prefix: StateKey) -> list[tuple[StateKey, Value]]:
        """Lists the rows whose keys begin with `prefix`, in no order that means something."""
        return [(key, self.kind.load(stored)) for key, stored in self._store.state_values(self.kind.field, prefix)]

    def set(self, key: StateKey, value: Value) -> None:
        self._store.set_state_value(self.kind.field, key, self.kind.dump(value))

    def drop(self, key: StateKey) -> None:
        self._store.drop_state_value(self.kind.field, key)

    def changed(self, key: StateKey, before: Value | None, now: Value | None) -> Iterator[Event]:
        if before != now and (event := self.kind.event(key, before, now)) is not None:
            yield event

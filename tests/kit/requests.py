"""What a client asked and was not answered, which it asks again on its next connection."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bimip.client.wire import bimip as pb

ALONE = (
    "conversation",
    "settings",
    "devices",
    "keys",
    "snapshot",
    "state_delta",
    "ping_pong",
    "push_notification",
    "contact",
    "awareness",
    "awareness_visibility",
    "location_stream",
    "peer_signal",
    "token_authority",
    "logout",
)
"""Payloads whose answer is the same payload."""
PARTS = {"messages": "message", "signals": "signal", "commands": "command"}
"""The fields of a `Body`, and what each is alone."""
CHANGING = frozenset(pb.ConversationAction) - {pb.ConversationAction.GET, pb.ConversationAction(0)}
NAMED = {*PARTS.values(), "contact"}
"""Payloads with an `id` of their own."""
READING = (pb.MessageStatus.READ, pb.MessageStatus.PLAYED)
OPENING = {"awareness": pb.AwarenessStatus.RESUME, "signal": pb.MessageStatus.STATUS_RESUME}
"""Statuses by which a conversation is opened, which its messages answer."""
DOING = frozenset(pb.AwarenessStatus(number) for number in (6, 7, 9, 10))
"""Statuses of an `Awareness` that are answered by errors alone, as a `Signal` is."""
DOING_SIGNALS = frozenset(pb.MessageStatus(number) for number in (6, 7, 8, 9))
"""And those of a `Signal` that mean the same."""


@dataclass(slots=True)
class Request:
    field: str
    """The payload's name in a frame."""
    ref: int
    payload: Any
    again: bool = False
    """It was sent on an earlier connection as well, and may have been taken there."""

    @property
    def kind(self) -> str:
        """What answers it: a payload of this name; what is done in a conversation counts as a `Signal`."""
        if self.field in OPENING and self.payload.status == OPENING[self.field]:
            return "resume"
        return "signal" if self.is_doing else self.field

    @property
    def is_doing(self) -> bool:
        """It says what somebody does in a conversation."""
        doing: dict[str, Any] = {"awareness": DOING, "signal": DOING_SIGNALS}
        return self.field in doing and self.payload.status in doing[self.field]

    @property
    def place(self) -> tuple[str, str]:
        """Where it is done."""
        return self.payload.conversation, self.payload.to.eid if self.payload.to is not None else ""

    @property
    def id(self) -> str:
        if self.kind == "conversation":
            return str(self.payload.request_id)
        return str(getattr(self.payload, "id", "")) if self.kind in NAMED else ""


@dataclass(slots=True)
class Answer:
    kind: str
    """Empty: an error, which answers anything."""
    ref: int
    id: str
    payload: Any

    def fits(self, request: Request) -> bool:
        """An id that the request left empty is drawn by the server; an error has none where it is about no such one."""
        is_named = request.id in {"", self.id} or not (self.kind or self.id)
        return is_named and self.ref == request.ref and self.kind in {"", request.kind}


def answers(scheme: pb.MessageScheme) -> Iterator[Answer]:
    """All that a frame answers."""
    body = scheme.body
    if body is not None:
        for signal in body.signals:
            if signal.status == pb.MessageStatus.SENT:
                yield Answer("message", signal.ref, signal.id, signal)
        for command in body.commands:
            yield Answer("command", command.ref, command.id, command)
        for error in body.errors:
            yield Answer("", error.ref, error.id, error)
        if body.turn == pb.Turn.TURN_FETCH:
            yield Answer("fetch", body.ref, "", body)
        if body.turn == pb.Turn.TURN_RESUME and body.complete:
            yield Answer("resume", body.ref, "", body)
    if scheme.error is not None:
        yield Answer("", scheme.error.ref, scheme.error.id, scheme.error)
    for kind in ALONE:
        payload = getattr(scheme, kind)
        if payload is not None:
            said = payload.id if kind in NAMED else getattr(payload, "request_id", "")
            yield Answer(kind, scheme.ref, said, payload)


class Requests:
    def __init__(self, eid: str, device: str, known: set[tuple[str, str, str, str]]) -> None:
        """`known`: what was ever answered, to this device or to others."""
        self._name = (eid, device)
        self._known = known
        self._open: list[Request] = []
        self._drawn = 0

    def name(self, payload: dict[str, Any]) -> None:
        """Draws the ids that were left empty: what has none cannot be asked again safely."""
        [(kind, said)] = payload.items()
        parts = [said] if kind in {"message", "command"} or self._changes_contact(kind, said) else []
        if kind == "body":
            parts = [*said.messages, *said.commands]
        for part in parts:
            part.id = part.id or self._draw()
        if kind == "conversation" and said.action in CHANGING:
            said.request_id = said.request_id or self._draw()

    @staticmethod
    def _changes_contact(kind: str, said: Any) -> bool:
        return kind == "contact" and said.action != pb.ContactAction.LIST

    def _draw(self) -> str:
        self._drawn += 1
        return f"drawn-{self._drawn}"

    def ask(self, ref: int, payload: dict[str, Any]) -> None:
        """Of what is done in a conversation the last word is kept: it takes the place of the one before."""
        [(kind, said)] = payload.items()
        asked = Request(kind, ref, said)
        if asked.is_doing:
            self._open = [one for one in self._open if not (one.is_doing and one.place == asked.place)]
        if kind == "body":
            for field, part in PARTS.items():
                self._open += [Request(part, getattr(one, "ref", 0) or ref, one) for one in getattr(said, field)]
        else:
            self._open.append(asked)

    def take(self, answer: Answer) -> None:
        """An answer that only says so because the request came twice is told as the first one would have been."""
        fitting = [one for one in self._open if answer.fits(one)]
        if not fitting:
            return
        request = next((one for one in fitting if one.id == answer.id), fitting[0])
        self._open.remove(request)
        key = (*self._name, request.kind, request.id)
        if request.again and key not in self._known and getattr(answer.payload, "duplicate", False):
            answer.payload.duplicate = False
        self._known.add(key)

    def settled(self) -> None:
        """All that was sent is done: what is answered by errors alone was taken."""
        self._open = [request for request in self._open if request.kind != "signal"]

    def again(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """All of them, in the order in which they were asked; but what somebody does, which is said later."""
        for request in self._open:
            request.again = True
            if request.is_doing:
                continue
            yield request.ref, {request.field: request.payload}

    def forget(self) -> None:
        """Nothing is asked again: whoever wanted to know is no more."""
        self._open.clear()

    @property
    def has_later(self) -> bool:
        return any(map(_is_for_later, self._open))

    def later_again(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Those that nothing answers, and that count for what is so when they are said: that something was read, for
        what the connection was sent by then, and what somebody does, for who is connected.
        """
        for request in filter(_is_for_later, self._open):
            yield request.ref, {request.field: request.payload}


def _is_for_later(request: Request) -> bool:
    return request.is_doing or (request.kind == "signal" and request.payload.status in READING)

"""Body: a batch, of which each part succeeds or fails on its own, as if it had come alone. Messages are taken first,
then signals, then commands, each in their order.
"""

from collections.abc import Iterable
from typing import Any

from bimip.requests import command, message, signal
from bimip.requests.asker import Asker
from bimip.requests.route import Rest
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

PARTS_AT_ONCE = 64
"""Of one batch, until others have their turn: of messages about 1 ms."""


def ask(asker: Asker, payload: pb.Body, ref: int) -> Rest | None:
    """Takes a batch: as many of its parts at once as one turn allows. One without parts is answered as a whole."""
    check_batch(payload, asker.services.limits)
    count = part_count(payload)
    if count > PARTS_AT_ONCE:
        return _in_slices(asker, payload, ref)
    if count:
        _take_parts(asker, payload.messages, payload.signals, payload.commands, ref)
        asker.owed -= 1  # each part is owed its own answer
    else:
        asker.answer_alone(codec.encode(pb.Body(ref=ref), ref))
    return None


def _in_slices(asker: Asker, payload: pb.Body, ref: int) -> Rest:
    messages, signals, commands = list(payload.messages), list(payload.signals), list(payload.commands)
    while messages or signals or commands:
        taken = messages[:PARTS_AT_ONCE]
        left = PARTS_AT_ONCE - len(taken)
        signalled = signals[:left]
        left -= len(signalled)
        _take_parts(asker, taken, signalled, commands[:left], ref)
        del messages[: len(taken)], signals[: len(signalled)], commands[:left]
        if messages or signals or commands:
            yield
    asker.owed -= 1  # each part is owed its own answer


def _take_parts(
    asker: Asker,
    messages: Iterable[pb.Message],
    signals: Iterable[pb.Signal],
    commands: Iterable[pb.Command],
    ref: int,
) -> None:
    for one in messages:
        asker.owed += 1
        try:
            message.ask(asker, one, ref)
        except WireError as error:
            _fail(asker, error, one.id, ref)
    for each in signals:
        asker.owed += 1
        try:
            signal.ask(asker, each, each.ref or ref)
        except WireError as error:
            _fail(asker, error, each.id, each.ref or ref)
    if commands and asker.checked:
        message.write(asker)  # which they may be about
    for last in commands:
        asker.owed += 1
        try:
            command.ask(asker, last, ref)
        except WireError as error:
            _fail(asker, error, last.id, ref)


def _fail(asker: Asker, error: WireError, part_id: str, ref: int) -> None:
    error.id = error.id or part_id
    asker.fail(error, ref)


def refuse(asker: Asker, payload: pb.Body, ref: int, error: WireError) -> None:
    """Refuses each part for itself, so that the client learns what became of it."""
    limits = asker.services.limits
    check_batch(payload, limits)
    if not part_count(payload):
        raise error
    parts: list[Any] = [*payload.messages, *payload.signals, *payload.commands]
    for one in parts:
        asker.owed += 1
        error.id = one.id[: limits.max_id_bytes]
        asker.fail(error, ref)
    asker.owed -= 1  # each part is owed its own answer


def part_count(body: pb.Body) -> int:
    """How much of a client's batch is answered for itself. What only a server says in one is ignored."""
    return len(body.messages) + len(body.signals) + len(body.commands)


def check_batch(batch: pb.Body | pb.Hello, limits: Limits) -> None:
    """An empty message takes two bytes, and costs the server as much as any other."""
    count = part_count(batch) if isinstance(batch, pb.Body) else len(batch.messages)
    if count > limits.max_batch:
        sentence = f"This frame holds {count} messages, signals and commands: send at most {limits.max_batch} in one."
        raise WireError(pb.TOO_LARGE, sentence, field=_too_many(batch, limits.max_batch))


def _too_many(batch: pb.Body | pb.Hello, most: int) -> str:
    """The field with which a batch becomes too long."""
    if len(batch.messages) > most or isinstance(batch, pb.Hello):
        return "messages"
    return "signals" if len(batch.messages) + len(batch.signals) > most else "commands"


def count(payload: pb.Body) -> int:
    """A batch without parts is a request too."""
    return part_count(payload) or 1

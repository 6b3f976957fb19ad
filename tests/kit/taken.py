"""What a device has of its logs and of the state, by which it goes on after a cut and drops what comes again."""

from typing import Any

from bimip.client.wire import bimip as pb
from bimip.session.position import Position
from tests.kit.others import Others


class Taken:
    """Of each partition two positions, as PROTOCOL.md has it: what was shown, and what is acknowledged."""

    def __init__(self, eid: str) -> None:
        self._said = pb.Hello()
        self._welcome: pb.Hello | None = None
        self._shown: dict[str, Position] = {}
        self._kept: dict[str, Position] = {}
        self._version = 0
        self._is_whole_under_way = False
        self.others = Others(eid)

    def hello_again(self) -> pb.Hello:
        """The Hello of the next connection; where none was answered the same as before."""
        said, welcome = self._said, self._welcome
        self._is_whole_under_way = False
        if welcome is None:
            return said
        window = welcome.limits.window_entries if welcome.limits is not None else 0
        positions = []
        for partition, position in self._kept.items():
            held = [pb.OffsetRange(from_=first, to=last) for first, last in position.announced(window)]
            positions.append(pb.Position(partition=partition, offset=position.offset, held=held))
        return pb.Hello(
            token=said.token,
            agent=said.agent,
            partitions=positions,
            epoch=welcome.epoch,
            state_version=self._version,
        )

    def said(self, payload: dict[str, Any]) -> None:
        """What this device says in Hello that it has, and what it acknowledges, it keeps."""
        if "hello" in payload:
            self._said = payload["hello"]
            self._version = self._said.state_version
        for signal in [payload.get("signal"), *getattr(payload.get("body"), "signals", [])]:
            if signal is None or signal.status != pb.MessageStatus.DELIVERED or signal.partition not in self._kept:
                continue
            for positions in (self._kept, self._shown):
                positions[signal.partition] = _acknowledged(positions[signal.partition], signal)

    def take(self, scheme: pb.MessageScheme) -> bool:
        """Takes a frame in, without what came before; False: nothing is left of it."""
        if scheme.hello is not None:
            return self._begin(scheme.hello)
        body = scheme.body
        if body is None or body.turn == pb.Turn.TURN_FETCH:
            return True
        for state in body.states:
            self._take_state(state)
        tells_of_others = self.others.take(body)
        if body.partition not in self._shown:
            return tells_of_others or _says_more(body)
        return self._take_entries(body)

    def _take_state(self, state: pb.StateDelta) -> None:
        """Pages of a whole state are taken when it is complete."""
        self._is_whole_under_way = (self._is_whole_under_way or state.reset) and not state.complete
        if not self._is_whole_under_way:
            self._version = state.upto if state.complete else max(self._version, state.upto)

    def _begin(self, hello: pb.Hello) -> bool:
        if self._welcome is not None:
            return False
        self._welcome = hello
        if hello.epoch != self._said.epoch != 0:
            self._version = 0
        for log in hello.logs:
            self._shown[log.partition] = self._kept[log.partition] = Position().reach(log.position)
        for result in hello.results:
            if result.sent is not None:
                self._hold(result.sent)
        return True

    def _hold(self, sent: pb.Signal) -> None:
        shown = self._shown.get(sent.partition)
        if shown is not None:
            self._shown[sent.partition], _ = shown.hold([sent.user_offset])

    def _take_entries(self, body: pb.Body) -> bool:
        shown = self._shown[body.partition]
        before = shown
        offsets = [one.user_offset or 0 for one in body.messages]
        was_empty = not (body.messages or body.upto > body.after)
        if body.turn == pb.Turn.IN_TURN:
            shown, new = shown.join(body.after, body.upto, offsets)
            body.messages = [one for one in body.messages if one.user_offset in new]
            body.passed = [one for one in body.passed if one.offset > before.offset]
            body.after = max(body.after, min(before.offset, body.upto))
        else:
            shown, _ = shown.hold(offsets)
        for gap in body.gaps:
            shown = shown.skip(gap.from_, gap.to)
        self._shown[body.partition] = shown
        for signal in body.signals:
            if signal.status == pb.MessageStatus.SENT:
                self._hold(signal)
        return _says_more(body) or was_empty or body.upto > body.after


def _says_more(body: pb.Body) -> bool:
    """Whether a body has more than a range."""
    of_messages = body.messages or body.signals or body.errors or body.commands or body.gaps or body.passed
    return bool(of_messages or body.states or body.awareness or body.locations)


def _acknowledged(position: Position, signal: pb.Signal) -> Position:
    position = position.reach(signal.upto)
    for one in signal.offsets:
        position = position.skip(one.from_, one.to)
    return position.hold([signal.user_offset] if signal.user_offset else [])[0]

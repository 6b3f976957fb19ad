"""The state: pages that join, the whole of it, and what is told of it in Hello. Read markers stand for all of it."""

from typing import Final

from bimip.conformance.play import Play
from bimip.conformance.sequence import Sequence, sequence
from bimip.conformance.server import Connection
from bimip.wire import bimip_pb2 as pb

STATE: Final = "statedelta"


async def _page(
    connection: Connection,
    markers: dict[str, int],
    *,
    after: int = 0,
    upto: int = 0,
    reset: bool = False,
    complete: bool = False,
) -> None:
    items = [
        pb.StateItem(version=after + number, read_marker=pb.ReadMarker(conversation=name, conversation_offset=offset))
        for number, (name, offset) in enumerate(markers.items(), 1)
    ]
    page = pb.StateDelta(after=after, upto=upto, reset=reset, complete=complete, items=items)
    await connection.send(pb.Body(states=[page]))


def _markers(play: Play) -> dict[str, int]:
    """Returns the read markers as the client told them, the last of each."""
    return {str(one.get("conversation")): int(one.get("upto", 0)) for one in play.said("marker")}


async def _has(play: Play, expected: dict[str, int]) -> None:
    await play.until(
        lambda: f"the read markers told are {expected}; they are {_markers(play)}",
        lambda: {name: upto for name, upto in _markers(play).items() if upto} == expected or None,
    )


@sequence("Pages of the state join, and Hello says the version up to which all is known, after a kill too", STATE)
async def keeps_the_version_of_the_state(play: Play) -> None:
    connection = await play.begin(state_version=2)
    play.expect(
        connection.hello.state_version == 0, f"a new device says state_version {connection.hello.state_version}"
    )
    await _page(connection, {"c1": 1, "c2": 2}, upto=2, reset=True, complete=True)
    await _page(connection, {"c1": 5}, after=2, upto=3)
    await _has(play, {"c1": 5, "c2": 2})
    again = await play.again(connection, state_version=3)
    play.expect(again.hello.state_version == 3, f"all up to 3 came, and Hello says {again.hello.state_version}")
    await play.settled(again)
    await play.kill()
    last = await play.begin(state_version=3)
    play.expect(last.hello.state_version == 3, f"after a kill Hello says state_version {last.hello.state_version}")


@sequence("A whole state takes the place of what was kept: what is not in it is dropped", STATE)
async def drops_what_a_whole_state_has_not(play: Play) -> None:
    connection = await play.begin(state_version=2)
    await _page(connection, {"c1": 1, "c2": 2}, upto=2, reset=True, complete=True)
    await _has(play, {"c1": 1, "c2": 2})
    again = await play.again(connection, state_version=9)
    await _page(again, {"c3": 3}, upto=8, reset=True)
    await _page(again, {"c2": 2}, after=8, upto=9, complete=True)
    await _has(play, {"c2": 2, "c3": 3})


@sequence("A whole state that a cut leaves in part counts for nothing: its version is not said", STATE)
async def counts_a_whole_state_when_it_is_whole(play: Play) -> None:
    connection = await play.begin(state_version=9)
    await _page(connection, {"c1": 1}, upto=5, reset=True)
    await play.settled(connection)
    again = await play.again(connection, state_version=9)
    said = again.hello.state_version
    play.expect(said == 0, f"half of a whole state came, and Hello says state_version {said}: the rest would not come")
    await _page(again, {"c2": 2}, upto=9, reset=True, complete=True)
    await _has(play, {"c2": 2})
    last = await play.again(again, state_version=9)
    play.expect(last.hello.state_version == 9, f"a whole state came, and Hello says {last.hello.state_version}")


SEQUENCES: Final[tuple[Sequence, ...]] = (
    keeps_the_version_of_the_state,
    drops_what_a_whole_state_has_not,
    counts_a_whole_state_when_it_is_whole,
)

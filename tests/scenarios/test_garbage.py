"""Traffic leaves no cycles: what only the garbage collector can free costs a pause, and memory until then."""

import gc

from trio.testing import MockClock

from tests.kit.memory_server import open_world

MESSAGES = 50


async def test_what_messages_and_acknowledgements_leave_goes_without_the_collector(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob = await world.join("alice", "phone"), await world.join("bob", "phone")
        for number in range(2 * MESSAGES):
            if number == MESSAGES:  # what is made once was made
                gc.collect()
                gc.disable()
            alice.write("bob", b"hello", f"m{number}", seq=f"{number}:{number}:phone")
            await bob.heard()
            bob.acknowledge(number + 1)
            await alice.heard()
        try:
            found = gc.collect()
        finally:
            gc.enable()

        assert found < MESSAGES  # the clients of the tests leave some

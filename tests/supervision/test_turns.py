import trio
import trio.lowlevel

from bimip.supervision import TurnMeter, Turns


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_longest_turn_is_told_with_whose_it_was() -> None:
    turns = Turns(Clock())
    turns.note(0.004, "a")
    turns.note(0.0123, "b")
    turns.note(0.002, "c")

    assert turns.describe() == {"longest_turn": "12.3 ms (b)"}
    assert turns.longest == 0.0123


def test_what_was_long_ago_is_forgotten() -> None:
    clock = Clock()
    turns = Turns(clock)
    turns.note(0.5, "a")
    clock.now = 61.0
    turns.note(0.1, "b")
    after_one = turns.describe()
    clock.now = 121.0
    after_two = turns.describe()
    clock.now = 400.0

    assert after_one == {"longest_turn": "500.0 ms (a)"}
    assert after_two == {"longest_turn": "100.0 ms (b)"}
    assert turns.describe() == {}


def test_nothing_is_told_before_there_was_a_turn() -> None:
    assert Turns(Clock()).describe() == {}


async def test_each_long_step_of_a_task_is_noted_with_its_name_and_some_apart() -> None:
    clock = Clock()
    turns, apart = Turns(Clock()), Turns(Clock())
    meter = TurnMeter(turns, {"writer": apart, "many": None}, clock)

    async def work(seconds: float) -> None:
        await trio.lowlevel.checkpoint()
        clock.now += seconds
        await trio.lowlevel.checkpoint()

    trio.lowlevel.add_instrument(meter)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work, 0.004, name="bimip/users/bob")
            nursery.start_soon(work, 0.003, name="bimip/users/alice")
            nursery.start_soon(work, 0.020, name="writer")
            nursery.start_soon(work, 0.500, name="many")
            nursery.start_soon(work, 0.0005, name="brief")
    finally:
        trio.lowlevel.remove_instrument(meter)

    assert turns.describe() == {"longest_turn": "4.0 ms (bimip/users/bob)"}
    assert apart.describe() == {"longest_turn": "20.0 ms (writer)"}

from trio.testing import MockClock

from tests.kit.memory_server import open_world


async def test_a_message_reaches_both_devices_of_the_other_and_the_senders_sibling(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob_phone, bob_laptop = world.connect("bob", "phone"), world.connect("bob", "laptop")
        phone, laptop = world.connect("alice", "phone"), world.connect("alice", "laptop")
        for client in (bob_phone, bob_laptop, phone, laptop):
            await client.hello()

        sent = await phone.post("bob", b"hello", "m1")
        bodies = [await client.body() for client in (bob_phone, bob_laptop, laptop)]

        assert sent.user_offset == 1
        assert [body.messages[0].payload for body in bodies] == [b"hello"] * 3
        assert [(body.after, body.upto) for body in bodies] == [(0, 1)] * 3

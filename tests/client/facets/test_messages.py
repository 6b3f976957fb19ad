from typing import Any

import pytest

from bimip.client.errors import InvalidArgument
from tests.client.support import FakeServer, a_client, run

BAD_SENDS: dict[str, dict[str, object]] = {
    "text as payload": {"payload": "hi"},
    "a number as payload": {"payload": 5},
    "nothing as payload": {"payload": None},
    "a number as name": {"to": 5},
    "half a character": {"to": "\ud800"},
    "a number as id": {"id": 5},
    "a type in words": {"type": "text"},
    "a type that is too large": {"type": 2**40},
    "a fraction": {"type": 1.5},
    "no field": {"foo": 1},
    "a field of the client's own": {"to_": 1},
    "one text for a list of them": {"devices": "phone"},
    "numbers for texts": {"devices": [5]},
    "numbers for people": {"mentions": [5]},
    "bytes for text": {"reply_to": b"x"},
    "a number beyond 64 bits": {"signal_offset": 2**70},
}


@pytest.mark.parametrize("bad", BAD_SENDS.values(), ids=BAD_SENDS)
def test_a_message_that_cannot_be_is_refused_at_once_and_leaves_nothing(bad: dict[str, object]) -> None:
    async def scenario() -> None:
        server = FakeServer()
        async with a_client(server) as client:
            arguments: dict[str, Any] = {"to": "bob@example.org", "payload": b"hi"} | bad
            with pytest.raises(InvalidArgument):
                client.send_nowait(**arguments)
            with pytest.raises(InvalidArgument):
                await client.send(**arguments)
            assert client.unsent == 0

    run(scenario)

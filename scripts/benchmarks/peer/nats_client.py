"""nats-py as one client of JetStream: what `sdk.py` has our SDK do. A program with an environment of its own.

python nats_client.py PORT WHAT COUNT TOGETHER SIZE        WHAT: prepare, together, alone, take
"""

import asyncio
import json
import sys
import time
from typing import Any

import nats  # type: ignore[import-not-found]
from meter import Meter  # type: ignore[import-not-found]


async def main(port: int, what: str, count: int, together: int, size: int) -> Any:  # noqa: ANN401 - a row
    began = time.perf_counter()
    client = await nats.connect(f"nats://a0000:secret@127.0.0.1:{port}")
    stream, payload = client.jetstream(), b"x" * size
    if what == "prepare":
        await stream.add_stream(name="M", subjects=["m.>"])
        for _ in range(count // together):
            await asyncio.gather(*[stream.publish("m.away", payload) for _ in range(together)])
        return {}
    if what == "take":
        meter = Meter()
        waiting = await stream.pull_subscribe("m.away", durable="away")
        hello = 1000 * (time.perf_counter() - began)
        left = count
        while left:
            for message in await waiting.fetch(min(left, together), timeout=60):
                await message.ack()
                left -= 1
        await client.flush()
        return meter.row(count) | {"hello_ms": hello}
    meter = Meter()
    if what == "alone":
        for _ in range(count):
            await stream.publish("m.nobody", payload)
    else:
        for _ in range(count // together):
            await asyncio.gather(*[stream.publish("m.nobody", payload) for _ in range(together)])
    return meter.row(count)


if __name__ == "__main__":
    port, what, *numbers = sys.argv[1:]
    print(json.dumps(asyncio.run(main(int(port), what, *map(int, numbers)))))

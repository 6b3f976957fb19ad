"""slixmpp as one client of an XMPP server: what `sdk.py` has our SDK do. A program with an environment of its own.

python xmpp_client.py PORT WHAT COUNT TOGETHER SIZE        WHAT: prepare, read, together, alone, take

A message counts as sent when stream management (XEP-0198) acknowledged it.
"""

import asyncio
import json
import os
import sys
import time
from typing import Any

import slixmpp  # type: ignore[import-not-found]
from meter import Meter  # type: ignore[import-not-found]

SENDER, READER, AWAY = "a0000@localhost", "b0000@localhost", "b0001@localhost"


class Client(slixmpp.ClientXMPP):  # type: ignore[misc]
    """A client with an account of the benchmark."""

    def __init__(self, jid: str) -> None:
        super().__init__(f"{jid}/phone", "secret")
        self.enable_starttls = self.enable_direct_tls = False
        self.enable_plaintext = True
        self.plugin["feature_mechanisms"].unencrypted_scram = True
        self.register_plugin("xep_0198")
        self.acked, self.taken = asyncio.Semaphore(0), asyncio.Semaphore(0)
        self.ready = asyncio.Event()
        self.add_event_handler("session_start", lambda _: self.ready.set())
        self.add_event_handler("stanza_acked", lambda _: self.acked.release())
        self.add_event_handler("message", lambda _: self.taken.release())

    async def enter(self, port: int) -> None:
        await self.connect("127.0.0.1", port)
        await asyncio.wait_for(self.ready.wait(), 60)

    async def say(self, to: str, payload: str, count: int) -> None:
        acks = self.plugin["xep_0198"]
        acks.window_counter = 0  # its own requests overtake the message that they follow
        for _ in range(count):
            self.send_message(to, payload, mtype="chat")
        while len(acks.unacked_queue) < count:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        acks.request_ack()
        for _ in range(count):
            await asyncio.wait_for(self.acked.acquire(), 60)


async def main(port: int, what: str, count: int, together: int, size: int) -> Any:  # noqa: ANN401 - a row
    meter = Meter()
    client = Client({"take": AWAY, "read": READER}.get(what, SENDER))
    began = time.perf_counter()
    await client.enter(port)
    hello = 1000 * (time.perf_counter() - began)
    if what == "take":
        client.send_presence()
        for _ in range(count):
            await asyncio.wait_for(client.taken.acquire(), 60)
        return meter.row(count) | {"hello_ms": hello}
    if what == "read":
        client.send_presence()
        print("ready", flush=True)
        await asyncio.Event().wait()
    to, group = AWAY if what == "prepare" else READER, 1 if what == "alone" else together
    meter = Meter()
    for _ in range(count // group):
        await client.say(to, "x" * size, group)
    return meter.row(count)


if __name__ == "__main__":
    port, what, *numbers = sys.argv[1:]
    print(json.dumps(asyncio.run(main(int(port), what, *map(int, numbers)))), flush=True)
    os._exit(0)  # slixmpp leaves tasks that complain when they are torn down

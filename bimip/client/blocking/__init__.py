"""The SDK for programs without an event loop: scripts, notebooks, threads. Each call blocks until it is done.

    from bimip.client.blocking import open_client

    with open_client("ws://localhost:8470", token=token, path="script.db") as client:
        client.patience = 30
        sent = client.messages.send("bob@example.org", b"Hello Bob")
        client.messages.wait_delivered(sent)
        for event in client:
            print(event)
            break

It is the client of `bimip.client` in a loop in a thread of its own: what is said there holds here, and what needs no
thread's attention, such as staying connected, goes on between the calls. Calls of several threads may run side by side.
"""

from bimip.client.blocking.client import Client, open_client

__all__ = ["Client", "open_client"]

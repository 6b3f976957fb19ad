"""The REST API, below `/api/v1` of the public port: floor 4, beside the gateway's WebSocket, on the same `requests`.

* `application.py`    the table of endpoints, and what every request passes: start here
* `endpoint.py`       what a row of it says
* `caller.py`         who asks: a token's device, as an asker of `requests`
* `messages.py`, `receipts.py`, `history.py`, `commands.py`, `conversations.py`, `feeds.py`, `contacts.py`,
  `presence.py`, `devices.py`  the rows, a file a resource, each with what it does
* `naming.py`, `batches.py`, `paging.py`  what several of them share: how a path names a message, many requests in one,
  pages
* `events.py`         a device's stream as server-sent events: a connection of its own
* `openapi.py`        the document that is made of the rows; `words.py`: what of it stands nowhere else; `docs.py`: the
  page that shows it
* `javascript.py`     the client for pages, which is served beside them

An endpoint makes payloads of the schema of what was said, asks a route of `requests` for each, and shows what came
back; no rule about messages is here. A field of a message has its name in bimip.proto; what the source documents name
otherwise (`tempId`, `messageId`, `deliveredTo`) is called as there.
"""

from bimip.api.application import make_application

__all__ = ["make_application"]

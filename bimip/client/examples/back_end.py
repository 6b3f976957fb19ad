"""A web back end has no connection: it writes and asks by HTTP, as a device of the user whose token it has.

It needs httpx. `/api/v1/openapi.json` of the server describes every request.
"""

import os
from collections.abc import Mapping
from typing import Any

import httpx


class BackEnd:
    """The requests of one user's back end."""

    def __init__(self, client: httpx.Client) -> None:
        """`client` has the server's address and the token: see `open_back_end`."""
        self._client = client

    def order_shipped(self, customer: str, order: int) -> str:
        """Tells a customer, and returns the message's `signal_id`. Repeating it is safe: the id is the order's."""
        message = {
            "id": f"order-{order}-shipped",
            "to": {"eid": customer},
            "text": f"Your order {order} is on its way.",
        }
        sent = self._client.post("/messages", json=message)
        sent.raise_for_status()
        return str(sent.json()["messageId"])

    def has_read(self, signal_id: str) -> bool:
        """Whether the customer has read it."""
        state: Mapping[str, Any] = self._client.get(f"/messages/{signal_id}/delivery-state").json()
        return state["state"] in {"read", "played"}


def open_back_end(url: str, token: str) -> httpx.Client:
    """Opens the connection pool of a back end."""
    return httpx.Client(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"})


if __name__ == "__main__":
    with open_back_end(os.environ.get("BIMIP_HTTP", "http://localhost:8470"), os.environ["BIMIP_TOKEN"]) as http:
        print(BackEnd(http).order_shipped(os.environ["BIMIP_TO"], 4711))

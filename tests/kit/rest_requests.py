"""Draws requests by HTTP, at random, from the application's own table, about what the server has told so far: so an
endpoint that is new is asked too, with the body that its example has, if none is drawn here.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import httpx

from bimip.api.application import ENDPOINTS
from bimip.api.contacts import ACTIONS
from bimip.api.endpoint import Endpoint, Json, Parameter
from bimip.client.wire import bimip as sdk
from bimip.wire import bimip_pb2 as pb
from bimip.wire import json as protojson
from tests.kit.speaker import EMOJI, USERS, Speaker, pick

ANY: Final = ENDPOINTS
"""All but streams of events, which have no end."""
BY_NAME: Final = {f"{one.method} {one.path}": one for one in ANY}
OFTEN: Final = {"rest_message": "POST /messages", "rest_batch": "POST /messages/batch"}
"""Steps that ask for one thing."""
STATUSES: Final = ("AWAY", "BUSY", "DND", "ONLINE", "OFFLINE")


class Asked(NamedTuple):
    """One request."""

    endpoint: Endpoint
    path: str
    headers: Mapping[str, str]
    body: Any

    @property
    def method(self) -> str:
        return self.endpoint.method


class Requests:
    """Knows what was told by HTTP beside what devices were told, and takes its choices from numbers."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._cursors: dict[str, list[str]] = {}
        """By the path of the answer."""
        self._written: dict[str, list[str]] = {}
        """Messages, by their author."""
        self._founded: dict[str, list[str]] = {}
        """Groups, by who created them."""
        self._eid = ""
        """Who asks."""
        self._snapshots = [""]
        self._bodies: dict[str, Callable[[list[int]], Any]] = {
            "POST /messages": self._message,
            "POST /messages/batch": self._batch,
            "POST /messages/acknowledgements": lambda numbers: json_of(pb.Signal, speaker.ack(numbers)["signal"]),
            "POST /messages/receipts": self._receipts,
            "POST /messages/{id}/read": lambda numbers: pick([None, {"conversationId": "c1"}, {}], numbers),
            "POST /messages/conversation/{id}/backfill": self._backfill,
            "PATCH /messages/{id}": lambda numbers: {"text": f"edited {numbers[0] % 9}"},
            "POST /commands": lambda numbers: json_of(pb.Command, speaker.one_command(numbers)),
            "POST /conversations": lambda numbers: self._members(numbers) | {"title": f"title {numbers[0] % 3}"},
            "PATCH /conversations/{id}": lambda numbers: {"title": f"title {numbers[0] % 3}"},
            "POST /conversations/{id}/members": self._members,
            "PATCH /conversations/{id}/members/{eid}": lambda numbers: {
                "role": pick(["admin", "owner", "member", "king"], numbers)
            },
            "POST /contacts/{eid}/{action}": self._contact,
            "PUT /visibility": lambda numbers: {"visible": numbers[0] % 2 > 0},
            "POST /location": lambda numbers: json_of(pb.LocationStream, speaker.location(numbers)["location_stream"]),
            "PUT /push/{id}": lambda numbers: {"platform": "fcm", "token": f"token {numbers[0] % 3}"},
            "PUT /presence": lambda numbers: {"status": pick(STATUSES, numbers)},
            "PATCH /settings": lambda numbers: json_of(pb.Settings, speaker.settings_change(numbers)["settings"]),
        }

    def drawn(self, what: str, eid: str, numbers: list[int], newer_token: str) -> Asked:
        """A request of this kind by this user: one or many messages, or anything."""
        self._eid = eid
        endpoint = BY_NAME[OFTEN[what]] if what in OFTEN else pick(ANY, numbers)
        path, query, headers = endpoint.path, {}, {}
        for one in endpoint.parameters:
            if one.place == "path":
                path = path.replace(f"{{{one.name}}}", quote(self._in_path(endpoint, one, numbers), safe=""))
            elif one.place == "header" and numbers[0] % 2:
                headers[one.name] = self._speaker.new_id(numbers)
                numbers.append(numbers[0])
            elif one.place == "query" and pick([False, True], numbers):
                query[one.name] = self._in_query(endpoint, one, numbers)
        body = self._body(endpoint, numbers, newer_token)
        if headers and isinstance(body, dict):  # two ids are refused
            body = {field: value for field, value in body.items() if field not in {"id", "request_id", "tempId"}}
        return Asked(endpoint, f"{path}?{urlencode(query)}" if query else path, headers, body)

    def _body(self, endpoint: Endpoint, numbers: list[int], newer_token: str) -> Any:
        if endpoint.body is None:
            return None
        if "token" in endpoint.body.beside:
            return {"token": newer_token}
        drawn = self._bodies.get(f"{endpoint.method} {endpoint.path}")
        return (dict(endpoint.body.example) or None) if drawn is None else drawn(numbers)

    def learn(self, asked: Asked, answer: httpx.Response) -> None:
        """What later requests can be about."""
        if answer.status_code >= 400 or not answer.headers.get("content-type", "").startswith("application/json"):
            return
        said = answer.json()
        if said.get("nextCursor"):
            self._cursors.setdefault(asked.endpoint.path, []).append(said["nextCursor"])
        if "checksum" in said:
            self._snapshots += filter(None, [said.get("id")])
        if asked.endpoint.path == "/conversations" and said["id"] not in self._speaker.groups:
            self._speaker.groups.append(said["id"])
            self._founded.setdefault(self._eid, []).append(said["id"])
        if asked.endpoint.path == "/messages" and asked.method == "POST":
            self._written.setdefault(self._eid, []).append(said["messageId"])
        told = [one for one in (said, *said.get("messages", [])) if {"signal_offset", "conversation"} <= one.keys()]
        self._speaker.know([(int(one["signal_offset"]), one["signal_id"], one["conversation"]) for one in told])

    def _in_path(self, endpoint: Endpoint, one: Parameter, numbers: list[int]) -> str:
        if one.name == "id" and endpoint.path.startswith("/push/"):
            return str(pick(["p", "q"], numbers))
        if one.name == "id" and endpoint.path.startswith(("/conversations/", "/messages/conversation/")):
            speaker, founded = self._speaker, self._founded.get(self._eid, [])
            known = speaker.conversations if "backfill" in endpoint.path else speaker.conversations[-1:]
            return str(pick([*known, *speaker.groups[-2:], *founded[-3:], "c99"], numbers))
        if one.name == "id":
            return self._message_name(numbers)
        values = {
            "eid": (*USERS, self._eid, "nobody"),
            "name": ("phone", "laptop", "backend", "none"),
            "emoji": EMOJI,
            "action": (*ACTIONS, "nothing"),
        }
        return str(pick(values[one.name], numbers))

    def _message_name(self, numbers: list[int]) -> str:
        offset, name, _ = pick(self._speaker.messages[-9:] or [(1, "65WZSSWR00000", "")], numbers)
        by_key = f"id:id{numbers[0] % self._speaker.ref}"
        own = self._written.get(self._eid, [])[-2:]
        return str(pick([str(offset), name, name, by_key, *own], numbers))

    def _cursor(self, path: str, numbers: list[int]) -> str:
        """One of the same path, and now and then another one's."""
        of = pick([path, path, path, *self._cursors], numbers)
        return str(pick(["", *self._cursors.get(of, [])[-3:]], numbers))

    def _in_query(self, endpoint: Endpoint, one: Parameter, numbers: list[int]) -> str:
        if one.name == "lastMessageId":
            return self._message_name(numbers)
        if one.name == "cursor":
            return self._cursor(endpoint.path, numbers)
        values: dict[str, tuple[str, ...]] = {
            "after": ("0", "1", "5", "bob"),
            "backwards": ("true", "false"),
            "checksum": ("", b64encode(bytes(16)).decode()),
            "device": ("laptop", "none"),
            "eid": USERS,
            "for": ("me", "everyone"),
            "id": tuple(self._snapshots[-3:]),
            "limit": ("0", "1", "3"),
            "offset": ("0", "1", "4"),
            "partition": ("chat", "chat", "feed", "notification", "sync", "nowhere"),
            "reset": ("true", "false"),
            "state_version": ("0", "3"),
        }
        return str(pick(values[one.name], numbers))

    # Bodies.

    def _message(self, numbers: list[int]) -> Json:
        return json_of(pb.Message, self._speaker.message(numbers))

    def _batch(self, numbers: list[int]) -> Json:
        some = [self._message([*numbers[:3], one, one + 1, one + 2]) for one in numbers[: 1 + numbers[0] % 3]]
        some[-1]["text" if "payload" not in some[-1] or numbers[1] % 4 == 0 else "tempId"] = f"{some[-1].get('id', '')}"
        return {"messages": some}

    def _receipts(self, numbers: list[int]) -> Json:
        signals = [self._speaker.read([*numbers[index:], *numbers[:index]])["signal"] for index in range(2)]
        return {"receipts": [json_of(pb.Signal, signal) for signal in signals]}

    def _backfill(self, numbers: list[int]) -> Json:
        where = pick(["lastMessageId", "cursor", "", ""], numbers)
        beginning: Json = {
            "lastMessageId": {"lastMessageId": self._message_name(numbers)},
            "cursor": {"cursor": self._cursor("/messages/conversation/{id}/backfill", numbers)},
            "": {},
        }[where]
        return {"limit": numbers[0] % 4, "backwards": numbers[1] % 2 > 0, **beginning}

    def _members(self, numbers: list[int]) -> Json:
        return {"members": [{"eid": pick(USERS, numbers)} for _ in range(1 + numbers[0] % 2)]}

    def _contact(self, numbers: list[int]) -> Json:
        contact = self._speaker.contact(numbers)["contact"]
        contact.action, contact.eid = sdk.ContactAction(0), ""
        return json_of(pb.Contact, contact)


def json_of(kind: Any, payload: Any) -> Json:
    """What the SDK's codec made, as JSON has it."""
    return protojson.message_of(kind.FromString(bytes(payload)))

from pathlib import Path

import anyio
import pytest

from bimip.client import InvalidArgument, Refused
from bimip.client.core.kinds.groups import KnownGroup
from bimip.client.errors import NotConnected
from bimip.client.events import Connected, GroupChanged
from bimip.client.facets.groups import GroupInfo, GroupMember
from bimip.client.wire.bimip import Body, Conversation, ConversationAction, ErrorCode, ErrorMessage, Member, StateItem
from tests.client.support import FakeServer, a_client, both_backends, next_of, page

Action = ConversationAction


@both_backends
async def test_each_method_asks_for_what_it_is_called() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        asked: list[Conversation] = []

        async def serve() -> None:
            for _ in range(6):
                request, ref = await peer.expect(Conversation)
                assert request.request_id
                asked.append(request)
                peer.send(Conversation(action=request.action, id="c7", request_id=request.request_id), ref)

        tasks.start_soon(serve)

        assert await client.groups.create("trip", ["bob", "carol"], request_id="r1") == "c7"
        await client.groups.add("c7", "dave")
        await client.groups.remove("c7", "dave")
        await client.groups.rename("c7", "journey")
        await client.groups.set_role("c7", "bob", "admin")
        await client.groups.leave("c7")
        assert asked[0].request_id == "r1"
        assert len({request.request_id for request in asked}) == 6
        found = [
            (request.action, request.id, request.title, [(one.eid, one.role) for one in request.members])
            for request in asked
        ]
        assert found == [
            (Action.CREATE, "", "trip", [("bob", ""), ("carol", "")]),
            (Action.INVITE, "c7", "", [("dave", "")]),
            (Action.REMOVE_MEMBER, "c7", "", [("dave", "")]),
            (Action.RENAME, "c7", "journey", []),
            (Action.SET_ROLE, "c7", "", [("bob", "admin")]),
            (Action.LEAVE, "c7", "", []),
        ]


@both_backends
async def test_a_large_group_is_fetched_page_by_page() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            for after, eid in (("", "ann"), ("ann", "bob")):
                request, ref = await peer.expect(Conversation)
                assert (request.action, request.id, request.after) == (Action.GET, "c7", after)
                member = Member(eid=eid, role="member", history_from=2, joined=5)
                answer = Conversation(id="c7", title="trip", role="admin", head=9, history_from=1, members=[member])
                answer.complete = eid == "bob"
                peer.send(answer, ref)

        tasks.start_soon(serve)

        members = (GroupMember("ann", "member", 2, 5), GroupMember("bob", "member", 2, 5))
        assert await client.groups.fetch("c7") == GroupInfo("c7", "trip", "admin", 9, 1, members)


@both_backends
async def test_what_the_server_refuses_is_raised_and_a_cut_may_be_asked_again() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            _, ref = await peer.expect(Conversation)
            peer.send(Body(errors=[ErrorMessage(code=ErrorCode.FORBIDDEN, message="no", field="action", ref=ref)]))
            await peer.expect(Conversation)
            peer.close(1001)
            again = await server.accept()
            await again.greet()
            request, ref = await again.expect(Conversation)
            again.send(Conversation(id="c8", request_id=request.request_id, duplicate=True), ref)

        tasks.start_soon(serve)
        with pytest.raises(Refused, match="FORBIDDEN"):
            await client.groups.rename("c7", "mine")
        with pytest.raises(NotConnected):
            await client.groups.create("trip", request_id="r1")

        assert await client.groups.create("trip", request_id="r1") == "c8"


@both_backends
async def test_groups_are_known_without_a_connection(tmp_path: Path) -> None:
    server = FakeServer()
    path = tmp_path / "phone.db"
    item = Conversation(id="c7", title="trip", role="owner", member_count=1, history_from=1, conversation_offset=4)
    async with a_client(server, path=path) as client:
        peer = await server.accept()
        await peer.greet()
        peer.send(Body(states=[page(0, 6, StateItem(group=item), reset=True, complete=True)]))
        await next_of(client, GroupChanged)
    async with a_client(server, path=path) as client:
        await (await server.accept()).greet()
        await next_of(client, Connected)

        assert client.groups.known() == {"c7": KnownGroup(4, "trip", "owner", 1, 1, ())}


@both_backends
async def test_what_no_field_holds_is_said_before_it_is_asked() -> None:
    async with a_client(FakeServer()) as client:
        with pytest.raises(InvalidArgument, match="sequence of names"):
            await client.groups.create("trip", "bob")
        with pytest.raises(InvalidArgument):
            await client.groups.rename(7, "trip")  # type: ignore[arg-type]

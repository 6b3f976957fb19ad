import anyio
import pytest

from bimip.client import InvalidArgument, Refused
from bimip.client.events import Connected, ContactChanged, KnownContact
from bimip.client.wire.bimip import Contact, ContactAction, ErrorCode, ErrorMessage, StateItem
from tests.client.support import FakeServer, a_client, both_backends, next_of, page

Action = ContactAction


@both_backends
async def test_each_method_asks_for_what_it_is_called() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        asked: list[Contact] = []

        async def serve() -> None:
            for _ in range(8):
                request, ref = await peer.expect(Contact)
                asked.append(request)
                peer.send(Contact(action=request.action, eid="bob", state="requested", id=request.id, time=7), ref)

        tasks.start_soon(serve)

        found = await client.contacts.request("bob", mutual=True, id="r1")
        assert found == KnownContact("requested", request="r1", time=7)
        await client.contacts.accept("bob", mutual=True)
        await client.contacts.deny("bob")
        await client.contacts.remove("bob")
        await client.contacts.block("bob")
        await client.contacts.unblock("bob")
        await client.contacts.name("bob", "Bobby")
        await client.contacts.name("bob", "")
        assert [(one.action, one.eid, one.mutual, one.name) for one in asked] == [
            (Action.REQUEST, "bob", True, ""),
            (Action.ACCEPT, "bob", True, ""),
            (Action.DENY, "bob", False, ""),
            (Action.REMOVE, "bob", False, ""),
            (Action.BLOCK, "bob", False, ""),
            (Action.UNBLOCK, "bob", False, ""),
            (Action.NAME, "bob", False, "Bobby"),
            (Action.NAME, "bob", False, ""),
        ]
        assert asked[0].id == "r1"
        assert len({one.id for one in asked}) == 8
        assert [bool(one.stamp) for one in asked] == [False] * 6 + [True] * 2
        assert asked[7].stamp > asked[6].stamp


@both_backends
async def test_all_contacts_are_listed_page_by_page() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            for after, eids in (("", ("bob", "cat")), ("cat", ("dan",))):
                request, ref = await peer.expect(Contact)
                assert (request.action, request.after) == (Action.LIST, after)
                contacts = [Contact(eid=eid, state="asked") for eid in eids]
                peer.send(Contact(action=Action.LIST, contacts=contacts, complete=after != ""), ref)

        tasks.start_soon(serve)

        assert await client.contacts.list() == {eid: KnownContact("asked") for eid in ("bob", "cat", "dan")}


@both_backends
async def test_what_the_state_tells_is_known_and_is_an_event() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        await next_of(client, Connected)
        item = StateItem(version=1, contact=Contact(eid="bob", version=1, state="accepted", seen=True))
        peer.send(page(0, 1, item))

        accepted = KnownContact("accepted", seen=True)
        assert await next_of(client, ContactChanged) == ContactChanged("bob", accepted)
        assert client.contacts.known() == {"bob": accepted}
        peer.send(page(1, 2, StateItem(version=2, removed=True, contact=Contact(eid="bob"))))
        assert await next_of(client, ContactChanged) == ContactChanged("bob", KnownContact(), is_gone=True)
        assert client.contacts.known() == {}


@both_backends
async def test_what_is_refused_is_raised_and_what_is_no_name_is_not_sent() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            _, ref = await peer.expect(Contact)
            peer.send(ErrorMessage(code=ErrorCode.NOT_FOUND, message="nobody", ref=ref), ref)

        tasks.start_soon(serve)

        with pytest.raises(Refused):
            await client.contacts.block("nobody")
        with pytest.raises(InvalidArgument):
            await client.contacts.block("\ud800")
        with pytest.raises(InvalidArgument):
            await client.contacts.name("bob", 7)  # type: ignore[arg-type]  # that is the test

"""Contacts: asking to see somebody, answering, ending it, blocking, and what this user calls them.

    asked = await client.contacts.request("carol@example.org", mutual=True)
    print("of the request:", asked.state)
    await client.contacts.name("bob@example.org", "Bobby")
    for eid, contact in (await client.contacts.list()).items():
        print(eid, contact.name, "is seen" if contact.seen else "is not seen")
    await client.contacts.block("mallory@example.org")

Events: ContactChanged.
"""

from bimip.client.arguments import checked_text
from bimip.client.core.kinds.contacts import contact_told, contacts_of
from bimip.client.events import KnownContact
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import Contact, ContactAction
from bimip.domain.core.clock import next_stamp
from bimip.domain.core.ids import Millis, Stamp


class Contacts(Facet):
    """Each change returns how it stands once that is on disk; the devices of both are told by ContactChanged.

    `id` makes it safe to say it again after a failure: the same id is done once. All raise Refused (NOT_FOUND: there is
    no such user; CONFLICT: it cannot be, or there would be too many), TimedOut, NotConnected, and InvalidArgument for
    what is no name; cancelled, it may have been done or not.
    """

    _newest_name = Stamp(0)

    async def request(self, eid: str, *, mutual: bool = False, id: str = "") -> KnownContact:  # noqa: A002
        """Ask to see somebody; with `mutual` this user lets them see them as well, once they accept. Who asked this
        user before is accepted by it.
        """
        return await self._change(ContactAction.REQUEST, eid, id, mutual=mutual)

    async def accept(self, eid: str, *, mutual: bool = False, id: str = "") -> KnownContact:  # noqa: A002
        """Let who asked see this user; with `mutual` ask for the same in return, where they did not offer it."""
        return await self._change(ContactAction.ACCEPT, eid, id, mutual=mutual)

    async def deny(self, eid: str, *, id: str = "") -> KnownContact:  # noqa: A002
        """Refuse who asked. They are told, and may ask again."""
        return await self._change(ContactAction.DENY, eid, id)

    async def remove(self, eid: str, *, id: str = "") -> KnownContact:  # noqa: A002
        """End it in both directions, withdraw a request, or refuse one."""
        return await self._change(ContactAction.REMOVE, eid, id)

    async def block(self, eid: str, *, id: str = "") -> KnownContact:  # noqa: A002
        """Get nothing more of somebody, without their knowing: they see this user as somebody who is away."""
        return await self._change(ContactAction.BLOCK, eid, id)

    async def unblock(self, eid: str, *, id: str = "") -> KnownContact:  # noqa: A002
        """Lift a block. What they sent meanwhile does not come."""
        return await self._change(ContactAction.UNBLOCK, eid, id)

    async def name(self, eid: str, name: str, *, id: str = "") -> KnownContact:  # noqa: A002
        """Give somebody a name, for this user's devices alone; an empty one takes it away. The last one counts."""
        self._newest_name = next_stamp(self._newest_name, Millis(self._environment.now()), 0)
        name = checked_text("name", name)
        return await self._change(ContactAction.NAME, eid, id, name=name, stamp=self._newest_name)

    async def list(self) -> dict[str, KnownContact]:
        """Asks for all contacts, by eid. Cancelling it drops the answer."""
        found: dict[str, KnownContact] = {}
        after = ""
        while True:
            page = await self._connector.request(Contact(action=ContactAction.LIST, after=after), Contact)
            found |= {one.eid: contact_told(one) for one in page.contacts}
            if page.complete or not page.contacts:
                return found
            after = page.contacts[-1].eid

    def known(self) -> dict[str, KnownContact]:
        """Returns the contacts by eid, as this device was last told, also without a connection."""
        return contacts_of(self._device.store)

    async def _change(
        self, action: ContactAction, eid: str, given_id: str, *, mutual: bool = False, name: str = "", stamp: int = 0
    ) -> KnownContact:
        drawn = self._environment.new_id()
        asked = Contact(
            action=action,
            eid=checked_text("eid", eid),
            id=checked_text("id", given_id) or drawn,
            mutual=mutual,
            name=name,
            stamp=stamp,
        )
        return contact_told(await self._connector.request(asked, Contact))

"""The user's state as the server has it: what receipts, edits, settings and devices are made of.

    page = await client.state.read()
    count = len(page.items)
    while not page.complete:
        page = await client.state.read(page.upto, whole=page.is_whole)
        count += len(page.items)
    print("as of version", page.upto, "there are", count)
    await client.state.refresh()  # reads this client's own copy again, which was doubted

Events: those of what is found to be different, whatever it is about.
"""

from dataclasses import dataclass

from bimip.client.arguments import checked_number
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import StateDelta, StateItem


@dataclass(frozen=True, slots=True)
class StatePage:
    """Items of the state: the newest value of each key that changed behind a version."""

    items: list[StateItem]  # ascending by version
    upto: int  # the version up to which these are all
    is_whole: bool  # they are of a whole state, not of changes: what none of its pages holds is not there
    begins: bool  # they are the first of a whole state: what of one came before counts no more
    complete: bool  # nothing is left behind these


class StateFacet(Facet):
    """`client.state`: the state as versioned items, of which the other facets tell what programs usually want."""

    async def read(self, after: int = 0, *, whole: bool = False) -> StatePage:
        """Ask for a page of what changed in this user's state behind a version; 0: for all of it.

        It moves nothing and does not touch the client's own copy: it is for programs that keep one. `whole`: go on with
        a whole state whose last page ended at `after`. The answer may begin a whole state though changes were asked
        for, where the version is too old. Raises Refused (OFFSET_BEYOND_HEAD: the version was never given), TimedOut,
        NotConnected, and InvalidArgument for what is no version. Cancelling it drops the answer.
        """
        asked = StateDelta(after=checked_number("after", after, least=0), reset=whole)
        page = await self._connector.request(asked, StateDelta)
        return StatePage(page.items, page.upto, page.reset or whole, page.reset, page.complete)

    async def refresh(self) -> None:
        """Read all of this user's state again into the client's copy, and drop from it what is not there.

        For a copy that is doubted; what differs comes as events. Raises Refused, TimedOut, NotConnected: then nothing
        was dropped. Cancelling it is safe.
        """
        page: StateDelta | None = None
        while page is None or not page.complete:
            asked = StateDelta(after=page.upto if page else 0, reset=True)
            page = await self._connector.request(asked, StateDelta)
            self._device.read_state_again(page, begins=page.reset)

"""Where one device stands in its user's state, as a window says where it stands in a partition.

Nothing of the state is acknowledged: the position is the version of the last page that the connection took. A device
that has all up to there is *live*, and is sent only what is new in each change; one that is catching up is sent whole
values. One whose version means nothing here is sent the *whole* state, from its beginning, and drops the rest.
"""

from bimip.users.session import Session, StatePage


class StatePosition:
    __slots__ = ("_floor", "_is_live", "is_whole", "version")

    def __init__(self, session: Session) -> None:
        self.version = 0
        self.is_whole = False
        self._is_live = False
        self._floor = session.state_floor
        """The session's, when what is being sent began: behind a higher one it begins anew."""

    def resume(self, session: Session, version: int, *, same_epoch: bool) -> None:
        """Goes on from the version that the device has seen, or begins the whole state if that means nothing here."""
        if same_epoch and session.state_floor <= version <= session.state.head and version:
            self.version = version
            self._is_live = version == session.state.head
        else:
            self.is_whole = True

    def read(self, session: Session) -> StatePage:
        """The next page. Where the state's floor rises meanwhile, it is read anew: it may be of what is beyond it."""
        while True:
            if self._floor != session.state_floor:
                self._meet_floor(session)
            page = session.read_state(self.version, live=self._is_live, reset=self.is_whole)
            if self._floor == session.state_floor:
                return page

    def _meet_floor(self, session: Session) -> None:
        """The state's floor rose: whoever is behind it, or was in the middle of a whole state, is sent all of it."""
        self._floor = session.state_floor
        if self.is_whole or self.version < self._floor:
            self.version, self.is_whole, self._is_live = 0, True, False

    def sent(self, page: StatePage) -> None:
        """The connection took the page."""
        self.version = page.upto
        self._is_live = page.live
        self.is_whole = self.is_whole and not page.live

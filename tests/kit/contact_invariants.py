"""Contacts: nobody is shown one whom nobody asked (I8), no answer is forgotten (I8), all devices of a user agree, and
so do the two sides (I9); whom a user has blocked for certain does not reach them, and is told of no receipt (I10).

Nobody tells the checker how two users stand to each other. What they said and what they were answered leaves it unsure
for a while whether a block holds: from when one was said, before it left, until it was answered, and likewise of its
end. A message that was under way then may be for the other user or not, and is, if any device of theirs shows it. What
was said and never answered leaves it unsure for ever.

So it is with who is let see whom, to whom what that one writes for friends goes: it is certain from an answer that says
so until something is said by either that may end it; certain not before anything was said that may begin it, and after
an end that was answered; and unsure in between.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.kit.history import ContactAnswered, ContactKnown, ContactRefused, ContactSaid, Knocked, Name, State

Report = Callable[[str, str, str], None]
"""invariant, kind, line"""

Pair = tuple[str, str]
"""Who did something about whom."""

ASKING, ENDING = {"REQUEST", "ACCEPT"}, {"REMOVE", "DENY", "UNBLOCK", "NAME"}
FOR_EVER = 1 << 62
"""When that happens which never does."""


class Contacts:
    """The contacts that one device knows; of two values the one with the greater version counts."""

    def __init__(self) -> None:
        self.known: dict[str, ContactKnown] = {}
        self._fresh: dict[str, ContactKnown] | None = None  # a whole state that is arriving

    def take(self, event: State) -> None:
        if event.reset:
            self._fresh = {}
        into = self.known if self._fresh is None else self._fresh
        for one in event.contacts:
            if one.is_gone:
                into.pop(one.other, None)
            else:
                into[one.other] = max(one, into.get(one.other, one), key=lambda known: known.version)
        if event.complete and self._fresh is not None:
            self.known, self._fresh = self._fresh, None

    def interrupt(self) -> None:
        """The connection ended in the middle of a whole state: nothing is dropped yet."""
        fresh, self._fresh = self._fresh or {}, None
        self.known |= fresh


@dataclass
class _Said:
    """Something that a user said about another: when it was said first, and answered first."""

    action: str
    said: int
    answered: int = FOR_EVER


class ContactInvariants:
    def __init__(self, report: Report) -> None:
        self._report = report
        self._devices: dict[Name, Contacts] = {}
        self._said: dict[Pair, set[tuple[str, bool]]] = {}  # what, and whether mutually
        self._by_id: dict[tuple[Name, str], tuple[Pair, _Said]] = {}
        self._blocking: dict[Pair, list[_Said]] = {}
        self._all: dict[Pair, list[_Said]] = {}
        self._names: set[tuple[str, str, str]] = set()
        self._let_see: dict[Pair, list[tuple[int, int]]] = {}  # by owner and viewer: within each it was so once
        self._answered: dict[Pair, ContactKnown] = {}  # the newest

    def said(self, event: ContactSaid, at: int) -> None:
        """Evidence."""
        pair, said = (event.device.eid, event.other), _Said(event.action, at)
        self._said.setdefault(pair, set()).add((event.action, event.is_mutual))
        self._all.setdefault(pair, []).append(said)
        self._names.add((*pair, event.name))
        self._by_id.setdefault((event.device, event.id), (pair, said))
        if event.action in {"BLOCK", "UNBLOCK"}:
            self._blocking.setdefault(pair, []).append(said)

    def answered(self, event: ContactAnswered, at: int) -> None:
        pair, said = self._by_id.get((event.device, event.id), (("", ""), None))
        if said is None or pair[1] != event.contact.other:
            self._report("I5", "invented", f"{event.device} is answered {event.id}, which it never asked")
            return
        said.answered = min(said.answered, at)
        self._check_claim(event.device, event.contact)
        for is_so, owner_and_viewer in ((event.contact.sees_you, pair), (event.contact.seen, pair[::-1])):
            if is_so:
                self._let_see.setdefault(owner_and_viewer, []).append((said.said, at))
        newest = self._answered.get(pair)
        if newest is None or event.contact.version > newest.version:
            self._answered[pair] = event.contact

    def refused(self, event: ContactRefused) -> None:
        pair, said = self._by_id.get((event.device, event.id), (("", ""), None))
        if said is not None and said.answered == FOR_EVER:
            self._all[pair].remove(said)

    def knocked(self, event: Knocked) -> None:
        self._devices.setdefault(event.device, Contacts()).interrupt()

    def changed(self, event: State) -> None:
        for one in event.contacts:
            if not one.is_gone:
                self._check_claim(event.device, one)
        self._devices.setdefault(event.device, Contacts()).take(event)

    def _has_said(self, user: str, other: str, actions: Iterable[str]) -> bool:
        return any(action in actions for action, _ in self._said.get((user, other), ()))

    def _has_asked(self, user: str, other: str) -> bool:
        return self._has_said(user, other, {"REQUEST"}) or ("ACCEPT", True) in self._said.get((user, other), ())

    def _check_claim(self, device: Name, told: ContactKnown) -> None:
        user, other = device.eid, told.other
        if not other:
            return  # who is being erased
        claims = {
            "requested": told.state != "requested" or self._has_asked(user, other),
            "asked": told.state != "asked" or self._has_asked(other, user),
            "denied": told.state != "denied"
            or (self._has_asked(user, other) and self._has_said(other, user, {"DENY", "REMOVE"})),
            "accepted": told.state != "accepted" or self._has_asked(user, other) or self._has_asked(other, user),
            "let see": not told.sees_you or self._has_said(user, other, ASKING),
            "seen": not told.seen or self._has_said(other, user, ASKING),
            "blocked": not told.blocked or self._has_said(user, other, {"BLOCK"}),
            "called so": not told.name or (user, other, told.name) in self._names,
        }
        for what, is_true in claims.items():
            if not is_true:
                self._report("I8", "false contact", f"{device} is told that {other} is {what}: nobody said so")

    # Blocks.

    def was_blocked(self, user: str, other: str, until: int = FOR_EVER) -> bool:
        """Whether a user may ever have blocked another, before some time."""
        return any(one.action == "BLOCK" and one.said < until for one in self._blocking.get((user, other), ()))

    def is_blocked(self, user: str, other: str, begin: int, end: int = FOR_EVER) -> bool:
        """Whether a user has blocked another for certain, all the time from when to when."""
        told = self._blocking.get((user, other), ())
        ends = [one for one in told if one.action == "UNBLOCK"]
        return any(
            one.action == "BLOCK"
            and one.answered < begin
            and all(lifted.answered < one.said or lifted.said > end for lifted in ends)
            for one in told
        )

    # Who sees whom.

    def may_ever_see(self, viewer: str, owner: str) -> bool:
        """Whether a user ever said something by which another may see them."""
        return self._has_said(owner, viewer, ASKING)

    def asked_by(self, owner: str) -> list[str]:
        """Lists whom a user may ever have let see them."""
        return sorted(other for user, other in self._said if user == owner and self.may_ever_see(other, owner))

    def are_steady(self, one: str, other: str) -> bool:
        """Whether neither of two users ever said anything that may end what stands between them."""
        return not any(self._has_said(*pair, {"REMOVE", "BLOCK"}) for pair in ((one, other), (other, one)))

    def saw(self, owner: str, viewer: str, begin: int, end: int) -> bool | None:
        """Whether a user let another see them at some time between two, whenever that was; None: it is unsure."""
        pairs = (owner, viewer), (viewer, owner)
        if any(self._may_be_blocked(*pair, begin, end) for pair in pairs):
            return False if any(self.is_blocked(*pair, begin, end) for pair in pairs) else None
        told = [(pair, one) for pair in pairs for one in self._all.get(pair, ())]
        asked = [one for pair, one in told if one.action in ASKING and one.said < end]
        ended = [one for _, one in told if one.action == "REMOVE" and one.said < end]
        for since, until in self._let_see.get((owner, viewer), ()):
            if until < begin and all(one.answered < since for one in ended):
                return True
        if not any(one.action in ASKING and one.said < end for one in self._all.get((owner, viewer), ())):
            return False
        for one in ended:
            if one.answered < begin and all(other.answered < one.said for other in asked):
                return False
        return None

    def _may_be_blocked(self, user: str, other: str, begin: int, end: int) -> bool:
        """Whether a user may have blocked another at some time between two."""
        told = self._blocking.get((user, other), ())
        lifted = [one for one in told if one.action == "UNBLOCK"]
        return any(
            one.action == "BLOCK"
            and one.said < end
            and not any(one.answered < later.said and later.answered < begin for later in lifted)
            for one in told
        )

    def lets_see(self, owner: str, viewer: str) -> bool:
        """Whether, at rest, a user lets another see them, as a device of theirs knows it."""
        return any(told.sees_you for told in self._known_of(owner, viewer))

    def are_apart(self, one: str, other: str) -> bool:
        """Whether, at rest, one of two users has blocked the other."""
        return any(told.blocked for told in (*self._known_of(one, other), *self._known_of(other, one)))

    def _known_of(self, user: str, other: str) -> list[ContactKnown]:
        devices = [known for name, known in self._devices.items() if name.eid == user]
        return [device.known[other] for device in devices if other in device.known]

    # The end.

    def finish(self, devices: Iterable[Name], erased: str) -> None:
        """Every device has been told all that there was."""
        by_user: dict[str, dict[str, ContactKnown]] = {}
        for name in devices:
            known = self._devices.setdefault(name, Contacts()).known
            known = {other: one for other, one in known.items() if other not in {"", erased}}
            reference = by_user.setdefault(name.eid, known)
            if known != reference:
                differs = sorted(dict(known.items() ^ reference.items()))
                self._report("I9", "diverged", f"contacts: {name} knows {known}, of {differs} a sibling other things")
            self._check_remembered(name, known, erased)
        for user, known in by_user.items():
            for other in known:
                if other in by_user:
                    self._check_sides(user, known[other], by_user[other].get(user), other)

    def _check_remembered(self, name: Name, known: dict[str, ContactKnown], erased: str) -> None:
        for (user, other), answered in self._answered.items():
            if user != name.eid or other == erased:
                continue
            mine = known.get(other)
            may_be_gone = self._has_said(user, other, ENDING) or self._has_said(other, user, ENDING)
            if (mine is None and not may_be_gone) or (mine is not None and mine.version < answered.version):
                self._report("I8", "contact lost", f"{name} knows {mine}, and {user} was answered {answered}")

    def _check_sides(self, user: str, mine: ContactKnown, theirs: ContactKnown | None, other: str) -> None:
        theirs = theirs or ContactKnown(user, 0)
        agree = (mine.sees_you, mine.seen) == (theirs.seen, theirs.sees_you)
        if mine.state == "asked":
            agree = agree and theirs.state == "requested" and theirs.is_mutual == mine.is_mutual
        if mine.state == "requested" and not self.was_blocked(other, user):  # else it may not have been taken
            agree = agree and theirs.state == "asked"
        if mine.state == "accepted":
            agree = agree and (mine.sees_you or mine.seen)
        if not agree:
            self._report("I9", "one-sided", f"{user} has {mine}, and {other} has {theirs}")

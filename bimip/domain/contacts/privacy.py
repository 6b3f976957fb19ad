"""Who sees what of whom: the one table that says so.

Of each thing that may be seen (`Seen`) a row of checks, in their order. The first that denies decides; where none does,
the last says why it is allowed. Everybody sees all of their own. Whoever tells anybody anything of a user asks that
(`verdict`); presence asks `look_evenly`, which decides its two rows together, from one read of each record, and in the
same time whatever denies. A test holds the two against each other.

What is damaged denies. What follows from a verdict is not written here: whoever asks must look again when it may have
changed, and PrivacyNews says when.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import NamedTuple

from bimip.domain.contacts.access import STRANGER
from bimip.domain.core.decision import PrivacyNews
from bimip.domain.core.ids import Millis, UserId
from bimip.domain.core.records import Contact, DamagedRecordError, Reader, ReceiptKind, Table
from bimip.domain.state.changes import StateChanges
from bimip.domain.state.privacy_exceptions import ALLOWED, EXCEPTED, NONE, ExceptionValue, written_for
from bimip.domain.state.settings import FIELDS, SEND, SHOW, Audience, Setting, audience_of, written

# As often as here, an enum's members cost more by their class than as names of the module.
RECORDS, DELIVERED = Table.CONTACTS, ReceiptKind.DELIVERED
EVERYBODY, CONTACTS = Audience.EVERYBODY, Audience.CONTACTS


UNREADABLE = Contact(blocked=True)
"""Nobody is shown anything by what cannot be read."""


class Seen(Enum):
    """Something of a user (the owner) that another one (the viewer) may come to see, or may do to them."""

    ONLINE = "whether they are there, and what they say of it"
    LAST_SEEN = "when they were last there"
    ACTIVITY = "that they type or record"
    LOCATION = "where they are, if they share it with the viewer"
    READ_RECEIPTS = "what they have read and played"
    MESSAGE = "the viewer may write to them"
    CALL = "the viewer may call them"


class Verdict(NamedTuple):
    allowed: bool
    rule: str
    """Which rule decided: see `WORDS`."""


Check = Callable[[Reader, UserId, UserId], Verdict]
"""Of a viewer and an owner, in this order."""

WORDS: dict[str, str] = {
    "self": "everybody sees all of their own",
    "blocked": "the owner has blocked the viewer",
    "blocks": "the viewer has blocked the owner",
    "not_blocked": "neither has blocked the other",
    "invisible": "the owner is not visible, or was erased",
    "visible": "the owner is visible",
    "no_contact": "the owner has not accepted the viewer as a contact",
    "contact": "the owner has accepted the viewer as a contact",
}
"""What each rule says. Those of settings, which follow below, are named after the setting and what it says."""

_SELF = Verdict(allowed=True, rule="self")


def _either(denies: str, allows: str) -> tuple[Verdict, Verdict]:
    return Verdict(allowed=False, rule=denies), Verdict(allowed=True, rule=allows)


_BLOCKED, _NOT_BLOCKED = _either("blocked", "not_blocked")
_BLOCKS, _ = _either("blocks", "not_blocked")
_INVISIBLE, _VISIBLE = _either("invisible", "visible")
_NO_CONTACT, _CONTACT = _either("no_contact", "contact")


class _OfSetting(NamedTuple):
    """The verdicts to which a setting and its exceptions lead."""

    everybody: Verdict
    contact: Verdict
    no_contact: Verdict
    nobody: Verdict
    allowed: Verdict
    denied: Verdict


def _of_setting(setting: Setting) -> _OfSetting:
    field = FIELDS[setting]
    return _OfSetting(
        Verdict(allowed=True, rule=f"{field}: EVERYBODY"),
        Verdict(allowed=True, rule=f"{field}: CONTACTS, and they are one"),
        Verdict(allowed=False, rule=f"{field}: CONTACTS, and they are none"),
        Verdict(allowed=False, rule=f"{field}: NOBODY"),
        Verdict(allowed=True, rule=f"{setting.name.lower()}: ALLOWED"),
        Verdict(allowed=False, rule=f"{setting.name.lower()}: DENIED"),
    )


_OF_SETTINGS: dict[Setting, _OfSetting] = {setting: _of_setting(setting) for setting in EXCEPTED}


def _words_of(setting: Setting) -> dict[str, str]:
    whose, other = ("viewer", "owner") if setting is SHOW else ("owner", "viewer")
    field, verdicts = FIELDS[setting], _OF_SETTINGS[setting]
    return {
        verdicts.everybody.rule: f"{field} of the {whose} is EVERYBODY",
        verdicts.contact.rule: f"{field} of the {whose} is CONTACTS, and they have accepted the {other}",
        verdicts.no_contact.rule: f"{field} of the {whose} is CONTACTS, and they have not accepted the {other}",
        verdicts.nobody.rule: f"{field} of the {whose} is NOBODY",
        verdicts.allowed.rule: f"the {whose} has an exception for the {other}: {setting.name.lower()} is ALLOWED",
        verdicts.denied.rule: f"the {whose} has an exception for the {other}: {setting.name.lower()} is DENIED",
    }


for _setting in EXCEPTED:
    WORDS |= _words_of(_setting)


def setting_of(rule: str) -> tuple[Setting, bool] | None:
    """Tells which setting a rule goes by, and whether by an exception to it; None: by none that has exceptions."""
    for setting, verdicts in _OF_SETTINGS.items():
        if any(rule == one.rule for one in verdicts):
            return setting, rule in {verdicts.allowed.rule, verdicts.denied.rule}
    return None


def _contact_of(view: Reader, user: UserId, other: UserId) -> Contact:
    try:
        found: Contact | None = view.get(RECORDS, (user, other))
    except DamagedRecordError:
        return UNREADABLE
    return found or STRANGER


def allows(view: Reader, user: UserId, other: UserId, setting: Setting) -> Verdict:
    """Tells whether a setting of a user holds for another: by the exception for them, else by its audience."""
    write = written(view, user, setting)
    if write is None:  # as with most: then there is no exception either
        return _OF_SETTINGS[setting].everybody
    exception = written_for(view, user, other, setting)
    value = NONE if exception is None else exception.value
    return allows_by(view, user, other, setting, audience_of(write), value)


def allows_by(
    view: Reader, user: UserId, other: UserId, setting: Setting, audience: Audience, exception: ExceptionValue
) -> Verdict:
    """Tells whether a setting of a user would hold for another, if it were so."""
    verdicts = _OF_SETTINGS[setting]
    if exception != NONE:
        return verdicts.allowed if exception == ALLOWED else verdicts.denied
    if audience is CONTACTS:
        return verdicts.contact if _contact_of(view, user, other).grants else verdicts.no_contact
    return verdicts.everybody if audience is EVERYBODY else verdicts.nobody


def _blocked(view: Reader, viewer: UserId, owner: UserId) -> Verdict:
    return _BLOCKED if _contact_of(view, owner, viewer).blocked else _NOT_BLOCKED


def _blocks(view: Reader, viewer: UserId, owner: UserId) -> Verdict:
    return _BLOCKS if _contact_of(view, viewer, owner).blocked else _NOT_BLOCKED


def _is_erased(view: Reader, user: UserId) -> bool:
    try:
        eid: str | None = view.get(Table.EIDS, (user,))
    except DamagedRecordError:
        return True
    return eid == ""


def _visible(view: Reader, _viewer: UserId, owner: UserId) -> Verdict:
    if _is_erased(view, owner):
        return _INVISIBLE  # whatever stood between the two goes a little later than they do
    write = written(view, owner, Setting.VISIBLE)
    return _VISIBLE if write is None or write.value else _INVISIBLE


def _contact(view: Reader, viewer: UserId, owner: UserId) -> Verdict:
    return _CONTACT if _contact_of(view, owner, viewer).grants else _NO_CONTACT


def _online(view: Reader, viewer: UserId, owner: UserId) -> Verdict:
    return allows(view, owner, viewer, Setting.SHOW_ONLINE_STATUS)


def _last_seen(view: Reader, viewer: UserId, owner: UserId) -> Verdict:
    return allows(view, owner, viewer, Setting.SHOW_LAST_SEEN)


def _sent(view: Reader, viewer: UserId, owner: UserId) -> Verdict:
    return allows(view, owner, viewer, SEND)


def _shown(view: Reader, viewer: UserId, owner: UserId) -> Verdict:
    return allows(view, viewer, owner, SHOW)


ROWS: Mapping[Seen, tuple[Check, ...]] = {
    Seen.ONLINE: (_blocked, _blocks, _visible, _contact, _online),
    Seen.LAST_SEEN: (_blocked, _blocks, _visible, _contact, _last_seen),
    Seen.ACTIVITY: (_blocked, _blocks, _visible, _online),
    Seen.LOCATION: (_blocked, _blocks, _visible),
    Seen.READ_RECEIPTS: (_blocked, _sent, _shown),  # whoever blocks goes on seeing who reads what they wrote
    Seen.MESSAGE: (_blocked, _blocks),
    Seen.CALL: (_blocked, _blocks),
}
"""What is checked, in this order, before a viewer is let see something of an owner."""

COLUMNS: Mapping[Check, str] = {
    _blocked: "owner blocked viewer",
    _blocks: "viewer blocked owner",
    _visible: "owner not `visible`",
    _contact: "viewer no contact of owner's",
    _online: "owner's `online_status_to`",
    _last_seen: "owner's `last_seen_to`",
    _sent: "owner's `read_receipts_to`",
    _shown: "viewer's `read_receipts_of`",
}
"""What each check asks, in the words of the protocol's table."""


def verdict(view: Reader, viewer: UserId, owner: UserId, seen: Seen) -> Verdict:
    """Decides whether a viewer is let see something of an owner, and by which rule."""
    if viewer == owner:
        return _SELF
    found = _SELF
    for check in ROWS[seen]:
        found = check(view, viewer, owner)
        if not found.allowed:
            break
    return found


class Sighted(NamedTuple):
    """A viewer who asks is told this of an owner."""

    online: bool
    last_seen: bool
    frozen: Millis
    """When an owner who has blocked the viewer was last there, as the viewer sees it, if but for the block they would:
    when they blocked them. So it stands still, as that of somebody who went then. 0: they are not blocked, or would see
    nothing of it anyway.
    """


def look_evenly(view: Reader, viewer: UserId, owner: UserId) -> Sighted:
    """Decides as `verdict` does whether a viewer sees that an owner is there, and when they last were, by the same
    reads whatever denies it: who asks shall not tell a block from a setting by the time that the answer takes.
    """
    theirs, ours = _contact_of(view, owner, viewer), _contact_of(view, viewer, owner)
    visible = _visible(view, viewer, owner).allowed
    settings = [_holds_evenly(view, owner, viewer, setting, is_contact=theirs.grants) for setting in _OF_A_LOOK]
    if viewer == owner:
        return Sighted(online=True, last_seen=True, frozen=Millis(0))
    shows = visible and theirs.grants and not ours.blocked
    online, last_seen = (shows and holds for holds in settings)
    if theirs.blocked:
        return Sighted(online=False, last_seen=False, frozen=theirs.blocked_at if last_seen else Millis(0))
    return Sighted(online, last_seen, Millis(0))


_OF_A_LOOK = (Setting.SHOW_ONLINE_STATUS, Setting.SHOW_LAST_SEEN)


def _holds_evenly(view: Reader, user: UserId, other: UserId, setting: Setting, *, is_contact: bool) -> bool:
    write, exception = written(view, user, setting), written_for(view, user, other, setting)
    value = NONE if exception is None else exception.value
    if write is not None and value != NONE:
        return bool(value == ALLOWED)
    audience = audience_of(write)
    return audience is EVERYBODY or (audience is CONTACTS and is_contact)


def sends_receipts(view: Reader, reader: UserId, author: UserId) -> bool:
    """Tells whether an author may ever learn that a reader reads what they wrote now. It is asked when that is read:
    what was sent then is not taken back, and what was not is sent never. That the author has blocked the reader is not
    asked: a reader whose receipts became private by that would see that they are blocked.
    """
    return _blocked(view, author, reader).allowed and _sent(view, author, reader).allowed


def may_see(view: Reader, viewer: UserId, member: UserId, kind: ReceiptKind) -> bool:
    """Tells whether a user may learn of a member's receipts of one kind that were sent: always that something was
    delivered, and always their own; that others read or played something while they show it themselves.
    """
    return kind is DELIVERED or viewer == member or _shown(view, viewer, member).allowed


def contact_changed(
    view: Reader, changes: StateChanges, user: UserId, other: UserId, before: Contact, after: Contact
) -> bool:
    """Tells what follows when what a user has of another changes, behind what their devices are told of that itself.
    Returns whether they are sent all of their state again: whose receipts they are shown may follow from it.
    """
    if (before.grants, before.blocked) != (after.grants, after.blocked):
        changes.news.append(PrivacyNews(user, other))
    if before.grants is after.grants:
        return False
    write = written(view, user, SHOW)
    if write is None or audience_of(write) is not CONTACTS:
        return False
    exception = written_for(view, user, other, SHOW)
    if exception is not None and exception.value != NONE:
        return False
    changes.restart(user)
    return True

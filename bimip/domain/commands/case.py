"""One command about one message, while it is decided: what it is about, what is there, and who learns of it."""

from functools import cached_property

from bimip.domain.commands.effect import Effect, lost_against
from bimip.domain.commands.operation import Command, Commanded
from bimip.domain.commands.target import Target
from bimip.domain.contacts.access import blocks
from bimip.domain.conversations.feeds import follow
from bimip.domain.conversations.membership import membership_of, readers_of, unhear, witnesses_of
from bimip.domain.core.decision import BodyNews, News, Put
from bimip.domain.core.ids import DeviceId, Stamp, UserId, Version
from bimip.domain.core.records import Conflict, MessageRecord, OwnMessage, Reader, Table
from bimip.domain.core.rules import Context
from bimip.domain.state.changes import StateChanges
from bimip.domain.state.merges import MergeRule
from bimip.domain.state.messages import (
    MessageState,
    Reactions,
    listed_reactions,
    message_state,
    pack_key,
    read_own,
    read_record,
)


class Case:
    def __init__(self, view: Reader, op: Command, context: Context, target: Target, stamp: Stamp) -> None:
        self.view = view
        self.op = op
        self.context = context
        self.target = target
        self.stamp = stamp
        self.place = (target.conversation, target.place)
        self.record = read_record(view, *self.place)
        """What became of the message so far; None: nothing."""
        self.puts: list[Put] = []
        self._changes = StateChanges(view)
        self._key = pack_key(*self.place)

    def come_behind(self, stamp: Stamp, device: DeviceId) -> None:
        """Sets the stamp behind what the same device did before, where both were done before the message was stored:
        what tells them apart is the order in which they came.
        """
        if device == self.op.device and self.op.stamp <= self.target.stamp:
            self.stamp = Stamp(max(self.stamp, stamp + 1))

    @property
    def known(self) -> MessageRecord:
        return self.record or MessageRecord(self.target.stamp)

    @cached_property
    def witnesses(self) -> list[UserId]:
        """All who may see the message and what is done to it: of what a reader of a feed does, they and its author."""
        found = witnesses_of(self.view, *self.place)
        if self.target.is_feed and self.op.user != self.target.author:
            return [user for user in found if user in {self.op.user, self.target.author}]
        return found

    def put(self, record: MessageRecord) -> None:
        self.puts.append((Table.MESSAGE_STATES, {self.place: record}))

    def tell_everybody(
        self, record: MessageRecord, reactions: Reactions = (), *, is_new_body: bool = False, is_unheard: bool = False
    ) -> Effect:
        """Tells all who may see the message. `reactions`: the new ones; `is_new_body`: its content is another one;
        `is_unheard`: nobody else is told.
        """
        view, target, op = self.view, self.target, self.op
        body = self._body(record)
        body_news: list[News] = []
        version, count = Version(0), 0
        for user in self.witnesses:
            if is_unheard and user != op.user:
                continue
            if self._is_deaf(user) and not _takes_back(record, reactions):
                if is_new_body:
                    self.puts.append(unhear(view, user, *self.place, target.place))
                    body_news.append(BodyNews(user))
                continue
            own = read_own(view, user, *self.place) or OwnMessage(target.stamp)
            told = self._changes.tell(user, self._key, MessageState(record, own, reactions, body))
            version = told if user == op.user else version
            count += 1
            if is_new_body:
                body_news.append(BodyNews(user))
        if is_new_body and self.target.is_feed:
            body_news += self._end_readers()
        return self._effect(version, count, body_news)

    def _end_readers(self) -> list[News]:
        """Ends who reads the feed no more, before the message has another content. They are told nothing of it, and
        what is in memory is not to be sent.
        """
        view, number = self.view, self.target.conversation
        known = view.get(Table.CONVERSATIONS, (number,))
        readers = [user for user, _ in readers_of(view, number)]
        reading = [user for user in readers if membership_of(view, user, number) is not None]
        self.puts += follow(view, number, known, reading, self.context.now)
        return [BodyNews(user) for user in readers if user not in {*self.witnesses}]

    @property
    def is_unheard(self) -> bool:
        """Whether the other one who may see the message has blocked who does something to it."""
        return any(self._is_deaf(user) for user in self.witnesses)

    def _is_deaf(self, user: UserId) -> bool:
        """Whether who may see the message has blocked who does something to it: in a conversation of two they are not
        told. What has another content now is not theirs to see any more.
        """
        return user != self.op.user and self.target.is_direct and blocks(self.view, user, self.op.user)

    def _body(self, record: MessageRecord) -> bytes | None:
        if record.deleted or not record.edited:
            return None
        for table, written in self.puts:
            if table is Table.BODIES:
                new: bytes = written[self.target.stamp,]
                return new
        found: bytes | None = self.view.get(Table.BODIES, (self.target.stamp,))
        return found

    def tell_themselves(self, own: OwnMessage) -> Effect:
        """Tells the user's own devices what they made of the message."""
        conversation, place = self.place
        self.puts.append((Table.OWN_MESSAGES, {(self.op.user, conversation, place): own}))
        reactions = listed_reactions(self.view, self.op.user, *self.place)
        state = message_state(self.view, self.record, own, reactions)
        return self._effect(self._changes.tell(self.op.user, self._key, state), 1, [])

    def _effect(self, version: Version, count: int, body_news: list[News]) -> Effect:
        done = Commanded(*self.place, self.target.stamp, self.stamp, version, told=count)
        return Effect(done, [*self.puts, *self._changes.puts()], [*body_news, *self._changes.news])

    def leave(self) -> Effect:
        """Leaves what is there: it says the same."""
        return Effect(self._done())

    def lose(self, rule: MergeRule, won: tuple[Stamp, DeviceId]) -> Effect:
        """Leaves what is there: it counts for more."""
        lost: Conflict = lost_against(self.op, self.stamp, rule, self.place, won, self.context)
        return Effect(self._done()._replace(superseded=True), lost=lost)

    def _done(self) -> Commanded:
        version: Version | None = self.view.get(Table.VERSIONS, (self.op.user, self._key))
        return Commanded(*self.place, self.target.stamp, self.stamp, version or Version(0))


def _takes_back(record: MessageRecord, reactions: Reactions) -> bool:
    """Whether less is there than was known, which all are told, whomever they have blocked."""
    return bool(record.deleted) or any(one.removed for _, each in reactions for one in each)

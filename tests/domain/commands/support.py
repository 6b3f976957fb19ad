"""Ann, Bob and Carol: Ann and Bob write to each other, and somebody gives commands about it."""

from hashlib import blake2b
from typing import Any

from bimip.domain.commands.operation import Command, Commanded, CommandKind
from bimip.domain.core.decision import BodyNews, StateNews
from bimip.domain.core.ids import ConversationId, Stamp
from bimip.domain.core.operations import Appended
from bimip.domain.core.records import Conflict, Table
from bimip.domain.state.conversation_settings import read_settings
from bimip.domain.state.messages import MessageState, read_message
from tests.domain.support import Ledger, Peer

ONE = ConversationId(1)


class Commanders:
    def __init__(self, **rules: Any) -> None:
        self.ledger = Ledger(**rules)
        self.ann, self.bob, self.carol = (self.ledger.device(name) for name in ("ann", "bob", "carol"))
        self.laptop = self.ledger.device("ann", "laptop")
        self.sent = self.write("m", b"hello")
        self._ids = 0

    def write(self, message_id: str, payload: bytes) -> Appended:
        return self.ledger.send(self.ann, "bob", message_id, sent=payload)

    def give(self, who: Peer, kind: CommandKind, **fields: Any) -> Any:
        """Gives a command about the one message, unless the fields say which."""
        self._ids += 1
        if not fields.keys() & {"target", "target_id", "conversation"}:
            fields["target"] = self.sent.stamp
        told = {"id": f"k{self._ids}", "digest": blake2b(repr(sorted(fields.items())).encode(), digest_size=8).digest()}
        return self.ledger.do(Command(who.user, who.device, kind=kind, **{**told, **fields}))

    def done(self, who: Peer, kind: CommandKind, **fields: Any) -> Commanded:
        answer = self.give(who, kind, **fields)
        assert isinstance(answer, Commanded), answer
        return answer

    def keep(self, who: Peer, kind: CommandKind, **fields: Any) -> Any:
        return self.give(who, kind, **{"conversation": ONE, **fields})

    def at(self, milliseconds: int) -> Stamp:
        """A stamp so long behind the message."""
        return Stamp(self.sent.stamp + (milliseconds << 22))

    def state(self, who: Peer) -> MessageState | None:
        with self.ledger.store.snapshot() as view:
            return read_message(view, who.user, self.sent.conversation, self.sent.conversation_offset)

    def known(self, who: Peer) -> MessageState:
        state = self.state(who)
        assert state is not None
        return state

    def settings(self, who: Peer) -> Any:
        with self.ledger.store.snapshot() as view:
            return read_settings(view, who.user, ONE)

    def body(self) -> bytes | None:
        """The content that is stored."""
        body: bytes | None = self.ledger.get(Table.BODIES, self.sent.stamp)
        return body and body.split(b"/", 3)[3]

    def reactions(self, who: Peer) -> dict[tuple[int, str], bool]:
        """By user and emoji, whether it is there."""
        state = self.state(who)
        listed = () if state is None else state.reactions
        return {(user, one.emoji): not one.removed for user, each in listed for one in each}

    def told(self) -> list[StateNews]:
        """Who was told of state by the last command."""
        return [news for news in self.ledger.decisions[0].news if isinstance(news, StateNews)]

    def forgotten(self) -> list[int]:
        """Whose memory of their logs is stale by the last command."""
        return [news.user for news in self.ledger.decisions[0].news if isinstance(news, BodyNews)]

    def conflicts(self) -> list[Conflict]:
        with self.ledger.store.snapshot() as view:
            return [record for _, record in view.scan(Table.CONFLICTS, (0,), (1 << 63,), limit=9999)]

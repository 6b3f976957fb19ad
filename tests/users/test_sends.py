"""Who has something to send sends once, in the order in which that came up, and what comes up meanwhile comes next."""

from bimip.users.sends import PendingSends


class Sender:
    def __init__(self, name: str, sends: PendingSends, sent: list[str], *then: "Sender") -> None:
        self.name = name
        self._sends = sends
        self._sent = sent
        self._then = list(then)

    def send_soon(self, now: float) -> None:
        self._sent.append(f"{self.name} {now}")
        for other in self._then:
            self._sends[other] = None
        self._then = []


def test_each_sends_once_in_order() -> None:
    sends, sent = PendingSends(), list[str]()
    first, second = (Sender(name, sends, sent) for name in "ab")
    for sender in (first, second, first):
        sends[sender] = None
    sends.flush(5.0)

    assert sent == ["a 5.0", "b 5.0"]
    assert not sends


def test_what_comes_up_while_another_sends_is_sent_too() -> None:
    sends, sent = PendingSends(), list[str]()
    late = Sender("late", sends, sent)
    again = Sender("again", sends, sent)
    first = Sender("first", sends, sent, late, again)
    for sender in (first, again):
        sends[sender] = None
    sends.flush(1.0)

    assert sent == ["first 1.0", "again 1.0", "late 1.0"]


def test_who_left_sends_nothing() -> None:
    sends, sent = PendingSends(), list[str]()
    sender = Sender("gone", sends, sent)
    sends[sender] = None
    sends.pop(sender, None)
    sends.flush(1.0)

    assert sent == []

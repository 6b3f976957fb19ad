from bimip.domain.awareness.activities import Activity, Doing
from bimip.domain.core.ids import ConversationId, DeviceId, UserId
from bimip.users.awareness.activities import MAX_WAITING, Activities
from bimip.users.awareness.notes import TimedActivity

PHONE, LAPTOP = DeviceId(1), DeviceId(2)


def said(conversation: int, doing: Doing = Doing.TYPING, until: float = 100.0) -> TimedActivity:
    return TimedActivity(Activity(UserId(1), ConversationId(conversation), UserId(0), doing, 0), until)


def take_all(activities: Activities, now: float) -> list[int]:
    taken: list[int] = []
    while (due := activities.pop_due(now)) is not None:
        assert due.activity.conversation is not None
        taken.append(due.activity.conversation)
    return taken


def test_a_device_may_say_so_much_at_once_and_the_rest_comes_later() -> None:
    activities = Activities()
    for number in range(30):
        activities.add(PHONE, number, said(number))
    first = take_all(activities, 10.0)

    assert 10 <= len(first) <= 11
    assert take_all(activities, 10.0) == []
    assert 10.0 < activities.next_due <= 10.2
    assert take_all(activities, activities.next_due) == [len(first)]


def test_of_what_waits_the_last_word_counts() -> None:
    activities = Activities()
    for number in range(20):
        activities.add(PHONE, number, said(number))
    take_all(activities, 10.0)
    for doing in (Doing.PAUSED, Doing.RECORDING):
        activities.add(PHONE, "x", said(99, doing))
    while (due := activities.pop_due(60.0)) is not None:
        last = due

    assert last.activity.doing is Doing.RECORDING


def test_what_means_nothing_any_more_goes() -> None:
    activities = Activities()
    activities.add(PHONE, 1, said(1, until=5.0))

    assert take_all(activities, 5.0) == []
    assert len(activities) == 0


def test_one_device_keeps_no_other_waiting_and_not_more_than_its_share() -> None:
    activities = Activities()
    for number in range(1000):
        activities.add(PHONE, number, said(number))
    take_all(activities, 10.0)
    activities.add(LAPTOP, 1, said(5000))

    assert take_all(activities, 10.0) == [5000]
    assert len(activities) < MAX_WAITING

import pytest

from bimip.client.core.requests import Requests
from bimip.client.errors import NotConnected, Refused
from bimip.client.wire.bimip import Body, ErrorCode, ErrorMessage, PingPong


def test_an_answer_goes_to_the_request_with_its_ref_once() -> None:
    requests = Requests()
    first, _ = requests.open()
    second, pending = requests.open()
    answer = PingPong(id="2")

    assert first != second
    assert not pending.done.is_set()
    assert requests.answer(second, answer)
    assert pending.done.is_set()
    assert pending.result() is answer
    assert not requests.answer(second, answer)


def test_an_error_is_a_refusal() -> None:
    requests = Requests()
    ref, pending = requests.open()
    requests.answer(ref, ErrorMessage(code=ErrorCode.RATE_LIMITED, message="slowly", retry_after_ms=500))

    with pytest.raises(Refused, match="slowly") as refused:
        pending.result()
    assert (refused.value.code, refused.value.retry_after) == (ErrorCode.RATE_LIMITED, 0.5)


def test_nobody_waits_for_the_answer_to_a_request_that_was_closed() -> None:
    requests = Requests()
    ref, pending = requests.open()
    requests.close(ref)
    requests.close(ref)

    assert not requests.answer(ref, Body())
    assert not pending.done.is_set()


def test_a_connection_that_ends_fails_what_waits_and_forgets_what_it_carried() -> None:
    requests = Requests()
    ref, pending = requests.open()
    carrying = requests.next_ref()
    requests.carried(carrying, "m1")
    requests.fail(NotConnected("gone"))

    assert pending.done.is_set()
    with pytest.raises(NotConnected, match="gone"):
        pending.result()
    assert not requests.answer(ref, Body())
    assert requests.message_of(carrying) == ""
    assert requests.next_ref() > carrying


def test_the_message_of_a_ref_is_named_once() -> None:
    requests = Requests()
    ref = requests.next_ref()
    requests.carried(ref, "m1")

    assert [requests.message_of(ref), requests.message_of(ref), requests.message_of(99)] == ["m1", "", ""]

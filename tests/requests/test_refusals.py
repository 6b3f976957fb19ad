"""Refusals say what is wrong and what to do, and when to come again."""

import pytest

from bimip.domain.core.operations import Done, Fault, Refused
from bimip.requests.refusals import answer_errors_only, error_of, no_partition, rate_limited
from bimip.wire import bimip_pb2 as pb
from tests.requests.support import Peer


@pytest.mark.parametrize(("seconds", "millis"), [(0.0001, 1), (1.5, 1500), (2.0001, 2001)])
def test_a_rate_says_when_to_come_again(seconds: float, millis: int) -> None:
    assert rate_limited(seconds).retry_after_ms == millis


def test_an_unknown_partition_is_told_the_known_ones() -> None:
    error = no_partition("nowhere", ("feed", "chat"))

    assert (error.code, error.sentence.endswith("use one of: chat, feed")) == (pb.NOT_FOUND, True)


def test_what_the_store_refuses_is_said_as_it_is() -> None:
    refused = Refused(Fault.STORAGE_FULL, "full", "payload", 9)

    assert error_of(refused, 5, "m") == pb.ErrorMessage(
        code=pb.STORAGE_FULL, message="full", field="payload", retry_after_ms=9, id="m", ref=5
    )


def test_only_an_error_is_said_where_nothing_else_is() -> None:
    peer = Peer()
    peer.owed = 2
    answer_errors_only(peer, Done(), 5)
    answer_errors_only(peer, Refused(Fault.CONFLICT, "no"), 5)

    assert (peer.owed, len(peer.together().errors)) == (1, 1)

"""Errors by HTTP: the socket's codes, sentences and fields, with the status that is meant for each."""

import json

import pytest

from bimip.http.problems import STATUS, TITLES, ProblemError, problem_of, problem_response
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError

CODES = [code for code in pb.ErrorCode.values() if code]


@pytest.mark.parametrize("code", CODES)
def test_each_code_has_its_status_and_its_title(code: int) -> None:
    response = problem_response(ProblemError(WireError(code, "what is wrong", field="to.eid" if code == 2 else "")))
    told = json.loads(bytes(response.body))

    assert response.status_code == told["status"] == STATUS[code]
    assert (told["code"], told["detail"], told["title"]) == (pb.ErrorCode.Name(code), "what is wrong", TITLES[code])
    assert told["type"] == f"urn:bimip:error:{told['code']}"
    assert response.media_type == "application/problem+json"


def test_no_code_is_left_out() -> None:
    assert set(STATUS) == set(TITLES) == set(CODES)


@pytest.mark.parametrize(("wait_ms", "seconds"), [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (60_000, "60")])
def test_who_may_come_again_is_told_when_in_whole_seconds(wait_ms: int, seconds: str) -> None:
    problem = ProblemError(WireError(pb.RATE_LIMITED, "slower", retry_after_ms=wait_ms))

    assert problem_response(problem).headers["retry-after"] == seconds
    assert problem_of(problem.error).get("retry_after_ms", 0) == wait_ms


def test_a_token_in_the_body_that_does_not_do_says_nothing_against_the_one_in_the_header() -> None:
    assert ProblemError(WireError(pb.UNAUTHENTICATED, "no")).status == 401
    assert ProblemError(WireError(pb.UNAUTHENTICATED, "no", field="token")).status == 422


def test_devices_that_a_list_lacks_are_told() -> None:
    phone = pb.Identity(eid="bob", connection_resource_id="phone")
    error = pb.ErrorMessage(code=pb.CONFLICT, message="stale", missing=[phone], id="m1")

    assert problem_of(error)["missing"] == [{"eid": "bob", "connection_resource_id": "phone"}]
    assert problem_of(error)["id"] == "m1"

from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError


def test_an_error_becomes_the_frame_that_answers() -> None:
    error = WireError(pb.RATE_LIMITED, "Slow down.", field="x", retry_after_ms=5, id="m", ref=3)

    assert error.to_proto() == pb.ErrorMessage(
        code=pb.RATE_LIMITED, message="Slow down.", field="x", retry_after_ms=5, id="m", ref=3
    )


def test_an_error_names_its_code_in_words() -> None:
    assert str(WireError(pb.INVALID, "No.")) == "INVALID: No."

from bimip.domain.core.operations import Fault
from bimip.domain.core.records import ReceiptKind
from bimip.domain.delivery.hello import FIRST, HEAD, LAST
from bimip.wire import bimip_pb2 as pb


def test_faults_are_error_codes_of_the_wire() -> None:
    codes = {name.removeprefix("ERROR_"): number for name, number in pb.ErrorCode.items()}

    assert {fault.name: fault.value for fault in Fault}.items() <= codes.items()


def test_kinds_of_receipts_are_statuses_of_the_wire() -> None:
    assert {kind.name: kind.value for kind in ReceiptKind}.items() <= dict(pb.MessageStatus.items()).items()


def test_starts_are_those_of_the_wire() -> None:
    assert (FIRST, HEAD, LAST) == (pb.FIRST, pb.HEAD, pb.LAST)

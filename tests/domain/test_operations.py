from bimip.domain.hello import FIRST, HEAD, LAST
from bimip.domain.operations import Fault, Operation
from bimip.domain.records import ReceiptKind
from bimip.wire import bimip_pb2 as pb


def test_faults_are_error_codes_of_the_wire() -> None:
    codes = {name.removeprefix("ERROR_"): number for name, number in pb.ErrorCode.items()}

    assert {fault.name: fault.value for fault in Fault}.items() <= codes.items()


def test_kinds_of_receipts_are_statuses_of_the_wire() -> None:
    assert {kind.name: kind.value for kind in ReceiptKind}.items() <= dict(pb.MessageStatus.items()).items()


def test_starts_are_those_of_the_wire() -> None:
    assert (FIRST, HEAD, LAST) == (pb.FIRST, pb.HEAD, pb.LAST)


def test_operations_are_values() -> None:
    kinds = Operation.__args__

    assert all(issubclass(kind, tuple) for kind in kinds)
    assert len(set(kinds)) == len(kinds)

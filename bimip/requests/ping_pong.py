"""PingPong: whether the server is there."""

from bimip.requests.asker import Asker
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.checks import check_id


def ask(asker: Asker, payload: pb.PingPong, ref: int) -> None:
    if payload.id:
        check_id(payload.id, "id", asker.services.limits)
    if payload.kind == pb.PingPong.PING:
        pong = pb.PingPong(kind=pb.PingPong.PONG, id=payload.id, timestamp=asker.services.wall_clock())
        asker.answer_alone(codec.encode(pong, ref))
    else:
        asker.pay(1)

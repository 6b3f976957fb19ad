"""What the other side did wrong.

Exception
└── WireError   the remote's fault: answered with an ErrorMessage, harmless to everybody else

Mistakes of our own (a number that does not fit, a type that is no payload) are ordinary Python exceptions.
"""

from bimip.wire import bimip_pb2 as pb


class WireError(Exception):
    """Refuses a frame or a part of one.

    `sentence` says what is wrong and what to do, for the person who writes the client; `field` names the field at
    fault, with dots; `id` is the message's own id, where one is concerned; `ref` the request's, where it could be read.
    """

    def __init__(
        self,
        code: int,
        sentence: str,
        *,
        field: str = "",
        retry_after_ms: int = 0,
        id: str = "",  # noqa: A002 - the name of the field on the wire
        ref: int = 0,
    ) -> None:
        super().__init__(f"{pb.ErrorCode.Name(code)}: {sentence}")
        self.code = code
        self.sentence = sentence
        self.field = field
        self.retry_after_ms = retry_after_ms
        self.id = id
        self.ref = ref

    def to_proto(self) -> pb.ErrorMessage:
        return pb.ErrorMessage(
            code=self.code,  # type: ignore[arg-type]  # the stub knows names of enums, not their numbers
            message=self.sentence,
            field=self.field,
            retry_after_ms=self.retry_after_ms,
            id=self.id,
            ref=self.ref,
        )

"""A token that is refused, for those who verify one and those who are told."""

from bimip.session.close import Close


class TokenError(Exception):
    """The token is refused. `reason` can be told to the peer; `code` is what its connection closes with."""

    def __init__(self, reason: str, code: Close = Close.UNAUTHENTICATED) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code

"""Files of ours that browsers keep, and ask each time whether they are the same: none is older than its server."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

TYPES: Final = {
    "css": "text/css",
    "html": "text/html",
    "mjs": "text/javascript",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webmanifest": "application/manifest+json",
}
"""Media types by the end of a file's name."""


class Asset(NamedTuple):
    """A file, and the tag that is another one when its content is."""

    name: str
    content: bytes
    tag: str

    @classmethod
    def of(cls, name: str, content: bytes) -> "Asset":
        return cls(name, content, f'"{sha256(content).hexdigest()[:32]}"')

    def answer(self, request: Request, headers: Mapping[str, str]) -> Response:
        """Answers with the file, or that it is still the one which the browser has."""
        tagged = {**headers, "cache-control": "no-cache", "etag": self.tag}
        known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
        if self.tag in known:
            return Response(status_code=304, headers=tagged)
        return Response(self.content, media_type=TYPES[self.name.rpartition(".")[2]], headers=tagged)

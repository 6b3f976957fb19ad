"""Addresses: the ids from the root down, joined by '/'. In an id, '%' is written '%25' and '/' is written '%2F';
nothing else changes.
"""

from collections.abc import Sequence


def join(*ids: str) -> str:
    return "/".join(escape(part) for part in ids)


def split(path: str) -> Sequence[str]:
    """The ids of a path. The inverse of `join` for ids that are not empty."""
    return [part.replace("%2F", "/").replace("%25", "%") for part in path.split("/")]


def escape(part: str) -> str:
    return part.replace("%", "%25").replace("/", "%2F")

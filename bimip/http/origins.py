"""Which web pages may connect or ask: only browsers send an Origin. Without this check any web page could use the
network that its reader's browser is in. Pure.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
"""No page of somebody else's comes from there."""

DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def may_come_from(origin: str, host: str, origins: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a page of this origin may ask who was asked as `host`. `origins`: those that the settings list; `names`:
    the server's own.
    """
    return origin in origins or "*" in origins or _is_own(origin, host, names)


def _is_own(origin: str, host: str, names: Sequence[str]) -> bool:
    """Whether a page came from where it connects to, by a name that is the server's.

    That both say the same is not enough: whose page it is makes a name of its own lead to any address, this one too,
    and a browser then says that name both times (DNS rebinding).
    """
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    port = DEFAULT_PORTS.get(parts.scheme)
    if port is None or not parts.netloc:
        return False
    is_same_host = parts.netloc.lower().removesuffix(port) == host.lower().removesuffix(port)
    return is_same_host and parts.hostname in {*LOOPBACK_NAMES, *names}

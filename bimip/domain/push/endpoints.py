"""Where a push may be sent to: users choose the endpoints of their subscriptions, and the server connects to them.

So an endpoint is judged twice: its URL when a device subscribes, and each address to which its name leads when the
server connects to exactly that address. A name may lead elsewhere by then (DNS rebinding).
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

HTTPS_PORT = 443
MAX_TOKEN_BYTES = 2048
"""Of a token, which for Web Push is the endpoint's URL."""
P256DH_BYTES, AUTH_BYTES = 65, 16
"""Of a subscription's public key, an uncompressed point of P-256, and of its secret (RFC 8291)."""

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
"""P-256 (SEC 2): y^2 = x^3 - 3x + b modulo p."""

_NAT64 = IPv6Network("64:ff9b::/96")
_SPECIAL = tuple(map(IPv4Network, ("192.0.0.0/24", "192.88.99.0/24")))
"""Also not public, which not every release of Python knows."""
Address = IPv4Address | IPv6Address


def problem_of(url: str, *, allow_private: bool) -> str:
    """Says why nothing may be pushed to a URL; empty: it may."""
    if not url.isascii() or any(char <= " " or char in "\x7f\\" for char in url):
        return "is no URL: write it in ASCII and without space"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "is no URL"
    problems = {
        "is no https URL": parts.scheme != "https",
        "names no host": not host,
        "holds a user or a password: leave them out": "@" in parts.netloc,
        "holds a fragment: leave it out": "#" in url,
        f"has a port of its own: only {HTTPS_PORT} is allowed": port not in {None, HTTPS_PORT} and not allow_private,
        "leads to a host that is not public": not (allow_private or _may_be_public(host)),
    }
    return next((problem for problem, is_there in problems.items() if is_there), "")


def _may_be_public(host: str) -> bool:
    """Whether a host may be on the public Internet. Of a name its addresses tell: see `is_public`."""
    address = address_of(host)
    if address is not None:
        return is_public(address)
    *above, last = host.rstrip(".").split(".")
    return bool(above) and not last[:1].isdigit()  # else it is short for something near, or for an address


def address_of(host: str) -> Address | None:
    """Reads an address; None: it is a name."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether an address is one of the public Internet: not private, loopback, link-local (where clouds tell machines
    their secrets), multicast or reserved, also where an IPv6 address holds an IPv4 one.
    """
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    elif any(address in network for network in _SPECIAL):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def is_p256_point(key: bytes) -> bool:
    """Whether bytes are an uncompressed point of P-256: with any other nothing can be encrypted."""
    if len(key) != P256DH_BYTES or key[0] != 4:
        return False
    x, y = int.from_bytes(key[1:33], "big"), int.from_bytes(key[33:], "big")
    return x < _P and y < _P and (y * y - (x * x * x - 3 * x + _B)) % _P == 0

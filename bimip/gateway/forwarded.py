"""Who a peer behind a proxy is: `X-Forwarded-For`, believed of the proxies that the settings name and of nobody else.
Pure.

Each proxy appends the address that it was reached from. So the list is read from its end: what the last trusted proxy
appended is true, and what stands before an address that is no proxy's was said by who has that address.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

Networks = Sequence[IPv4Network | IPv6Network]

HEADER = b"x-forwarded-for"


def peer_address(address: str | None, headers: Iterable[tuple[bytes, bytes]], proxies: Networks) -> str | None:
    """Returns the address of whoever asks: `address` itself, unless that is a proxy's. Headers have small letters."""
    if not proxies or address is None or not _is_within(address, proxies):
        return address
    told = b",".join(value for name, value in headers if name == HEADER).decode("latin-1")
    for item in reversed(told.split(",")):
        if not _is_address(item.strip()):
            break
        address = item.strip()
        if not _is_within(address, proxies):
            break
    return address


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_within(address: str, networks: Networks) -> bool:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if parsed.version == 6:
        parsed = parsed.ipv4_mapped or parsed
    return any(parsed in network for network in networks)

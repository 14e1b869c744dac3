"""Network addresses, and the networks that limits count as one client."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

LONGEST: Final = 45
"""The characters of the longest form of an address: IPv6 that ends in an IPv4 address."""


def address(text: str) -> Address | None:
    """
    Parses an address; returns None if the text is not one. An IPv4 address in its IPv6 form (``::ffff:192.0.2.1``) becomes
    the IPv4 address, and the scope of a link-local address is left out.
    """
    plain = text.partition("%")[0]
    return _parsed(plain) if len(plain) <= LONGEST else None


@lru_cache(maxsize=4096)  # one request asks about the same few addresses again and again
def _parsed(text: str) -> Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def network_of(text: str) -> str:
    """
    The network that limits count as one client: an IPv4 address itself, or the /64 of an IPv6 address, because a single
    host usually has all addresses of its /64. A text that is not an address is returned as it is.
    """
    found = address(text)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found) >> 64 << 64, 64)))
    return str(found) if found else text

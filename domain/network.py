"""Network addresses, and what of them counts as one client."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address


def address(text: str) -> Address | None:
    """
    The address that a text is, or None. An IPv4 address that is written as IPv6 (``::ffff:192.0.2.1``) is the IPv4 one; the
    scope of a link-local address is left out.
    """
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def network_of(text: str) -> str:
    """
    What counts as one client in limits: an IPv4 address, or the /64 that every holder of IPv6 addresses has to choose
    from. A text that is no address counts as it is.
    """
    found = address(text)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found) >> 64 << 64, 64)))
    return str(found) if found else text

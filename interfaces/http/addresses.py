"""Sets of IP networks, such as those of trusted proxies."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

from attrs import frozen

from domain.network import address


@frozen
class Networks:
    """A set of networks in CIDR notation; ``in`` tells whether an address belongs to one of them."""

    members: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Networks":
        """
        Raises:
            ValueError: One of them is neither an address nor a network.
        """
        return cls(tuple(ip_network(text) for text in texts))

    def __contains__(self, text: object) -> bool:
        found = address(text) if isinstance(text, str) else None
        return found is not None and any(found in network for network in self.members)

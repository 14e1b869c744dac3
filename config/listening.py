"""Binds the sockets of the server, before the start has any other effect."""

import errno
import socket
from collections.abc import Sequence
from typing import Any, Final

from attrs import frozen

ABSENT: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class CannotListen(Exception):
    """A socket cannot be bound. The text is one line that names the setting and the cause."""


@frozen(kw_only=True)
class Place:
    """An address and a port, with the names of the settings that define them."""

    host: str
    port: int
    host_setting: str
    port_setting: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def bind(self, *, is_shared: bool = False) -> Sequence[socket.socket]:
        """
        Binds a socket to each address of the host. Clients are refused until the server listens on the sockets. If they are
        shared, other sockets of this user that are shared may be bound to the same port, and the kernel distributes the
        connections among those that listen.

        ``::`` means IPv6 and IPv4, and a name means all of its addresses.

        Raises:
            CannotListen: The port is taken, or this machine does not have the address.
        """
        bound: list[socket.socket] = []
        refused: OSError | None = None
        addresses = self._addresses()
        for family, address in addresses:
            try:
                bound.append(_bound(family, address, is_shared=is_shared))
            except OSError as error:
                refused = error
                # a name may resolve to an address that this machine does not have, as localhost to ::1
                if error.errno not in ABSENT or len(addresses) == 1:
                    break
        else:
            if bound:
                return bound
        close(bound)
        assert refused is not None
        raise self.refusal(refused)

    def refusal(self, error: OSError) -> CannotListen:
        if error.errno == errno.EADDRINUSE:
            return CannotListen(
                f"{self.port_setting} is {self.port}: another program listens there ({self.host} port {self.port})"
            )
        if error.errno in (errno.EACCES, errno.EPERM):
            return CannotListen(
                f"{self.port_setting} is {self.port}: this user may not listen on a port below 1024"
            )
        return CannotListen(f"{self.host_setting} is {self.host!r}: {error.strerror or error}")

    def _addresses(self) -> Sequence[tuple[socket.AddressFamily, Any]]:
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except OSError as error:
            raise self.refusal(error) from None
        return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _bound(family: socket.AddressFamily, address: Any, *, is_shared: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        made.bind(address)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


def close(sockets: Sequence[socket.socket]) -> None:
    for each in sockets:
        each.close()

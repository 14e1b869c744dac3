"""Tells systemd how far the service is, as sd_notify(3) describes it."""

import os
import socket
from contextlib import suppress
from typing import Final

NOTIFY_SOCKET: Final = "NOTIFY_SOCKET"
"""The variable by which a service of ``Type=notify`` learns where to report."""

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"


def report(state: str) -> None:
    """Does nothing if this process was started by something else, and fails never: the service works without it."""
    address = os.environ.get(NOTIFY_SOCKET)
    if not address:
        return
    if address.startswith("@"):  # a name without a file
        address = f"\0{address[1:]}"
    with (
        suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as reporting,
    ):
        reporting.sendto(state.encode(), address)

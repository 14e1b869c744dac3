"""File descriptors, of which the operating system lends the process a limited number."""

import resource
from typing import Final

ENOUGH_DESCRIPTORS: Final = 65536


def raise_descriptor_limit() -> int:
    """
    Allow the process as many open files and sockets as its hard limit and `ENOUGH_DESCRIPTORS` let it have.

    Returns how many it may have then. The soft limit, 1 024 on many systems, is that low for programs that use
    ``select``; this one does not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # forbidden, as by a filter of system calls
            return soft
        return wanted
    return ENOUGH_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft

"""
Runs a command that ends with its owner and is not root. `embedded` runs this module as a script:

    python -I -S launcher.py OWNER plain:UID:GID     COMMAND...
    python -I -S launcher.py OWNER mapped:UID:GID    COMMAND...
    python -I -S launcher.py OWNER user:UID:GID      COMMAND...

OWNER is the id of the process that waits for the command. A process of its own, not code between fork and exec in the owner: there
any other thread may hold a lock for ever, and since Python 3.12 it is warned of.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000


def enter_namespace(uid: int, gid: int) -> None:
    """
    From here on this process believes itself to be ``uid``, and PostgreSQL believes it too; for files and for
    everybody outside it is who it was.
    """
    outer_uid, outer_gid = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    # The order is the kernel's: groups can be mapped only after setgroups() was given up.
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outer_uid} 1"),
        ("gid_map", f"{gid} {outer_gid} 1"),
    ):
        Path(f"/proc/self/{name}").write_text(line)


def become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def die_with(owner: int) -> None:
    """After `become`: with another user the kernel forgets the wish."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != owner:  # the owner died before the kernel was asked to signal its death
        sys.exit(1)


def main(arguments: list[str]) -> None:
    owner, identity, *command = arguments
    way, *ids = identity.split(":")
    uid, gid = map(int, ids)
    if way == "mapped":
        enter_namespace(uid, gid)
    elif way == "user":
        become(uid, gid)
    die_with(int(owner))
    # A shell that starts a job in the background lets it ignore SIGINT, and what is ignored is inherited.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(command[0], command)  # noqa: S606 - this is what the script is for


if __name__ == "__main__":
    main(sys.argv[1:])

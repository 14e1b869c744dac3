"""
Runs a command that ends with its owner and does not run as root. `embedded` starts this module as a script:

    python -I -S launcher.py OWNER plain:UID:GID     COMMAND...
    python -I -S launcher.py OWNER mapped:UID:GID    COMMAND...
    python -I -S launcher.py OWNER user:UID:GID      COMMAND...

OWNER is the id of the parent process. This is a script, not code that the owner runs between fork and exec, because there
another thread may hold a lock for ever; Python warns of that since 3.12.
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
    Enters a user namespace in which this process appears as ``uid``, which satisfies PostgreSQL. For files and for other
    processes it remains the original user.
    """
    outer_uid, outer_gid = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    # The kernel requires this order: groups can be mapped only after setgroups() was denied.
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
    """
    Asks the kernel to send SIGINT when the owner dies. Must be called after `become`: changing the user id clears the
    setting.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != owner:  # the owner died before prctl() took effect
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
    # Background jobs of a shell ignore SIGINT, and child processes inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(command[0], command)  # noqa: S606 - this is what the script is for


if __name__ == "__main__":
    main(sys.argv[1:])

"""
Runs a program under the filter of system calls of a systemd unit, as systemd would, for machines that systemd does not run:

    python filtered.py UNIT PROGRAM ARGUMENTS...
"""

import ctypes
import errno
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LIBRARY: Final = "libseccomp.so.2"
"""systemd itself needs it, so it is wherever `systemd-analyze` is."""

ALLOW: Final = 0x7FFF0000
REFUSE: Final = 0x00050000 | errno.EPERM
NO_NEW_PRIVILEGES: Final = 38
SUCH_CALLS_ONLY_ELSEWHERE: Final = -1


def members(group: str) -> Iterator[str]:
    """The system calls of a group such as ``@system-service``, with those of the groups in it."""
    shown = subprocess.run(
        ["systemd-analyze", "--no-pager", "syscall-filter", group], capture_output=True, text=True, check=True
    )
    for line in shown.stdout.splitlines()[1:]:
        word = line.partition("#")[0].strip()
        if word.startswith("@"):
            yield from members(word)
        elif word:
            yield word


def allowed(unit: str) -> set[str]:
    """What systemd.exec(5) makes of the lines ``SystemCallFilter=``: the first one is a list of what is allowed."""
    calls = set(members("@default"))
    for removes, words in re.findall(r"^SystemCallFilter=(~?)(.*)$", unit, re.MULTILINE):
        for word in words.split():
            named = set(members(word)) if word.startswith("@") else {word}
            calls = calls - named if removes else calls | named
    return calls


def restrict(calls: set[str]) -> None:
    """Refuses this process and its children all other calls with EPERM."""
    library = ctypes.CDLL(LIBRARY, use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
    library.seccomp_load.argtypes = [ctypes.c_void_p]
    context = library.seccomp_init(REFUSE)
    for name in calls:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number != SUCH_CALLS_ONLY_ELSEWHERE and library.seccomp_rule_add(context, ALLOW, number, 0):
            raise OSError(f"no rule for {name}")
    if ctypes.CDLL(None).prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) or library.seccomp_load(context):
        raise OSError("the filter cannot be set")


def main(unit: str, *command: str) -> None:
    calls = allowed(Path(unit).read_text())
    restrict(calls)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Run a program that refuses to be root: ``python -m infra.native.unprivileged PROGRAM ARG…``.

PostgreSQL will not start as root, and in a container everything is root. This gives up root for
the user ``nobody`` and becomes the program. On Linux one right is kept, to pass folders whatever
their mode: the data folder may lie below a home that only root can enter, and opening that home
to everyone would be the worse way.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import sys
from collections.abc import Sequence

USER = "nobody"

# Figures of linux/prctl.h and linux/capability.h.
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilitySet(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def unprivileged_argv(argv: Sequence[str]) -> tuple[str, ...]:
    """Return the command line that runs ``argv`` as somebody who is not root."""
    if os.geteuid() != 0:
        return tuple(argv)
    return (sys.executable, "-m", "infra.native.unprivileged", *argv)


def unprivileged_owner() -> tuple[int, int]:
    """Return the user and group ids to whom the program's files must belong."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    user = pwd.getpwnam(USER)
    return user.pw_uid, user.pw_gid


def give_up_root() -> None:
    """Become ``nobody``; keep the right to pass folders where the system can grant it."""
    user = pwd.getpwnam(USER)
    on_linux = sys.platform == "linux"
    libc = ctypes.CDLL(None, use_errno=True)
    if on_linux:
        libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    # Without the right to drop groups (a sandbox) going on with them does no harm.
    with contextlib.suppress(PermissionError):
        os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    if on_linux:
        _keep_folder_access(libc)


def _keep_folder_access(libc: ctypes.CDLL) -> None:
    """Hand the one right on to the program; without it the folders' own modes decide."""
    mask = 1 << CAP_DAC_OVERRIDE
    header = _CapabilityHeader(CAPABILITY_VERSION_3, 0)
    sets = (_CapabilitySet * 2)(_CapabilitySet(mask, mask, mask), _CapabilitySet(0, 0, 0))
    if libc.capset(ctypes.byref(header), ctypes.byref(sets)) == 0:
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def main() -> None:
    """Become the program of the command line."""
    give_up_root()
    os.environ["HOME"] = "/"
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - the command line is the stack's own


if __name__ == "__main__":
    main()

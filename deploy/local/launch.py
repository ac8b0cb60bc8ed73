"""Becomes another program: gives up root where asked, asks to end with its supervisor, then execs.

`python -I -S launch.py [--parent PID --death-signal N] [--user NAME | --user-namespace] -- PROGRAM ARGS…`

A program of its own, because these calls are unsafe between fork and exec of a process with threads, and because exec
keeps the process id: what the supervisor started is the server itself. Only the standard library, for a start in 15 ms.
"""

import argparse
import ctypes
import os
import pwd
import sys
from pathlib import Path

CANNOT_BECOME_USER = 126
PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
MAPPED_ID = 1000


def main(arguments: list[str]) -> None:
    """Never returns: execs or exits with 126 (the user cannot be taken on) or 127 (no such program)."""
    split = arguments.index("--")
    options, command = _options(arguments[:split]), arguments[split + 1 :]
    try:
        if options.user_namespace:
            _enter_user_namespace()
        elif options.user:
            _become(options.user)
    except (OSError, KeyError) as error:
        print(f"cannot run without root: {error}", file=sys.stderr)
        raise SystemExit(CANNOT_BECOME_USER) from None
    # After the change of user, which clears it.
    if options.death_signal:
        _end_with_parent(options.parent, options.death_signal)
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as error:
        print(f"cannot run {command[0]}: {error}", file=sys.stderr)
        raise SystemExit(127) from None


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int)
    parser.add_argument("--death-signal", type=int)
    parser.add_argument("--user")
    parser.add_argument("--user-namespace", action="store_true")
    return parser.parse_args(arguments)


def _become(name: str) -> None:
    user = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def _enter_user_namespace() -> None:
    """Root outside stays root for the files, but the program sees itself as an ordinary user."""
    user, group = os.geteuid(), os.getegid()
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "no user namespace may be made here")
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{MAPPED_ID} {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{MAPPED_ID} {group} 1", encoding="ascii")


def _end_with_parent(parent: int | None, number: int) -> None:
    if not sys.platform.startswith("linux"):
        return  # elsewhere the next start finds and ends what is left over
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
    if parent is not None and os.getppid() != parent:
        raise SystemExit(1)  # the supervisor died before the request was in force


if __name__ == "__main__":
    main(sys.argv[1:])

"""PostgreSQL refuses to run as root. Where we are root, it runs as `nobody`, or as an ordinary user of a namespace."""

import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.local import launch
from shared.errors import KizashiError

UNPRIVILEGED = "nobody"


@dataclass(frozen=True, slots=True)
class Privileges:
    """How a program is started: options of launch.py, and who must own its files."""

    options: tuple[str, ...] = ()
    user: int | None = None
    group: int | None = None

    def wrap(self, command: list[str]) -> list[str]:
        """The command, started that way."""
        return [sys.executable, "-I", "-S", launch.__file__, *self.options, "--", *command]

    def own(self, folder: Path) -> None:
        """Hand the folder over; does nothing where it is so already."""
        if self.user is None or folder.stat().st_uid == self.user:
            return
        for path in [*folder.rglob("*"), folder]:
            os.chown(path, self.user, self.group or 0, follow_symlinks=False)


def choose_privileges(folder: Path, program: str) -> Privileges:
    """What works here, found by trying: `program` must start, and `folder` be reachable.

    Raises KizashiError where neither does.
    """
    if os.geteuid() != 0:
        return Privileges()
    user = pwd.getpwnam(UNPRIVILEGED)
    for choice in (
        Privileges(("--user", UNPRIVILEGED), user.pw_uid, user.pw_gid),
        Privileges(("--user-namespace",), 0, 0),
    ):
        if _works(choice, folder, program):
            return choice
    raise KizashiError(
        f"PostgreSQL does not run as root, the user {UNPRIVILEGED} cannot reach {folder}, and this machine allows no "
        "user namespaces: run as another user, or take a data folder that others may enter (--data-dir)"
    )


def _works(choice: Privileges, folder: Path, program: str) -> bool:
    reach = f'cd "$1" && exec "{program}" --version'
    done = subprocess.run(choice.wrap(["/bin/sh", "-c", reach, "sh", str(folder)]), capture_output=True, check=False)
    return done.returncode == 0

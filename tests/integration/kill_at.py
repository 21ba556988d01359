"""Run proxygen and kill it right before its Nth change: kill_at.py N ARGUMENTS."""

import os
import signal
import sys

FILES = ("rename", "remove", "mkdir", "rmdir", "symlink", "chmod", "chown")
CHANGES = {*(f"os.{change}" for change in FILES), "subprocess.Popen"}
left = int(sys.argv.pop(1))


def watch(event: str, arguments: object) -> None:
    """Count changes; there is no Nth one."""
    global left
    if event in CHANGES:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    from proxygen.cli import main

    sys.addaudithook(watch)
    main()

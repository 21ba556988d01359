"""The quickstart keeps the promises of its README."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.live import needs

CHECKOUT = Path(__file__).parents[2]


@needs("nginx", "postfix", "dovecot", "pebble", "curl", "openssl")
def test_quickstart_serves_what_it_promises_and_leaves_nothing() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "examples.quickstart.quickstart"],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("  ok  ") == 13
    folder = ran.stdout.partition("Private instances below ")[2].splitlines()[0]
    assert not Path(folder).exists()

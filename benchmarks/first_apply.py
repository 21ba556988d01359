"""How long a first `apply` takes, from nothing to certificates served by all three services.

    .venv/bin/python -m benchmarks.first_apply [CERTIFICATES]

The real command against a local Pebble that rejects 5 % of the nonces; everything is stored
durably, installed, reloaded and verified.
"""

from __future__ import annotations

import sys
import time

from tests.live.machine import Machine, temporary_root
from tests.live.pebble import Manners


def main() -> None:
    """Apply, and print the pace."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with temporary_root() as root, Machine(root, manners=Manners(nonces_rejected=5)) as machine:
        machine.model(
            {
                f"c{number}.example": {
                    "url": f"https://www.c{number}.example",
                    "certificate": "acme",
                }
                for number in range(count - 1)
            }
        )
        begun = time.monotonic()
        run = machine.proxygen("apply", seconds=600)
        seconds = time.monotonic() - begun
        print(run.stderr.strip(), run.stdout.strip().splitlines()[-1:])
        print(f"{count} certificates in {seconds:.1f} s: {count / seconds:.1f}/s")


if __name__ == "__main__":
    main()

"""A year of many domains under one lifetime: orders, looks, mails, and how long it takes to live.

    python -m benchmarks.year 200 shortlived

The small authority of the tests keeps Let's Encrypt's limits and is away for a week; one domain's
DNS breaks, and one certificate is supplied as a file. It fails if a certificate ends or a limit is
hit. Profiles: classic (90 days), tlsserver (45 days), shortlived (160 hours).
"""

from __future__ import annotations

import argparse
import time
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.live.year import lived


def main() -> None:
    """Live through a year and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("domains", type=int, nargs="?", default=200)
    parser.add_argument("profile", nargs="?", default="classic")
    given = parser.parse_args()
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        place, pace = Path(folder), timedelta(hours=6)
        with lived(place, given.profile, given.domains, pace) as (year, troubles, mails):
            first, second = troubles.authorities
            issued, taken_over = len(first.issued), len(second.issued)
            refused = first.refusals + second.refusals
            print(f"{given.domains} domains, profile {given.profile}: {year.rounds} rounds")
            print(f"  {issued} certificates, and {taken_over} of the second authority")
            print(f"  {first.counts['renewalInfo']} looks at renewal information")
            print(f"  {len(mails)} mails")
            print(f"  ended: {len(year.ended)}; refused by a limit: {refused}")
            print(f"  {time.monotonic() - began:.0f} s")
            if year.ended or refused:
                raise SystemExit("a certificate ended, or a limit was hit")


if __name__ == "__main__":
    main()

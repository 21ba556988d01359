"""Roll the account's key over in a process of its own, which the test may kill.

python roll_over_once.py DIRECTORY ROOT FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.issuers.issue_once import issuer_at


def main(directory: str, root: str, folder: str) -> None:
    """Use the store below *folder*."""
    issuer_at(directory, root, Path(folder)).account().roll_over()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The package's control files: its version, what it depends on, whose work is in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import format_datetime

SUMMARY = "certificates served by nginx, postfix and dovecot, from one model file"
DESCRIPTION = """\
 One YAML file says which domains a mail and groupware server serves, at
 which URLs, with which certificates. proxygen obtains the certificates
 (ACME, files, self-signed), writes the configuration of nginx, postfix and
 dovecot, has each of them check it, reloads it, connects as a client to see
 that the right certificate is shown, and renews them.
 .
 It has a Python environment of its own in /opt/proxygen. Nothing is set up
 or started by its installation: see README.md in /usr/share/doc/proxygen.
"""
EARLIER = re.compile(r"(?<=\d)\.?(a|b|rc|dev)(?=\d)")


def version(own: str, changed: datetime, release: str) -> str:
    """Return the package's version for a version of proxygen, and a release such as "12".

    A newer proxygen comes after an older one whatever the releases are; of the same version what
    was *changed* later, so that a newer checkout is an upgrade; of the very same source Debian
    13's package after Debian 12's. What comes before a version sorts so (PEP 440; deb-version(7)).
    """
    upstream = EARLIER.sub(lambda found: ("~~" if found[1] == "dev" else "~") + found[1], own)
    return f"{upstream}-{changed:%Y%m%d%H%M%S}+deb{release}"


def control(version: str, architecture: str, python: str, maintainer: str, kibibytes: int) -> str:
    """Return the control file; *python* is the program that the environment leads to."""
    return (
        "Package: proxygen\n"
        f"Version: {version}\n"
        f"Architecture: {architecture}\n"
        f"Maintainer: {maintainer}\n"
        f"Installed-Size: {kibibytes}\n"
        f"Depends: {python}, libc6\n"
        "Recommends: ca-certificates\n"
        "Suggests: nginx, postfix, dovecot-core\n"
        "Section: admin\n"
        "Priority: optional\n"
        f"Description: {SUMMARY}\n"
        f"{DESCRIPTION}"
    )


def changelog(version: str, codename: str, maintainer: str, changed: datetime) -> str:
    """Return Debian's changelog; what changed for users is told in CHANGELOG.md."""
    return (
        f"proxygen ({version}) {codename}; urgency=medium\n\n"
        "  * Built from its source; see CHANGELOG.md.\n\n"
        f" -- {maintainer}  {format_datetime(changed.astimezone(UTC))}\n"
    )


def copyright_of(bundled: Iterable[tuple[str, str, str, str]]) -> str:
    """Return the copyright file; *bundled* are name, version, licence and folder of each part."""
    parts = "".join(
        f"  {name} {version}: {licence}\n    {folder}\n"
        for name, version, licence, folder in sorted(bundled)
    )
    return (
        "proxygen is licensed under the Apache License, Version 2.0.\n"
        "On Debian systems its text is in /usr/share/common-licenses/Apache-2.0.\n\n"
        "The environment in /opt/proxygen also holds these Python packages, each under a\n"
        "licence of its own, whose text is in the folder that stands below it:\n\n"
        f"{parts}"
    )

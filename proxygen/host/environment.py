"""Which variables of the caller's environment count, and which ones programs get.

A caller of root, by sudo or cron or a hook, must not choose with them which code runs, which roots
are trusted, or where names lead. What the model names (``env:NAME``), what ACME clients pass to
their hooks, and ``https_proxy`` with ``no_proxy`` stay.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, MutableMapping

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are looked for, by us and by those that we start."""

CODE = ("LD_", "PYTHON", "OPENSSL_", "GCONV_PATH", "LOCPATH", "GLIBC_TUNABLES", "MALLOC_CHECK_")
"""By these a library is told to load others' code. OpenSSL reads its own at its first use."""
TRUST = (
    *("SSL_CERT_", "SSLKEYLOGFILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"),
    *("HOSTALIASES", "RES_OPTIONS", "LOCALDOMAIN", "RESOLV_", "TZDIR", "NLSPATH"),
    *("TMPDIR", "TEMP", "TMP", "EDITOR", "VISUAL", "PAGER", "MAIL_CONFIG", "DOVECONF"),
)
"""By these it is told whom to trust, where a name leads, where files are put."""
PROXIES = ("https_proxy", "no_proxy")


def forget_code(variables: MutableMapping[str, str] = os.environ) -> None:
    """Remove variables that make a library load code, before the first library is imported."""
    forget_variables(variables, lambda name: name.startswith(CODE))


def forget_trust(variables: MutableMapping[str, str] = os.environ) -> None:
    """Remove variables that give a library other roots, names, proxies and folders."""
    forget_variables(variables, lambda name: name.startswith(TRUST) or is_other_proxy(name))


def is_other_proxy(name: str) -> bool:
    """Return whether a variable names a proxy, but is none of the documented ones."""
    return name.lower().endswith("_proxy") and name.lower() not in PROXIES


def forget_variables(variables: MutableMapping[str, str], unwanted: Callable[[str], bool]) -> None:
    """Remove variables, for this process and for the C library."""
    for name in [each for each in variables if unwanted(each)]:
        del variables[name]


def of_programs() -> dict[str, str]:
    """Return the environment of every program that we start; nothing is from the caller."""
    try:
        home = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:  # a user without a name, as in a container
        home = "/"
    return {"PATH": PATH, "HOME": home}

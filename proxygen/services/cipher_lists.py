"""Which ciphers a service leaves to clients with TLS 1.2, in OpenSSL's words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

LONGEST = 4000
EXCLUDED = "smtpd_tls_exclude_ciphers"
OF_POSTFIX = (
    *(EXCLUDED, "smtpd_tls_ciphers", "smtpd_tls_mandatory_ciphers"),
    *("tls_high_cipherlist", "tls_medium_cipherlist", "tls_low_cipherlist"),
)
"""What tells postfix's ciphers; ``smtpd_tls_mandatory_exclude_ciphers`` is ours."""
ELEMENT = re.compile(r"[A-Za-z0-9@=+_-]+")


@dataclass(frozen=True, slots=True)
class CipherList:
    """A list of ciphers (ciphers(1)), with the *setting* that leaves some out and its *place*."""

    place: str
    setting: str
    ciphers: str


def of_postfix(place: str, options: Mapping[str, str], *, mandatory: bool) -> Iterator[CipherList]:
    """Yield the ciphers that a service of postfix offers with these parameters, if they are known.

    A grade names a list; exclusions follow it (postconf(5), "smtpd_tls_exclude_ciphers").
    """
    grade = options.get("smtpd_tls_mandatory_ciphers" if mandatory else "smtpd_tls_ciphers", "")
    name = f"tls_{grade or 'medium'}_cipherlist"
    base, excluded = options.get(name, ""), options.get(EXCLUDED, "")
    if not base or "$" in f"{base}{excluded}" or len(base) + len(excluded) > LONGEST:
        return
    words = [f"!{each}" for each in re.split(r"[\s,:]+", excluded) if ELEMENT.fullmatch(each)]
    setting = f"{EXCLUDED} = {excluded}" if words else f"{name} = {base}"
    yield CipherList(place, setting, ":".join((base, *words)))

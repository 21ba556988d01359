"""Which algorithms of certificates a list of ciphers leaves, as OpenSSL reads it."""

from __future__ import annotations

import ssl
from functools import lru_cache

ALGORITHMS = frozenset({"ecdsa", "rsa"})


@lru_cache(maxsize=64)
def algorithms_left(ciphers: str) -> frozenset[str]:
    """Return for which algorithms a client with TLS 1.2 finds a cipher in a list (ciphers(1)).

    Of a list that OpenSSL does not take nothing is known: then it is all of them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.set_ciphers(ciphers)
    except ssl.SSLError:
        return ALGORITHMS
    old = (each for each in context.get_ciphers() if each["protocol"] != "TLSv1.3")
    return frozenset(str(each.get("auth", "")).removeprefix("auth-") for each in old) & ALGORITHMS

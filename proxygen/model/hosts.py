"""Host names, URLs and mail addresses as they are typed -> as they are compared."""

from __future__ import annotations

import ipaddress
import re

from proxygen.credentials import NOT_SHOWN, looks_secret, quoted

LONGEST_NAME = 253
LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
"""What stands between two dots of a host name, in lower case (RFC 1123 section 2.1)."""
ASKED_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
"""Likewise in what clients ask for: DNS has underscores too, which no certificate names."""
PLAIN = re.compile(rf"(?:{LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?")
LOCAL_PART = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")


class BadName(ValueError):
    """A value that is not what it should be: *reason* and *remedy* say why and what to do.

    The *value* takes the place of ``{}`` in the reason, unless it looks like a secret; *hidden* is
    the reason without it.
    """

    def __init__(self, reason: str, remedy: str, value: object = None) -> None:
        self.reason = reason.replace("{}", quoted(value))
        super().__init__(self.reason)
        self.hidden = reason.replace("{}", NOT_SHOWN)
        self.remedy = remedy


def host_name(text: str) -> str:
    """Return a host name as A-labels in lower case (IDNA 2008, RFC 5891; RFC 1123 section 2.1).

    Accepts U-labels, any case and a final dot. Raises BadName for anything else: addresses,
    wildcards, single labels, names over 253 octets.
    """
    name = text.lower().removesuffix(".")
    if not (PLAIN.fullmatch(name) and "xn--" not in name and "--" not in name):
        name = a_labels(name)
    if len(name) > LONGEST_NAME:
        raise BadName(f"a name of {len(name)} octets; DNS allows {LONGEST_NAME}", "shorten it")
    return name


def a_labels(name: str) -> str:
    """Return *name* in A-labels, checked label by label."""
    import idna

    if is_address(name):
        raise BadName("{} is an IP address, not a host name", "write the host's name", name)
    if name.startswith("*."):
        raise BadName("{} is a wildcard, not a host name", "wildcards go into `extra_names`", name)
    if "." not in name:
        raise BadName("{} is not a full host name", "write it with its domain: host.domain", name)
    if len(name) > 4 * LONGEST_NAME:
        raise BadName(f"a name of {len(name)} characters", "shorten it")
    try:
        encoded = idna.encode(name, uts46=True, std3_rules=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError) as error:
        why = "" if looks_secret(name) else f": {error}"  # which quotes a part of it
        raise BadName("{} is not a host name" + why, HOST_REMEDY, name) from error
    if not PLAIN.fullmatch(encoded):
        raise BadName("{} is not a host name", HOST_REMEDY, name)
    return encoded


def extra_name(text: str) -> str:
    """Return what a certificate may name besides hosts: a wildcard, an address, or a host name.

    ``*.`` stands for one label before a name of at least two (RFC 9525 section 6.3); addresses
    come in their shortest form (RFC 5952). Raises BadName.
    """
    if found := shortest(text):
        return found
    if "*" not in text:
        return host_name(text)
    if not text.startswith("*.") or "*" in text[1:]:
        what = "{} is no wildcard: one stands for the first label, and for all of it"
        raise BadName(what, "write `*.` and a host name, such as '*.customer.example'", text)
    name = f"*.{host_name(text[2:])}"
    if len(name) > LONGEST_NAME:
        raise BadName(f"a name of {len(name)} octets; DNS allows {LONGEST_NAME}", "shorten it")
    return name


def shortest(text: str) -> str | None:
    """Return an address in its shortest form (RFC 5952); None for what is none.

    IPv6 may stand in the brackets of a URL; one of a single link (``%eth0``) is nobody else's.
    """
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") and ":" in text else text
    if not like_an_address(bare) or "%" in bare:
        return None
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return None


def is_wildcard(name: str) -> bool:
    """Return whether a name of a certificate stands for every host one label below it."""
    return name.startswith("*.")


def example_of(wildcard: str) -> str:
    """Return a host that a wildcard stands for, and that hardly anybody has."""
    room = LONGEST_NAME - len(wildcard) + 1
    return "proxygen-probe"[:room].rstrip("-") + wildcard[1:]


def readable(name: str) -> str:
    """Return a name in both spellings: ``bücher.example (xn--bcher-kva.example)``.

    U-labels first (RFC 5890 section 2.3.2.1); what has but one stays as it is.
    """
    if "xn--" not in name:
        return name
    import idna

    try:
        shown = idna.decode(name.removeprefix("*."))
    except (idna.IDNAError, UnicodeError):
        return name
    prefix = "*." if is_wildcard(name) else ""
    return f"{prefix}{shown} ({name})"


HOST_REMEDY = "write letters, digits and hyphens, with dots between: host.domain.example"


def is_placeholder(name: str) -> bool:
    """Return whether a name stands for another: it is for examples and tests (RFC 2606, RFC 6761).

    Or it is what a host is called that was given no name.
    """
    labels = name.lower().removesuffix(".").split(".")
    return labels[-1] in PLACEHOLDERS or (
        labels[-2:-1] == ["example"] and labels[-1] in ("com", "net", "org")
    )


PLACEHOLDERS = frozenset({"example", "test", "invalid", "localhost", "localdomain"})


def is_address(name: str) -> bool:
    """Return whether *name* is an IPv4 or IPv6 address, also in the brackets of a URL."""
    bare = name.strip("[]")
    if not like_an_address(bare):
        return False
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        return False
    return True


def like_an_address(text: str) -> bool:
    """Return False for what cannot be an address: nearly every name, and reading one is slow."""
    return ":" in text or text[-1:].isdigit()


def url_host(text: str) -> str:
    """Return the host of ``https://HOST`` or ``HOST``; a URL of the model has nothing else."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        rest = text
    elif scheme.lower() != "https":
        shown = f"`{scheme[:20]}://`" if scheme.isalpha() else "such a URL"
        raise BadName(f"{shown} is not served", "write https:// and the host name")
    rest = rest.removesuffix("/")
    if extra := re.search(r"[/?#@:\s]", rest):
        raise BadName(
            f"{{}} has more than a host name (from {extra.group()!r} on)",
            "write https:// and the host name, without port, path or user",
            text,
        )
    return host_name(rest)


def mail_address(text: str) -> str:
    """Return a mail address, its domain in A-labels (RFC 5321 section 4.1.2, dot-atom only)."""
    local, at, domain = text.rpartition("@")
    encoded_word = "=?" in local  # which mail programs take for something else (RFC 2047)
    if not at or not LOCAL_PART.fullmatch(local) or ".." in f".{local}." or encoded_word:
        raise BadName("{} is not a mail address", "write it as name@domain", text)
    return f"{local}@{host_name(domain)}"

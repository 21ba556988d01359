"""Host names, URLs and mail addresses: from what was typed to the form that is compared."""

from __future__ import annotations

import ipaddress
import re

from proxygen.credentials import NOT_SHOWN, may_be_secret, quote_value
from proxygen.model.certificate import RSA_BESIDE
from proxygen.model.name_flaws import HOST_REMEDY, name_flaw

LONGEST_NAME = 253
LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
"""A label of a host name, in lower case (RFC 1123 section 2.1)."""
ASKED_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
"""A label of what clients may ask for: DNS allows underscores, certificates do not."""
PLAIN = re.compile(rf"(?:{LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?")
LOCAL_PART = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")


class BadName(ValueError):
    """A value is not what it should be: *reason* says why, *remedy* what to do.

    The *value* replaces ``{}`` in the reason, unless it looks like a secret; *hidden* is the
    reason without the value.
    """

    def __init__(self, reason: str, remedy: str, value: object = None) -> None:
        self.reason = reason.replace("{}", quote_value(value))
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
        raise too_long(name)
    return name


def too_long(name: str) -> BadName:
    """Return the error for a name of more octets than DNS has room for (RFC 1035 section 2.3.4)."""
    return BadName(f"the name has {len(name):,} octets; DNS allows {LONGEST_NAME}", "shorten it")


def a_labels(name: str) -> str:
    """Return *name* in A-labels, checked label by label."""
    import idna

    if not name:
        raise BadName("the host name is empty", HOST_REMEDY)
    if is_address(name):
        raise BadName("{} is an IP address, not a host name", "write the name of the host", name)
    if name.startswith("*."):
        raise BadName("{} is a wildcard, not a host name", "write it in `extra_names`", name)
    if len(name) > 4 * LONGEST_NAME:
        raise too_long(name)
    try:
        encoded = idna.encode(name, uts46=True, std3_rules=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise no_host_name(name) from error
    if "." not in encoded:
        raise BadName("{} has no domain", "write it with its domain: host.domain.example", name)
    if not PLAIN.fullmatch(encoded):
        raise no_host_name(name)
    return encoded


def no_host_name(name: str) -> BadName:
    """Return the error for what is not a host name; it tells the first thing that is wrong."""
    if like_an_address(name) and not name.strip("0123456789."):
        return BadName("{} is neither a host name nor an IP address", HOST_REMEDY, name)
    why, remedy = name_flaw(name)
    if may_be_secret(name) or not why:
        return BadName("{} is not a host name", HOST_REMEDY, name)
    said = "{}: " if why.endswith("in a host name") else "{} is not a host name: "
    return BadName(said + why, remedy, name)


def extra_name(text: str) -> str:
    """Return a name that a certificate may have: a wildcard, an address, or a host name.

    ``*.`` stands for one label before a name of at least two (RFC 9525 section 6.3); addresses
    come in their shortest form (RFC 5952). Raises BadName.
    """
    if found := shortest_address(text):
        return found
    if "*" not in text:
        return host_name(text)
    if not text.startswith("*.") or "*" in text[1:]:
        what = "{} is not a wildcard: `*` may stand only for the whole first label"
        raise BadName(what, "write `*.` and a host name, such as '*.customer.example'", text)
    name = f"*.{host_name(text[2:])}"
    if len(name) > LONGEST_NAME:
        raise too_long(name)
    return name


def shortest_address(text: str) -> str | None:
    """Return an address in its shortest form (RFC 5952); None for anything else.

    An IPv6 address may be in brackets, as in a URL. One with a zone (``%eth0``) is refused: only
    this host knows it.
    """
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") and ":" in text else text
    if not like_an_address(bare) or "%" in bare:
        return None
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return None


def is_wildcard(name: str) -> bool:
    """Return whether *name* is a wildcard, which covers every host one label below it."""
    return name.startswith("*.")


def example_of(wildcard: str) -> str:
    """Return a host that a wildcard covers and that hardly anybody uses."""
    room = LONGEST_NAME - len(wildcard) + 1
    return "proxygen-probe"[:room].rstrip("-") + wildcard[1:]


def readable_name(name: str) -> str:
    """Return a name for messages: ``bücher.example (xn--bcher-kva.example)``.

    U-labels come first (RFC 5890 section 2.3.2.1); a name without A-labels is returned as it is.
    The owner of an RSA certificate beside another one is called ``shop.example (RSA)``.
    """
    if name.endswith(RSA_BESIDE):
        return f"{readable_name(name.removesuffix(RSA_BESIDE))} (RSA)"
    if "xn--" not in name:
        return name
    import idna

    try:
        shown = idna.decode(name.removeprefix("*."))
    except (idna.IDNAError, UnicodeError):
        return name
    prefix = "*." if is_wildcard(name) else ""
    return f"{prefix}{shown} ({name})"


def is_placeholder(name: str) -> bool:
    """Return whether a name is reserved for examples and tests (RFC 2606, RFC 6761).

    Or whether it is the name of a host that was not given one.
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
    """Return False for what cannot be an address: parsing is slow, and most names are none."""
    return ":" in text or text[-1:].isdigit()


def url_host(text: str) -> str:
    """Return the host of ``https://HOST`` or ``HOST``; raise BadName for a URL with more."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        rest = text
    elif scheme.lower() != "https":
        shown = f"`{scheme[:20]}://`" if scheme.isalpha() else "something else"
        what = f"a URL of the model begins with https://, not with {shown}"
        raise BadName(what, "write https:// and the host name")
    rest = rest.removesuffix("/")
    if extra := re.search(r"[/?#@:\s]", rest):
        first = "://" if "://" in rest else "@" if "@" in rest else extra.group()
        what = "{} has " + BESIDE_HOST.get(first, "white space")
        raise BadName(what, "write https:// and the host name, nothing else", text)
    return host_name(rest)


BESIDE_HOST = {
    "/": "a path after the host name",
    "?": "a query after the host name",
    "#": "a fragment after the host name",
    "@": "a user before the host name",
    ":": "a port after the host name; `services.nginx.listen` sets where nginx listens",
    "://": "a second scheme after the first one",
}
"""What a URL has besides https:// and a host name, by the character that tells."""


def mail_address(text: str) -> str:
    """Return a mail address, its domain in A-labels (RFC 5321 section 4.1.2, dot-atom only)."""
    local, at, domain = text.rpartition("@")
    encoded_word = "=?" in local  # mail programs would decode it (RFC 2047)
    if not at or not LOCAL_PART.fullmatch(local) or ".." in f".{local}." or encoded_word:
        raise BadName("{} is not a mail address", "write it as name@domain.example", text)
    return f"{local}@{host_name(domain)}"

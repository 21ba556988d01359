"""Certificate (what is wanted) and Bundle (what was issued and is stored)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from proxygen.errors import Origin

GLOBAL = "global"
"""The owner of the global certificate; no domain has this name, as a domain has a dot."""

ADOPTED = "adopted"
"""The issuer of an adopted certificate that serves until the wanted one is obtained."""
ADOPT = "adopt"
"""Stands for a service where the model itself names a certificate to adopt."""


HTTP, DNS, PERSIST = "http-01", "dns-01", "dns-persist-01"
"""The challenges that can prove a name (RFC 8555 section 8; draft-ietf-acme-dns-persist)."""


class KeyType(StrEnum):
    """The types of private key that the model can ask for."""

    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"

    @property
    def algorithm(self) -> str:
        """The algorithm of its signatures: ``ecdsa`` or ``rsa``."""
        return algorithm_of(self)


RSA, ECDSA = "rsa", "ecdsa"
RSA_TYPES = ((2048, KeyType.RSA_2048), (3072, KeyType.RSA_3072))


def algorithm_of(key_type: str) -> str:
    """Return the algorithm of a type of key, such as ``rsa`` of ``rsa-2048``."""
    return key_type.partition("-")[0]


def similar_type(key_type: str) -> KeyType | None:
    """Return the type of key that an authority takes and that is most like another type.

    None for an algorithm that no public authority signs.
    """
    algorithm, _, size = key_type.partition("-")
    if algorithm == RSA and size.isdecimal():
        return next((each for bits, each in RSA_TYPES if int(size) <= bits), KeyType.RSA_4096)
    if algorithm == ECDSA:
        return KeyType.ECDSA_P256 if size == "p256" else KeyType.ECDSA_P384
    return None


OWN_KEYS = frozenset({"acme", "selfsigned"})
"""Issuers for whose certificates proxygen makes the keys."""

RSA_BESIDE = "_rsa"
"""Ends the owner of an RSA certificate that is served beside an ECDSA one: ``global_rsa``."""


def holder_of(owner: str) -> str:
    """Return whose certificate it is: ``global`` or a domain."""
    return owner.removesuffix(RSA_BESIDE)


@dataclass(frozen=True, slots=True)
class Secret:
    """A reference to a secret, ``env:NAME`` or ``file:PATH``; never the secret itself.

    If *within* is given, a file is read only below that folder.
    """

    kind: str
    place: str
    within: Path | None = None


@dataclass(frozen=True, slots=True)
class FileSource:
    """A certificate that the administrator supplies: PEM files, or one PKCS#12 file.

    Paths are absolute. In PEM files, leaf, chain and key may be in any order and in any of the
    files. If *within* is given, files are read only below that folder.
    """

    certificate: Path
    key: Path | None
    chain: Path | None
    password: Secret | None
    origin: Origin
    within: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files to read, each once."""
        return tuple(
            dict.fromkeys(path for path in (self.certificate, self.key, self.chain) if path)
        )


@dataclass(frozen=True, slots=True)
class Authority:
    """An ACME authority by its *directory* (URL), with the *profile* to order (or empty)."""

    directory: str
    profile: str = ""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that the model wants.

    *owner* is ``global`` or a domain, with RSA_BESIDE for an RSA certificate beside an ECDSA one.
    *names* are A-labels, the name of the URL first. *issuer* is the word of the model: ``acme``,
    ``file``, ``hook`` or ``selfsigned``. *authorities* are the ACME authorities to ask, the
    preferred one first; the next one takes over if it cannot issue. *keep_key*: a renewal keeps the
    private key (that of the global certificate: published TLSA 3 1 1 records name it).
    *key_type_said*: the model asks for *key_type*; otherwise it is the default, and what is there
    keeps its type. *challenge* is
    how names are proven (RFC 8555 section 8), *solver* the name of the solver that writes its DNS
    records. *strict*: all names or none. *unchecked* are names that are not checked before an
    order; *checked_by* changes when the way changes in which the others are checked.
    """

    owner: str
    names: tuple[str, ...]
    issuer: str
    origin: Origin
    key_type: KeyType = KeyType.ECDSA_P256
    key_type_said: bool = True
    authorities: tuple[Authority, ...] = ()
    file: FileSource | None = None
    keep_key: bool = False
    challenge: str = HTTP
    solver: str | None = None
    strict: bool = False
    unchecked: tuple[str, ...] = ()
    checked_by: str = ""


@dataclass(frozen=True, slots=True)
class KeyAndChain:
    """The secret half of a bundle: *key* (PKCS#8 PEM) and *fullchain* (PEM, leaf first)."""

    key: bytes
    fullchain: bytes

    @property
    def pem(self) -> bytes:
        """Key, then leaf, then chain: in one file a pair cannot come apart."""
        return self.key.rstrip(b"\n") + b"\n" + self.fullchain.rstrip(b"\n") + b"\n"

    def __repr__(self) -> str:
        return "KeyAndChain(…)"


@dataclass(frozen=True, slots=True)
class RenewalInfo:
    """What an authority suggested about the renewal of a certificate (RFC 9773 section 4.2).

    *start* and *end* bound the suggested window, in which *moment* was drawn once; all are None if
    the authority suggested nothing. *look_at* is when to poll again, *explanation* the URL of a
    page that tells people why.
    """

    look_at: datetime
    start: datetime | None = None
    end: datetime | None = None
    moment: datetime | None = None
    explanation: str | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is known of an issued and stored certificate, without its key.

    *names* are its SANs, sorted. *digest* is the SHA-256 (hex) of ``KeyAndChain.pem``,
    *fingerprint* that of the leaf's DER form, *spki* that of its SubjectPublicKeyInfo. *issued_by*
    is the common name of the CA. *issuer* is as in ``Certificate``, *authority* the directory of
    the ACME authority that issued it, and *profile* the one it was ordered with. *stand_in* marks
    the self-signed certificate that serves until the first real one is obtained. *source* is a hash
    of the files that it was read from, empty for other issuers. *identifier* is its unique
    identifier (RFC 9773 section 4.1), empty if it has none. *replace*: it must be replaced, with a
    new key, as it is revoked or compromised. *adopted* are the services that were configured with
    it before proxygen, and ADOPT if the model named it; empty for others. If it is not what the
    model wants, its *issuer* is ADOPTED.
    """

    owner: str
    names: tuple[str, ...]
    issuer: str
    issued_by: str
    not_before: datetime
    not_after: datetime
    serial: str
    fingerprint: str
    spki: str
    digest: str
    key_type: str
    authority: str = ""
    stand_in: bool = False
    source: str = ""
    profile: str = ""
    identifier: str = ""
    renewal: RenewalInfo | None = None
    replace: bool = False
    adopted: str = ""

    @property
    def is_interim(self) -> bool:
        """Whether it serves only until the certificate that the model wants is obtained."""
        return self.stand_in or self.issuer == ADOPTED

    @property
    def algorithm(self) -> str:
        """The algorithm of its key, such as ``rsa`` or ``ecdsa``."""
        return algorithm_of(self.key_type)

    @property
    def lifetime(self) -> timedelta:
        """From ``not_before`` to ``not_after``."""
        return self.not_after - self.not_before

    def covers(self, name: str) -> bool:
        """Return whether a client that asks for *name* accepts this certificate's names."""
        return name in self.names or any(san_matches(pattern, name) for pattern in self.names)


def san_matches(pattern: str, name: str) -> bool:
    """Return whether the SAN *pattern* covers *name* (RFC 9525 section 6.3).

    A wildcard is the whole leftmost label and covers exactly one label.
    """
    if pattern.startswith("*."):
        _, dot, parent = name.partition(".")
        return bool(dot) and parent == pattern[2:]
    return pattern == name

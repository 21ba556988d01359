"""The contract of a service: a description of nginx, postfix or dovecot, without effects.

Each module in this folder that has a ``SERVICE`` describes one kind of service; its name is the
word in the model. ``service_kind.py`` tells what a kind owes, here is what it speaks of.
``observe`` and ``apply`` do what it describes; to them every service is a ``Service``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from posixpath import dirname, normpath
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from proxygen.model.certificate import Bundle
from proxygen.model.instances import ServiceClaim
from proxygen.model.types import HostPath
from proxygen.services.cipher_lists import CipherList
from proxygen.services.service_includes import Includes
from proxygen.services.service_verification import Verification


class ServiceSettings(BaseModel):
    """The settings of a service in the model; every service has these."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)

    program: HostPath | None = Field(
        None, description="Absolute path of its program; default: found in the usual places."
    )
    configuration: HostPath | None = Field(
        None, description="Absolute path of its main file; default: that below /etc/NAME."
    )
    verify: Verification = Field(
        Verification(), description="Where proxygen connects as a client; default: everywhere."
    )

    def verified(self, endpoints: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
        """Return the places that are verified, without those that the model leaves out."""
        if not self.verify.left_out:
            return tuple(endpoints)
        return tuple(each for each in endpoints if self.verify.covers(each.address, each.port))

    def claims(self, name: str, kind: str) -> Iterator[ServiceClaim]:
        """Yield what no other service of the kind may have: the folder that ours is in."""
        main = normpath(self.configuration or f"/etc/{name}")
        folder = dirname(main) if main.endswith((".conf", ".cf")) else main
        yield ServiceClaim(("configuration",), f"{kind} folder", folder, f"the folder {folder}")


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run with its arguments, without a shell."""

    argv: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.argv)


@dataclass(frozen=True, slots=True)
class Reading:
    """A file to read; the answer has code 0 and the text, or another code if there is none.

    With *includes*, the text of each file that it includes follows the directive that includes it,
    except for files that proxygen wrote: once, or with *repeated* as often as it is included.
    *placed*: each such text stands between comments that tell its file (``ENTERS``, ``LEAVES``).
    """

    path: Path
    includes: Includes | None = None
    repeated: bool = False
    placed: bool = False


@dataclass(frozen=True, slots=True)
class FileOrder:
    """The files of a configuration to read, in the order in which its service reads them.

    Its *main* file, and at the place of each include the files that it includes; *pointer* tells
    includes, and which file is ours.
    """

    main: Path
    pointer: Pointer


Question = Command | Reading | FileOrder


@dataclass(frozen=True, slots=True)
class FilePart:
    """Lines of a configuration file between two includes; *line* is the number of the first.

    *ours*: here the service reads proxygen's own file, or would if it were there; without a text.
    """

    path: Path
    line: int
    text: str
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a command: exit code, standard output and standard error.

    The *parts* of the files are the answer to a ``FileOrder``: none if there are too many.
    """

    code: int
    out: str
    err: str
    parts: tuple[FilePart, ...] = ()

    @property
    def words(self) -> str:
        """Everything that it said, standard error first."""
        return "\n".join(part for part in (self.err.strip(), self.out.strip()) if part)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A place and name at which a client meets a certificate.

    *starttls* is None for TLS from the first byte, otherwise the protocol that begins in plain
    text: ``smtp``, ``lmtp``, ``imap``, ``pop3``, ``sieve``. *server_name* is the name that the
    client sends (SNI), empty for none; for a wildcard, the client sends a name that it covers.
    *bundle* is the certificate that the client must get; if None, the server must refuse the
    handshake. *beside* is what a client gets instead that cannot do with *bundle*, None for
    nothing. *proxy_protocol*: the server expects a PROXY protocol header first. *client* is who
    connects, if that is one who cannot do with everything: of TLS 1.2 alone, for instance.
    """

    service: str
    address: str
    port: int
    server_name: str
    bundle: Bundle | None
    starttls: str | None = None
    proxy_protocol: bool = False
    beside: Bundle | None = None
    client: str = ""

    @property
    def shown(self) -> str | None:
        """The fingerprints of what clients get there, with a ``+`` between two; None: nothing."""
        return "+".join(each.fingerprint for each in self.bundles) or None

    @property
    def bundles(self) -> tuple[Bundle, ...]:
        """The certificates that clients get there."""
        return tuple(each for each in (self.bundle, self.beside) if each)

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        how = f" STARTTLS {self.starttls}" if self.starttls else ""
        who = f" ({self.client})" if self.client else ""
        name = self.server_name or "(no name)"
        return f"{self.service} {address}:{self.port}{how} as {name}{who}"


EVERYWHERE = ""
"""The scope of additions that apply to every server block."""


@dataclass(frozen=True, slots=True)
class Additions:
    """The administrator's directives for the server blocks of *scope*: an owner, or EVERYWHERE.

    *files* are names and texts, in order; *digest* is a hash of them all. *unread* is the path of a
    file that cannot be read, and *trouble* is the system's reason. *included* are the paths and
    texts of files elsewhere that they include; nginx reads these where they are.
    """

    scope: str
    files: tuple[tuple[str, str], ...]
    digest: str
    unread: str = ""
    trouble: str = ""
    included: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out about a service on this host; each kind has more facts of its own.

    *version* is a tuple of numbers, such as (1, 22, 1). *main* is the main configuration file
    (postfix: ``main.cf``). *pid_file* holds the id of the master process, *log* is the error log.
    *user* is the system user whose processes read certificates at each handshake, None if only root
    does. *overrides* are the administrator's templates from which its files are rendered, None for
    those that exist. *further* are other services of the kind here by name, each with its folder.
    *ciphers* are its lists of ciphers, as far as they are not ours.
    """

    program: str
    version: tuple[int, ...]
    main: Path
    pid_file: Path | None = None
    log: Path | None = None
    user: str | None = None
    overrides: Mapping[str, str] | None = None
    warnings: tuple[str, ...] = ()
    further: Mapping[str, str] = field(default_factory=dict)
    ciphers: tuple[CipherList, ...] = ()


@dataclass(frozen=True, slots=True)
class WebFacts(Facts):
    """Facts of a web server, of whose configuration parts may be left out.

    *ipv6*: this host speaks it. *additions* are the administrator's directives by owner, or
    EVERYWHERE. The service refuses something of these owners: *closed* ones are answered with 503,
    *shown* ones get another certificate than their own (digest and fingerprint; None: the global
    one), *dropped* ones are not served at all. *names* are those that its other server blocks
    answer for. *addresses* are the addresses of upstream servers that the model names; a name
    without an entry has none.
    """

    ipv6: bool = True
    additions: Mapping[str, Additions] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    shown: Mapping[str, tuple[str, str] | None] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def additions_of(facts: Facts) -> Mapping[str, Additions]:
    """Return the administrator's directives by owner; none for other services than web servers."""
    return facts.additions if isinstance(facts, WebFacts) else {}


@dataclass(frozen=True, slots=True)
class ParameterFacts(Facts):
    """Facts of a service in whose main file proxygen sets parameters.

    *parameters* are all that are set there, ours or not.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listener:
    """An address and port on which the service listens; other fields are as in ``Endpoint``."""

    address: str
    port: int
    starttls: str | None
    proxy_protocol: bool = False


@dataclass(frozen=True, slots=True)
class Configured:
    """A certificate in a service's own configuration: the files with key, leaf and chain.

    *passwords* is a file with passwords of the key, one a line. None of the files is read that
    stands elsewhere than below *within*, if that is given.
    """

    paths: tuple[Path, ...]
    passwords: Path | None = None
    within: Path | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """A file to render: *template* (below ``templates/``) with *context*, to *name*."""

    template: str
    name: str
    context: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Lines:
    """Many lines of a file, which a template writes as one value.

    Each line is a form, with ``{}`` for every value, and its values, which are quoted like all
    others.
    """

    lines: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything that a service should have installed.

    *files* are the files of the generation. *links* are names in the generation that lead to a
    certificate with its key; *chains* are names of files that hold only the chain, leaf first.
    *certificates* are all bundles whose files the generation needs. *parameters* is what to set in
    the service's own configuration if it has no includes, one ``name = value`` a line. *readers* is
    the system user who must be able to read the certificates, besides root. *addresses* are the
    addresses of names as written into the files. *additions* are the administrator's directives
    that the files include, by scope; None: the service refuses them.
    """

    files: tuple[Rendered, ...] = ()
    links: Mapping[str, Bundle] = field(default_factory=dict)
    chains: Mapping[str, Bundle] = field(default_factory=dict)
    certificates: tuple[Bundle, ...] = ()
    parameters: Rendered | None = None
    readers: str | None = None
    additions: Mapping[str, Additions | None] = field(default_factory=dict)
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MailCertificate:
    """A certificate that a mail service is configured with.

    It is shown to clients who ask for one of *names* (by SNI; ``.NAME``: below it), to all where
    there are none. *stays*: also once the service has the global certificate. *to_servers*: not to
    clients, but to servers that it sends mail to. *unread* is what tells of further ones, where
    that cannot be read.
    """

    configured: Configured = Configured(())
    names: tuple[str, ...] = ()
    stays: bool = False
    to_servers: bool = False
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Pointer:
    """The file *path* in the service's own configuration that includes the generation that serves.

    *directive* returns the line that includes the files of a mask; *includes* finds such lines in
    the service's configuration. *relative_to_main*: a relative mask is relative to the folder of
    the main file, otherwise to that of the including file.
    """

    path: Path
    directive: Callable[[str], str]
    includes: Includes
    relative_to_main: bool = True


class SetsParameters(Protocol):
    """The ability to have parameters set in the main file (``Wanted.parameters``)."""

    @property
    def OURS(self) -> tuple[str, ...]:  # noqa: N802
        """The names of the parameters that proxygen sets."""

    def parameters_in(self, text: str) -> Mapping[str, str | None]:
        """Return the parameters in the text of its main file; None for a name without a value."""

    def edited(self, text: str, changes: Mapping[str, str | None]) -> str:
        """Return that text with parameters set, or removed where the value is None."""

"""What a service is to proxygen: a description, without effects.

Each module of this folder describes one service: it has a ``SERVICE``, a ``ServiceKind``
(``service_kind.py``), and the module's name is the word in the model. What it says is done by
``observe`` and ``apply``, to whom every service is a ``Service``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from proxygen.model.certificate import Bundle
from proxygen.model.layout import Layout
from proxygen.model.site import Role
from proxygen.model.types import HostPath
from proxygen.model.views import View
from proxygen.services.service_includes import Includes


class ServiceSettings(BaseModel):
    """What the model may say about a service; every service has these two."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)

    program: HostPath | None = Field(
        None, description="Absolute path of its program, where it is not found on its own."
    )
    configuration: HostPath | None = Field(
        None, description="Absolute path of its main file; default: the usual one below /etc."
    )


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run, without a shell."""

    argv: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.argv)


@dataclass(frozen=True, slots=True)
class Reading:
    """A file to read instead; the answer has code 0 and its text, or another code when absent.

    With *includes* the text of each file that it includes stands behind the directive that
    includes it, except of those that proxygen wrote: once, or with *repeated* as often as it is
    included.
    """

    path: Path
    includes: Includes | None = None
    repeated: bool = False


Question = Command | Reading


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """All it said, errors first."""
        return "\n".join(part for part in (self.err.strip(), self.out.strip()) if part)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a client meets a certificate.

    *starttls* is None for TLS from the first byte, else the protocol that is spoken first:
    ``smtp``, ``lmtp``, ``imap``, ``pop3``, ``sieve``. *server_name* is what the client asks for
    (SNI), empty for none; a wildcard is some name that it stands for. *bundle* is the certificate
    it must be shown; None: the handshake must be refused. *proxy_protocol*: the server expects a
    PROXY protocol header first.
    """

    service: str
    address: str
    port: int
    server_name: str
    bundle: Bundle | None
    starttls: str | None = None
    proxy_protocol: bool = False

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        how = f" STARTTLS {self.starttls}" if self.starttls else ""
        return f"{self.service} {address}:{self.port}{how} as {self.server_name or '(no name)'}"


EVERYWHERE = ""
"""The scope of additions for every server block."""


@dataclass(frozen=True, slots=True)
class Additions:
    """The administrator's directives for the server blocks of *scope*: an owner, or EVERYWHERE.

    *files*: names and texts, in order; *digest* stands for all of it. *unread*: the path of one
    that cannot be read, and *trouble* why, as the system tells.
    """

    scope: str
    files: tuple[tuple[str, str], ...]
    digest: str
    unread: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found out about any service on this host; each service has its own besides.

    *version* as numbers, such as (1, 22, 1). *main* is its main configuration file (postfix:
    ``main.cf``). *pid_file* is where its master process leaves its id, *log* where it complains.
    *user* is the system user whose processes read certificates at each handshake, None when only
    root does. *overrides* are the administrator's templates with which its files are written,
    None for those that are there.
    """

    program: str
    version: tuple[int, ...]
    main: Path
    pid_file: Path | None = None
    log: Path | None = None
    user: str | None = None
    overrides: Mapping[str, str] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WebFacts(Facts):
    """Facts of a service that is handed the web's view, of which parts may be left out.

    *ipv6*: this host speaks it. *additions*: the administrator's directives by owner, or
    EVERYWHERE. *closed*: owners whose requests are answered with 503, *shown* those that are shown
    another certificate than their own (its digest and fingerprint; None: the global one), *dropped*
    those that are not served at all, each since the service refuses something of theirs. *names*:
    what its other server blocks answer for. *addresses* are those of the upstream servers that the
    model names; a name that is not there has none.
    """

    ipv6: bool = True
    additions: Mapping[str, Additions] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    shown: Mapping[str, tuple[str, str] | None] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def additions_of(facts: Facts) -> Mapping[str, Additions]:
    """Return the administrator's directives by owner; none of a service that is given none."""
    return facts.additions if isinstance(facts, WebFacts) else {}


@dataclass(frozen=True, slots=True)
class ParameterFacts(Facts):
    """Facts of a service in whose main file proxygen sets parameters: what these *parameters* are.

    All that are set there, ours or not.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listener:
    """An address and port that the service listens on; the others are as in ``Endpoint``."""

    address: str
    port: int
    starttls: str | None
    proxy_protocol: bool = False


@dataclass(frozen=True, slots=True)
class Configured:
    """A certificate in a service's own configuration: the files with key, leaf and chain.

    *passwords*: a file with a password of the key in each line.
    """

    paths: tuple[Path, ...]
    passwords: Path | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """A file to be rendered: *template* (below ``templates/``) with *context* to *name*."""

    template: str
    name: str
    context: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Lines:
    """Many lines of a file, which a template writes as one value.

    Each is a form, with ``{}`` for every value, and the values, which are quoted as any.
    """

    lines: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """All that a service should have installed.

    *files*: the files of the generation. *links*: names in the generation that lead to a
    certificate with its key, *chains* those of files that hold the chain alone, leaf first.
    *certificates*: every bundle whose file the generation needs. *parameters*: what is set in
    the service's own configuration, where it has no includes, one ``name = value`` a line.
    *readers*: the system user who must be able to read the certificates beside root.
    *addresses*: those of names, as they were written. *additions*: the administrator's directives
    that it includes; of a scope with None there are some that it refuses.
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
class Pointer:
    """The file *path* among the service's own, which includes the generation that serves.

    *directive* gives the line that includes the files of a mask; *includes* finds such lines in
    the service's configuration. *relative_to_main*: a relative mask is below the folder of the
    main file, else below that of the including file.
    """

    path: Path
    directive: Callable[[str], str]
    includes: Includes
    relative_to_main: bool = True


class AnswersChallenges(Protocol):
    """What a service has that answers ACME challenges."""

    def challenge_listener(self, settings: ServiceSettings) -> Listener:
        """Return where it listens for HTTP."""


class SetsParameters(Protocol):
    """What a service has that is given ``Wanted.parameters``."""

    @property
    def OURS(self) -> tuple[str, ...]:  # noqa: N802
        """The names of these parameters."""

    def parameters_in(self, text: str) -> Mapping[str, str | None]:
        """Return what the text of its main file sets; None: a name without a value."""

    def edited(self, text: str, changes: Mapping[str, str | None]) -> str:
        """Return that text with parameters set, or gone where the value is None."""


class Service(Protocol):
    """A service of this host, whichever it is: one of a kind, under a name.

    There may be several of a kind (``postfix``, ``postfix-out``), each with settings of its own.
    What it is given is its own: settings as it chose them, facts as it told them, and the view of
    its role. Anything else is our own bug (TypeError).
    """

    @property
    def name(self) -> str:
        """What it is called: in the model, in messages, and below ``live/``."""

    @property
    def kind(self) -> str:
        """The word of its kind: its program's name, and the folder of its templates."""

    @property
    def role(self) -> Role:
        """Which view it is handed."""

    @property
    def programs(self) -> tuple[str, ...]:
        """Where its program is looked for, besides the PATH: absolute paths or names."""

    @property
    def workers(self) -> bool:
        """Whether a reload replaces all worker processes at once, which then proves it."""

    @property
    def settings_type(self) -> type[ServiceSettings]:
        """What the model may say of it; without arguments: what is so where it says nothing."""

    @property
    def challenges(self) -> AnswersChallenges | None:
        """How it answers ACME challenges, None where it does not."""

    @property
    def parameters(self) -> SetsParameters | None:
        """How parameters are set in its main file, None where it includes files instead."""

    def main_file(self, settings: ServiceSettings, layout: Layout) -> Path:
        """Return its main configuration file."""

    def questions(
        self, program: str, settings: ServiceSettings, layout: Layout
    ) -> Mapping[str, Question]:
        """Return the commands and files whose answers ``facts`` needs."""

    def facts(
        self, program: str, settings: ServiceSettings, layout: Layout, answers: Mapping[str, Answer]
    ) -> Facts:
        """Return what the answers tell; raise ServiceError when it cannot be worked with.

        Raise Unreadable when it refuses its own configuration: it is then asked without ours.
        """

    def certificate_questions(
        self, facts: Facts, settings: ServiceSettings, layout: Layout, answers: Mapping[str, Answer]
    ) -> Mapping[str, Question]:
        """Return the questions whose answers ``configured`` needs, as far as *answers* tell.

        It is asked again with the answers, until it has no further question.
        """

    def configured(
        self, name: str, facts: Facts, settings: ServiceSettings, answers: Mapping[str, Answer]
    ) -> Iterable[Configured]:
        """Return the certificates that clients who ask for *name* may be shown as it is.

        By the service's own configuration, the likeliest first.
        """

    def pointer(self, main: Path) -> Pointer | None:
        """Return the one file of ours among the service's own, None where it has no includes."""

    def wanted(self, view: View, settings: ServiceSettings, facts: Facts, layout: Layout) -> Wanted:
        """Return all that should be installed for *view*."""

    def check(self, facts: Facts, settings: ServiceSettings, main: Path) -> tuple[Command, ...]:
        """Return the commands that check the complete configuration whose main file is *main*."""

    def refused(self, answers: Iterable[Answer]) -> str | None:
        """Return the service's words if one of the answers of ``check`` is a refusal."""

    def reload(self, facts: Facts, settings: ServiceSettings) -> Command | None:
        """Return the command that makes the running service read its configuration again.

        None where SIGHUP to its master process does.
        """

    def endpoints(self, view: View, settings: ServiceSettings, facts: Facts) -> Iterator[Endpoint]:
        """Return every place and name at which a client meets a certificate."""

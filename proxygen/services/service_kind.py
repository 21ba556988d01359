"""ServiceKind: how a module of this folder describes its service; it makes the ``Service``s."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from proxygen.model.layout import Layout, ServiceLayout
from proxygen.model.site import Role
from proxygen.model.views import View
from proxygen.services import (
    Answer,
    Command,
    Configured,
    Endpoint,
    Facts,
    Listener,
    MailCertificate,
    Pointer,
    Question,
    Service,
    ServiceSettings,
    SetsParameters,
    Wanted,
)

T = TypeVar("T")
S = TypeVar("S", bound=ServiceSettings)
F = TypeVar("F", bound=Facts)
V = TypeVar("V", bound=View)


def no_mail(_: Mapping[str, Answer]) -> Iterable[MailCertificate]:
    """Return what a service shows to mail clients that has none."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceKind(Generic[S, F, V]):
    """One kind of service, in terms of its own settings, facts and view.

    Fields are as in ``Service``, of which there may be several of a kind, each with a name:
    functions get the layout of that one, *endpoints* its name. *challenge_listener* is set if it
    answers ACME challenges, *parameters* if it is given parameters.
    """

    role: Role
    programs: tuple[str, ...]
    workers: bool
    settings_type: type[S]
    facts_type: type[F]
    view_type: type[V]
    main_file: Callable[[S, Layout], Path]
    questions: Callable[[str, S, ServiceLayout], Mapping[str, Question]]
    facts: Callable[[str, S, ServiceLayout, Mapping[str, Answer]], F]
    certificate_questions: Callable[
        [F, S, ServiceLayout, Mapping[str, Answer]], Mapping[str, Question]
    ]
    configured: Callable[[str, F, S, Mapping[str, Answer]], Iterable[Configured]]
    pointer: Callable[[Path], Pointer | None]
    wanted: Callable[[V, S, F, ServiceLayout], Wanted]
    check: Callable[[F, S, Path], tuple[Command, ...]]
    refused: Callable[[Iterable[Answer]], str | None]
    reload: Callable[[F, S], Command | None]
    endpoints: Callable[[str, V, S, F], Iterator[Endpoint]]
    mail_certificates: Callable[[Mapping[str, Answer]], Iterable[MailCertificate]] = no_mail
    challenge_listener: Callable[[S], Listener] | None = None
    parameters: SetsParameters | None = None

    def named(self, name: str, word: str) -> Service:
        """Return the service of that name; *word* is that of the kind."""
        return Instance(name, word, self)


def its_own(kind: type[T], given: object) -> T:
    """Return *given* as what it is; raise TypeError if it is another service's."""
    if not isinstance(given, kind):
        raise TypeError(f"{type(given).__name__} instead of {kind.__name__}")
    return given


@dataclass(frozen=True, slots=True)
class Instance(Generic[S, F, V]):
    """A ``Service``: one of a *kind*, under a *name*. What it is given must be what *of* wants.

    What each method does is told there; all but three hand on.
    """

    name: str
    kind: str
    of: ServiceKind[S, F, V]

    @property
    def role(self) -> Role:
        return self.of.role

    @property
    def programs(self) -> tuple[str, ...]:
        return self.of.programs

    @property
    def workers(self) -> bool:
        return self.of.workers

    @property
    def settings_type(self) -> type[ServiceSettings]:
        return self.of.settings_type

    @property
    def challenges(self) -> Callable[[ServiceSettings], Listener] | None:
        listener = self.of.challenge_listener
        return (lambda given: listener(self.settings(given))) if listener else None

    @property
    def parameters(self) -> SetsParameters | None:
        return self.of.parameters

    def settings(self, given: ServiceSettings) -> S:
        """Return settings as the kind's own."""
        return its_own(self.of.settings_type, given)

    def own_facts(self, given: Facts) -> F:
        """Return facts as the kind's own."""
        return its_own(self.of.facts_type, given)

    def view(self, given: View) -> V:
        """Return a view as the one of the kind's role: mail is shown nothing of a domain's."""
        return its_own(self.of.view_type, given)

    def main_file(self, settings: ServiceSettings, layout: Layout) -> Path:
        return self.of.main_file(self.settings(settings), layout)

    def questions(
        self, program: str, settings: ServiceSettings, layout: Layout
    ) -> Mapping[str, Question]:
        return self.of.questions(program, self.settings(settings), layout.of(self.name))

    def facts(
        self, program: str, settings: ServiceSettings, layout: Layout, answers: Mapping[str, Answer]
    ) -> Facts:
        own = self.settings(settings), layout.of(self.name)
        return self.of.facts(program, *own, answers)

    def certificate_questions(
        self, facts: Facts, settings: ServiceSettings, layout: Layout, answers: Mapping[str, Answer]
    ) -> Mapping[str, Question]:
        own = self.own_facts(facts), self.settings(settings), layout.of(self.name)
        return self.of.certificate_questions(*own, answers)

    def configured(
        self, name: str, facts: Facts, settings: ServiceSettings, answers: Mapping[str, Answer]
    ) -> Iterable[Configured]:
        own = self.own_facts(facts), self.settings(settings)
        return self.of.configured(name, *own, answers)

    def mail_certificates(self, answers: Mapping[str, Answer]) -> Iterable[MailCertificate]:
        """Return what it shows to mail clients."""
        return self.of.mail_certificates(answers)

    def pointer(self, main: Path) -> Pointer | None:
        return self.of.pointer(main)

    def wanted(self, view: View, settings: ServiceSettings, facts: Facts, layout: Layout) -> Wanted:
        own = self.view(view), self.settings(settings), self.own_facts(facts)
        return self.of.wanted(*own, layout.of(self.name))

    def check(self, facts: Facts, settings: ServiceSettings, main: Path) -> tuple[Command, ...]:
        return self.of.check(self.own_facts(facts), self.settings(settings), main)

    def refused(self, answers: Iterable[Answer]) -> str | None:
        return self.of.refused(answers)

    def reload(self, facts: Facts, settings: ServiceSettings) -> Command | None:
        return self.of.reload(self.own_facts(facts), self.settings(settings))

    def endpoints(self, view: View, settings: ServiceSettings, facts: Facts) -> Iterator[Endpoint]:
        own = self.view(view), self.settings(settings), self.own_facts(facts)
        return self.of.endpoints(self.name, *own)

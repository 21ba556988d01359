"""The contract: a module's ``SERVICE`` is a ``ServiceKind``; with a name it is a ``Service``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import wraps
from operator import attrgetter
from pathlib import Path
from types import FunctionType
from typing import Generic, TypeVar, cast

from proxygen.model.layout import ServiceLayout
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

    *name* is that of a service in the model, in messages, and below ``live/``; *kind* is the word
    of the kind: the name of its module, of its program, and of the folder of its templates. A
    module of this folder leaves out both.
    """

    name: str = ""
    kind: str = ""

    role: Role
    """Whose view it gets."""
    programs: tuple[str, ...]
    """Where to look for its program, besides the PATH: absolute paths or names."""
    workers: bool
    """Whether a reload replaces all worker processes, which then proves the reload."""
    settings_type: type[S]
    """The type of its settings in the model; without arguments, it gives the defaults."""
    facts_type: type[F]
    view_type: type[V]

    main_file: Callable[[S, ServiceLayout], Path]
    """Returns the path of its main configuration file."""
    questions: Callable[[str, S, ServiceLayout], Mapping[str, Question]]
    """Returns the commands and files whose answers ``facts`` needs; first comes its program."""
    facts: Callable[[str, S, ServiceLayout, Mapping[str, Answer]], F]
    """Returns the facts in the answers; raises ServiceError if they are not enough.

    It raises ServiceUnreadable if the service refuses its configuration: it is then asked again
    without our part.
    """
    certificate_questions: Callable[
        [F, S, ServiceLayout, Mapping[str, Answer]], Mapping[str, Question]
    ]
    """Returns the questions whose answers ``configured`` needs, as far as the answers tell.

    Called again with the answers until there is no further question.
    """
    configured: Callable[[str, F, S, Mapping[str, Answer]], Iterable[Configured]]
    """Returns the certificates that clients who ask for a name may get without proxygen.

    They come from the service's own configuration, the likeliest first.
    """
    mail_certificates: Callable[[Mapping[str, Answer]], Iterable[MailCertificate]] = no_mail
    """Returns what it shows to mail clients by its own configuration.

    The answers are those to ``certificate_questions``.
    """
    pointer: Callable[[Path], Pointer | None]
    """Returns the pointer file in its own configuration, None if it has no includes."""
    parameters: SetsParameters | None = None
    """How to set parameters in its main file, None if it includes files instead."""
    challenges: Callable[[S], Listener | None] | None = None
    """Tells where it listens for ACME challenges; None where it does not answer them."""
    wanted: Callable[[V, S, F, ServiceLayout], Wanted]
    """Returns everything that should be installed for a view."""
    check: Callable[[F, S, Path], tuple[Command, ...]]
    """Returns the commands that check the complete configuration with that main file."""
    refused: Callable[[Iterable[Answer]], str | None]
    """Returns the service's words if one of the answers to ``check`` is a refusal."""
    reload: Callable[[F, S], Command | None]
    """Returns the command that makes the running service read its configuration again.

    None if SIGHUP to its master process does.
    """
    endpoints: Callable[[str, V, S, F], Iterator[Endpoint]]
    """Returns, for the service of a name, where a client meets a certificate, and by which name."""

    def named(self, name: str, word: str) -> Service:
        """Return the service of that name; *word* is that of the kind."""
        own = {ServiceSettings: self.settings_type, Facts: self.facts_type, View: self.view_type}
        there = {each.name: attrgetter(each.name)(self) for each in fields(self)}
        guarded = {
            field: given_its_own(each, own)
            for field, each in there.items()
            if isinstance(each, FunctionType)
        }
        return cast("Service", replace(self, name=name, kind=word, **guarded))  # type: ignore[arg-type]


Service = ServiceKind[ServiceSettings, Facts, View]
"""A service on this host: one of a kind, under a name.

There may be several of a kind (``postfix``, ``postfix-out``), each with its own settings. It takes
its own settings, facts and view, and no others: mail is shown nothing of a domain's.
"""


def given_its_own(function: Callable[..., T], own: Mapping[object, type]) -> Callable[..., T]:
    """Return a function that raises TypeError if it is given what is another service's.

    *own* are the service's own types, by what they are one of.
    """

    @wraps(function)
    def guarded(*given: object) -> T:
        for each in given:
            for any_of, kind in own.items():
                if isinstance(each, any_of):  # type: ignore[arg-type]
                    its_own(kind, each)
        return function(*given)

    return guarded


def its_own(kind: type[T], given: object) -> T:
    """Return *given* as what it is; raise TypeError if it is another service's."""
    if not isinstance(given, kind):
        raise TypeError(f"{type(given).__name__} instead of {kind.__name__}")
    return given

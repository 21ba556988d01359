"""Checks names before an order, and stores what was found."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from proxygen import assemble
from proxygen.apply.outcome import NAMES, Count, Say, never_stop, tell_nobody
from proxygen.assemble import Installation
from proxygen.errors import IssueFailed
from proxygen.model.certificate import HTTP, Certificate
from proxygen.model.hosts import readable_name
from proxygen.model.site import Site
from proxygen.names.states import Evidence, NameState, state_after_check
from proxygen.observe.services import wanted_services
from proxygen.plan.observed import Observed
from proxygen.preflight import Asked, AuthorityIdentity, Beacon, Preflight, own_addresses
from proxygen.services import ServiceSettings
from proxygen.services.service_kind import Service

FIRST_PAUSE, LONGEST_PAUSE = 3.0, 20.0
"""Seconds between looks for somebody who waits."""

AT_ONCE, UNSTORED = 50, 1.0
"""How many owners' findings are stored at once, and after how many seconds fewer are."""

Asking = tuple[Certificate, str]
Done = Callable[[Asking, NameState], None]


@dataclass(slots=True)
class Notes:
    """What checks found and is not stored yet, by owner; it is stored some at a time.

    *outdated* are the owners with a name that an authority refused for a reason that is gone.
    """

    installation: Installation
    found: dict[str, list[NameState]] = field(default_factory=dict)
    outdated: set[str] = field(default_factory=set)
    since: float = field(default_factory=time.monotonic)

    def add(self, owner: str, name_state: NameState, *, outdated: bool) -> None:
        """Store what is known of a name, now or a little later with others."""
        self.found.setdefault(owner, []).append(name_state)
        if outdated:
            self.outdated.add(owner)
        if len(self.found) >= AT_ONCE or time.monotonic() - self.since > UNSTORED:
            self.write()

    def write(self) -> None:
        """Store what was found; what cannot be stored, the next run checks again."""
        found, outdated, self.found, self.outdated = self.found, self.outdated, {}, set()
        with suppress(OSError):
            self.installation.names.note_all(found)
            for owner in outdated:
                self.installation.bundles.forget_failure(owner)
        self.since = time.monotonic()


@dataclass(frozen=True, slots=True)
class NameChecks:
    """Checks names of a site.

    *listen*: no web server answers challenges, so proxygen does meanwhile. *stop* tells whether to
    begin no more checks.
    """

    site: Site
    installation: Installation
    listen: bool
    stop: Callable[[], bool] = never_stop

    def noted(self, asked: Iterable[Asking], observed: Observed, done: Done) -> None:
        """Check names and store what is found; *done* is called with each as it comes.

        If a check finds something else than when an authority refused a name, the stored failure of
        its certificate no longer postpones it.
        """

        notes = Notes(self.installation)

        def found(asking: Asking, evidence: Evidence) -> None:
            wanted, name = asking
            former = observed.names.get(wanted.owner, {}).get(name)
            name_state = state_after_check(former, name, evidence, self.installation.draw())
            name_state = replace(name_state, by=wanted.checked_by)
            outdated = former and former.refusal and former.refusal.is_outdated(evidence)
            notes.add(wanted.owner, name_state, outdated=bool(outdated))
            done(asking, name_state)

        try:
            self.all(asked, found)
        finally:
            notes.write()

    def all(self, asked: Iterable[Asking], found: Callable[[Asking, Evidence], None]) -> None:
        """Check names side by side; *found* is called with each result, from this thread."""
        askings = {(wanted.owner, name): (wanted, name) for wanted, name in asked}
        identities = self.identities(wanted for wanted, _ in askings.values())
        with self.beacon(wanted for wanted, _ in askings.values()) as beacon:
            preflight = Preflight(
                self.installation.resolver_for(self.site),
                self.addresses(beacon, identities),
                beacon,
                self.installation.now,
            )
            preflight.check_names(
                [self.asked(*asking, identities) for asking in in_turn(askings.values())],
                lambda one, evidence: found(askings[one.owner, one.name], evidence),
                self.stop,
            )

    def addresses(
        self, beacon: Beacon | None, identities: Mapping[str, AuthorityIdentity]
    ) -> Collection[str]:
        """Return the addresses of this installation.

        If the model names none, those at which the global URL leads here are ours too: behind NAT
        no interface has them.
        """
        if self.site.addresses or beacon is None:
            return self.site.addresses
        found: list[Evidence] = []
        main = self.site.global_certificate
        one = replace(self.asked(main, main.names[0], identities), challenge=HTTP)
        preflight = Preflight(
            self.installation.resolver_for(self.site), (), beacon, self.installation.now
        )
        preflight.check_names([one], lambda _, evidence: found.append(evidence), self.stop)
        return [address for evidence in found for address in own_addresses(evidence)]

    def asked(
        self, wanted: Certificate, name: str, identities: Mapping[str, AuthorityIdentity]
    ) -> Asked:
        """Return the question that a check of a name answers."""
        asked = (identities.get(each.directory) for each in wanted.authorities[:1])
        told = tuple(each for each in asked if each is not None)
        solver = self.site.solvers.get(wanted.solver or "")
        delegated = tuple(solver.settings.delegated) if solver else ()
        return Asked(wanted.owner, name, wanted.challenge, told, delegated)

    def identities(self, wanted: Iterable[Certificate]) -> dict[str, AuthorityIdentity]:
        """Return by directory what CAA records must name, None of one that does not answer."""
        asked = {each.directory for one in wanted for each in one.authorities[:1]}
        found = {}
        for authority in self.site.authorities:
            if authority.directory in asked:
                with suppress(IssueFailed, OSError):
                    told = assemble.renewal_issuer(self.installation, authority).identity()
                    found[authority.directory] = AuthorityIdentity(
                        authority.directory, told.caa_identities, told.account
                    )
        return found

    @contextmanager
    def beacon(self, wanted: Iterable[Certificate]) -> Iterator[Beacon | None]:
        """Answer a challenge of our own, so that a check shows whether a name leads here."""
        if all(each.challenge != HTTP for each in wanted):
            yield None
            return
        token, answer = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        with ExitStack() as stack:
            solver = stack.enter_context(
                assemble.http01_solver(self.installation, self.site, listen=self.listen)
            )
            name = self.site.main.names[0]
            try:
                solver.present(name, token, answer)
            except IssueFailed:
                yield None  # the order itself will fail, and tell why
                return
            stack.callback(solver.cleanup, name, token)
            yield Beacon(token, answer, self.site.acme.validation_port)


def in_turn(askings: Iterable[Asking]) -> list[Asking]:
    """Return names with those of one owner apart: the first of each, then the second, and so on."""
    count: Counter[str] = Counter()
    turns: list[tuple[int, Asking]] = []
    for wanted, name in askings:
        turns.append((count[wanted.owner], (wanted, name)))
        count[wanted.owner] += 1
    return [asking for _, asking in sorted(turns, key=lambda each: each[0])]


def check_names_now(
    site: Site, installation: Installation, owners: Collection[str], count: Count = tell_nobody
) -> dict[tuple[str, str], Evidence]:
    """Return what a check of the names of these owners finds now; nothing is stored."""
    asked = [
        (wanted, name)
        for wanted in site.certificates
        if wanted.issuer == "acme" and wanted.owner in owners
        for name in wanted.names
    ]
    found: dict[tuple[str, str], Evidence] = {}
    count(NAMES, 0, len(asked))

    def note(asking: Asking, evidence: Evidence) -> None:
        wanted, name = asking
        found[wanted.owner, name] = evidence
        count(NAMES, len(found), len(asked))

    NameChecks(site, installation, is_own_listener(site, installation)).all(asked, note)
    return found


def is_own_listener(site: Site, installation: Installation) -> bool:
    """Return whether proxygen answers challenges itself: no service of the site does."""
    named = wanted_services(site, installation.services)
    services = installation.services
    return not any(listens(services[name], settings) for name, settings in named.items())


def listens(service: Service, settings: ServiceSettings) -> bool:
    """Return whether a service listens for the requests of authorities."""
    return service.challenges is not None and service.challenges(settings) is not None


def names_not_ready(
    site: Site, installation: Installation, owners: Collection[str], since: datetime
) -> tuple[Asking, ...]:
    """Return the names that wait for the DNS: those of *owners*, else those *since* then."""
    known = installation.names.all()
    return tuple(
        (wanted, name)
        for wanted in site.certificates
        for name in wanted.names
        if (each := known.get(wanted.owner, {}).get(name))
        and each.obstacle
        and (wanted.owner in owners or (not owners and each.bad_since and each.bad_since >= since))
    )


def wait_for_names(
    checks: NameChecks, asked: Collection[Asking], seconds: float, say: Say
) -> set[str]:
    """Wait until nothing is wrong with an owner's names; return the owners whose names are right.

    At most for that many *seconds*. The DNS is asked anew each time, ever less often.
    """
    until, pause = time.monotonic() + seconds, FIRST_PAUSE
    waiting = {(wanted.owner, name): (wanted, name) for wanted, name in asked}
    right: set[str] = set()

    def found(asking: Asking, evidence: Evidence) -> None:
        wanted, name = asking
        if evidence.grave is None and not evidence.is_blind:
            say(f"{readable_name(name)} ({readable_name(wanted.owner)}): the DNS leads here now")
            del waiting[wanted.owner, name]
            right.add(wanted.owner)

    def settled() -> set[str]:
        return right - {owner for owner, _ in waiting}

    while waiting and not settled() and (left := until - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE)
        checks.installation.resolvers.clear()
        checks.all(list(waiting.values()), found)
    return settled() or right

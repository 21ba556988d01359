"""Services as others see them: processes, files, and the certificates that clients get."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from proxygen.apply.comparison import had_all_time
from proxygen.apply.looks import PATIENCE, places_wrong
from proxygen.apply.outcome import Outcome, never_stop
from proxygen.apply.probe import UNASKED, Patience, PatientProbe, is_as_wanted
from proxygen.apply.rendering import probed_endpoints
from proxygen.assemble import Installation
from proxygen.daemon import inputs
from proxygen.daemon.fingerprints import Fingerprints
from proxygen.daemon.slow_places import SlowPlaces
from proxygen.host import processes
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.plan.observed import Observed, ServiceState
from proxygen.services import Endpoint

AT_ONCE = 5
"""Handshakes a look, with one look every 15 s: 20 a minute."""
SOCKETS = 240.0
"""Seconds between looks at every socket of the global name, by which alone mail is served."""
MISSED = 60.0
"""Seconds between looks at where a round did not see what is wanted."""
LONGEST_LOOK = 3.0
"""Seconds that a look takes: the loop waits for it, and not for places that answer later."""

Endpoints = tuple[Endpoint, ...]


@dataclass(slots=True)
class Outside:
    """Where clients meet what a round installed, the processes that serve it and their files.

    *endpoints* are those of services for which everything was done; *sockets* those of the global
    name; *missed* those at which the round saw something wrong; *unasked* the services that it did
    not probe everywhere. *suspect* are those at which a client saw something wrong since; if it
    does so twice, that is reported; *slow* ones get their time beside the loop, and are *doubtful*
    after the first time. *files* are the fingerprints of what each service reads.
    """

    layout: Layout
    services: Mapping[str, ServiceState] = field(default_factory=dict)
    pids: dict[str, int | None] = field(default_factory=dict)
    endpoints: Endpoints = ()
    sockets: Endpoints = ()
    missed: Endpoints = ()
    unasked: tuple[str, ...] = ()
    suspect: Endpoints = ()
    slow: SlowPlaces = field(default_factory=SlowPlaces)
    doubtful: set[Endpoint] = field(default_factory=set)
    position: int = 0
    sockets_at: float = 0.0
    missed_at: float = 0.0
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    known: Fingerprints = field(default_factory=Fingerprints)

    def after(self, site: Site, installation: Installation, outcome: Outcome) -> None:
        """Take over what a round left; its own changes are not those of others."""
        observed = outcome.observed
        if observed is None:
            return
        failed = {of for of, _ in outcome.failures}
        self.services = observed.services
        self.pids = {name: state.pid for name, state in observed.services.items()}
        every = probed_endpoints(site, installation, observed)
        self.endpoints = tuple(each for each in every if each.service not in failed)
        self.missed = tuple(each for each in every if is_missed(each, observed))
        self.unasked = tuple(
            name
            for name, state in observed.services.items()
            if state.installed.unasked and state.pid is not None and name not in failed
        )
        main = ("", site.main.host)
        self.sockets = tuple(each for each in self.endpoints if each.server_name in main)
        self.suspect, self.slow, self.doubtful = (), SlowPlaces(), set()
        if outcome.done or outcome.failures:
            self.files = {}
        present = self.read()
        self.files = {name: self.files.get(name, present[name]) for name in present}

    # Files.

    def changed(self) -> list[str]:
        """Return the services of which somebody else changed a file since the last call."""
        former, self.files = self.files, self.read()
        return [name for name, present in self.files.items() if former.get(name) != present]

    def read(self) -> dict[str, dict[str, str]]:
        """Return the fingerprints of what each service reads."""
        usable = [state for state in self.services.values() if state.facts]
        paths = {state.name: inputs.read_by(self.layout, state) for state in usable}
        found = self.known.of(path for each in paths.values() for path in each)
        links = {name: inputs.linked_by(self.layout, name) for name in paths}
        return {name: links[name] | {path: found[path] for path in paths[name]} for name in paths}

    # Processes.

    def restarted(self) -> Mapping[str, tuple[int | None, int | None]]:
        """Return the services with another master process, with the former one and the new one."""
        found = {}
        for name, state in self.services.items():
            facts = state.facts
            pid = processes.master(facts.pid_file, facts.program) if facts else None
            if facts and pid != self.pids[name]:
                found[name] = self.pids[name], pid
                self.pids[name] = pid
                self.sockets_at = 0.0
        return found

    # Clients.

    def sample(self, now: float) -> Collection[str]:
        """Probe a few endpoints; return the services that serve something else.

        What is wrong once may be a reload: it is probed again the next time.
        """
        late = self.late()
        if self.suspect:
            wrong, self.suspect = self.wrong(self.suspect), ()
            return {each.service for each in wrong} | late
        self.suspect = self.wrong(self.next(now))
        return late

    def late(self) -> set[str]:
        """Return the services of which a slow place was wrong twice, given all its time.

        The answers of places that were missed are for who looks whether these are right again.
        """
        if not self.slow.seen:
            return set()
        came = self.slow.take(set(self.endpoints).difference(self.missed))
        wrong = {each for each, what in came.items() if not is_as_wanted(each, what)}
        twice = wrong & self.doubtful
        self.doubtful = (self.doubtful - came.keys()) | (wrong - twice)
        self.slow.ask(wrong - twice)
        return {each.service for each in twice if self.pids.get(each.service) is not None}

    def mended(self, now: float) -> Collection[str]:
        """Probe the places that were wrong; return the services that have none left.

        These may serve what is wanted: the next round probes all of it. Places for which there was
        no time come first the next time.
        """
        if now < self.missed_at or not self.missed:
            return ()
        self.missed_at = now + MISSED
        asked = [each for each in self.missed if self.pids.get(each.service) is not None]
        patience = Patience(LONGEST_LOOK, LONGEST_LOOK, never_stop, timeout=PATIENCE)
        seen = PatientProbe(patience, is_as_wanted).once(asked)
        left = tuple(each for each, what in seen.items() if what is UNASKED)
        seen |= self.slow.take(asked)
        self.slow.ask(each for each, what in seen.items() if had_all_time(what))
        wrong = tuple(each for each, what in seen.items() if not is_as_wanted(each, what))
        self.missed = tuple(dict.fromkeys((*left, *wrong)))
        return {each.service for each in asked} - {each.service for each in self.missed}

    def next(self, now: float) -> Iterable[Endpoint]:
        """Return the next few endpoints, all of them in turn, or now and then all sockets."""
        if now >= self.sockets_at:
            self.sockets_at = now + SOCKETS
            return self.sockets
        if self.position >= len(self.endpoints):
            self.position = 0
        first, self.position = self.position, self.position + AT_ONCE
        return self.endpoints[first : self.position]

    def wrong(self, endpoints: Iterable[Endpoint]) -> Endpoints:
        """Return where clients of running services do not see what is wanted."""
        asked = [each for each in endpoints if self.pids.get(each.service) is not None]
        if not asked:
            return ()
        wrong = places_wrong(asked, AT_ONCE)
        late = [each for each, what in wrong.items() if had_all_time(what)]
        self.slow.ask(late)
        return tuple(each for each in wrong if each not in late)


def is_missed(endpoint: Endpoint, observed: Observed) -> bool:
    """Return whether clients of a running service were seen to get something wrong there.

    Or whether it was not probed, at a service that shows something wrong at other places.
    """
    state = observed.services[endpoint.service]
    names, unasked = state.installed.wrong_names, state.installed.unasked
    known = not names or endpoint.server_name in names or endpoint.server_name in unasked
    return state.installed.unserved and known and state.pid is not None

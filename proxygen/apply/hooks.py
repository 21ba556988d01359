"""Hooks: the administrator's programs, run before an order, after a change, after a failure.

In the host's own part of the store, ``hooks/deployed/OWNER`` holds the fingerprint that deploy
hooks were told of last, ``hooks/since`` those that served when the first hook was found, and
``hooks/runs/OWNER`` the results of the last runs.
"""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from proxygen.apply import lineages
from proxygen.apply.outcome import never_stop, tell_nobody
from proxygen.apply.probe import Patience, probe_endpoints
from proxygen.assemble import Installation
from proxygen.credentials import concealed_words
from proxygen.errors import Coded, IssueFailed, ProxygenError, ServiceError, coded_words
from proxygen.failure import Failure, Scope, failure
from proxygen.failure import failure_words as in_words
from proxygen.hooks import environments
from proxygen.host import processes
from proxygen.host.executables import Executables, executable_target, find_executables
from proxygen.languages.lines import terminal_text
from proxygen.model.certificate import Bundle, Certificate, holder_of
from proxygen.model.layout import file_stem
from proxygen.model.site import Site
from proxygen.plan import hooks as told
from proxygen.plan.observed import Observed
from proxygen.services import Answer, Command, Endpoint
from proxygen.stores import Store
from proxygen.stores.change import change_value, read_value
from proxygen.stores.codec import Codec

TIME_LIMIT = 60.0
"""Seconds for one hook."""
ROUND_LIMIT = 300.0
"""Seconds for all hooks of a round; deploy hooks that are left run in the next one."""
KEPT_OUTPUT = 4_000
KEPT_RUNS = 10
SAMPLE = 200
"""At how many places it is looked whether a certificate is served."""
LOOKS, MOST_LOOKS = 3.0, 60.0
"""Seconds without a right answer, and in all, after which it was not seen at all of them."""
SINCE = "hooks/since"
HOOK_RAN = "hook-ran"
"""The code of what is said of each run."""


@dataclass(frozen=True, slots=True)
class Ran:
    """The result of one run of a hook; *failure* is None if all was well, *words* is its output."""

    hook: str
    event: str
    at: datetime
    seconds: float
    failure: Failure | None
    words: str

    def __str__(self) -> str:
        how = self.failure.what if self.failure else "ok"
        return f"hook {self.event}.d/{self.hook}: {how} ({self.seconds:.1f} s)"

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        why = self.failure
        told = {"problem": why.what if why else "", "failure": why.as_json() if why else None}
        return asdict(self) | {"at": self.at.isoformat()} | told


RUNS, TOLD = Codec[tuple[Ran, ...]](tuple[Ran, ...]), Codec[dict[str, str]](dict[str, str])


@dataclass(slots=True)
class Hooks:
    """Runs the hooks of one round; *say* is called with each run, *stop* tells whether to end them.

    Failures become *warnings*: no hook harms a certificate, or another hook. One that cannot be
    started or hangs is not run again in this round.
    """

    installation: Installation
    say: Callable[[str], None] = tell_nobody
    stop: Callable[[], bool] = never_stop
    time_limit: float = TIME_LIMIT
    round_limit: float = ROUND_LIMIT
    warnings: list[str] = field(default_factory=list)
    given_up: set[Path] = field(default_factory=set)
    folders: dict[str, Executables] = field(default_factory=dict)
    one_at_a_time: threading.Lock = field(default_factory=threading.Lock)
    spent: float = 0.0

    def programs(self, event: str) -> tuple[Path, ...]:
        """Return the hooks for an event, found once a round."""
        if event not in self.folders:
            self.folders[event] = find_executables(self.installation.layout.hooks / f"{event}.d")
            new = (each for each in self.folders[event].warnings if each not in self.warnings)
            self.warnings += coded_words("hooks-refused", new)
        return self.folders[event].programs

    def begin(self) -> None:
        """Begin a round; call it before anything is obtained.

        When the first deploy hook is found, what serves already was not obtained just now: hooks
        are told of later certificates only.
        """
        for event in ("before", "deploy", "failed"):
            self.programs(event)
        store = self.installation.own
        if self.programs("deploy") and not store.has(SINCE):
            with self.as_warning():
                bundles = self.installation.bundles.all()
                served = {owner: each.fingerprint for owner, each in bundles.items()}
                store.put(SINCE, TOLD.written(served))

    def before(self, wanted: Certificate) -> None:
        """Run the `before` hooks of an order, which is placed whatever they answer.

        As with certbot: a certificate that ends is worse than a hook that failed.
        """
        if not self.programs("before"):
            return
        with self.one_at_a_time, contextlib.suppress(processes.ToldToStop):
            if not self.exhausted("the before hooks of the other certificates do not run"):
                self.run(
                    "before",
                    wanted.owner,
                    environments.common_variables("before", wanted),
                    tell_nobody,
                )

    def deployed_all(
        self,
        site: Site,
        observed: Observed,
        endpoints: Callable[[], Iterable[Endpoint]],
    ) -> None:
        """Run the `deploy` hooks after a deployment, for what serves since.

        *endpoints* returns where clients meet the certificates.
        """
        with self.as_warning(), contextlib.suppress(processes.ToldToStop):
            self.deploy(site, observed.bundles, endpoints)
            self.tidy(site)

    def failed_all(
        self, site: Site, observed: Observed, failures: Iterable[tuple[str, ProxygenError]]
    ) -> None:
        """Run the `failed` hooks for certificates that could not be obtained."""
        with self.as_warning(), contextlib.suppress(processes.ToldToStop):
            self.failed(site, observed, failures)

    @contextlib.contextmanager
    def as_warning(self) -> Iterator[None]:
        """Turn what the system refuses within a block into a warning."""
        try:
            yield
        except OSError as error:
            words = f"hooks: {error}; make room or correct the permissions"
            self.warnings.append(Coded(words, "hooks"))

    def failed(
        self,
        site: Site,
        observed: Observed,
        failures: Iterable[tuple[str, ProxygenError]],
    ) -> None:
        """Tell hooks of each certificate that could not be obtained."""
        if not self.programs("failed"):
            return
        wanted = {each.owner: each for each in site.certificates}
        for of, error in failures:
            if of not in wanted or not isinstance(error, IssueFailed):
                continue
            last_failure = observed.failures.get(of)
            if wanted[of].issuer != "acme" and last_failure and last_failure.count > 1:
                continue  # files are read by every run; the first failure was told
            if self.exhausted("the failed hooks of the other certificates do not run"):
                return
            facts = environments.of_failed(
                wanted[of], observed.bundles.get(of), error, last_failure
            )
            self.run("failed", of, facts, self.say)

    def deploy(
        self,
        site: Site,
        bundles: Mapping[str, Bundle],
        endpoints: Callable[[], Iterable[Endpoint]],
    ) -> None:
        """Tell hooks of each certificate that serves and that they were not told of yet."""
        if not self.programs("deploy"):
            return
        due = list(told.pending_hooks(site, bundles, self.deployed(site)))
        patience = Patience(LOOKS, MOST_LOOKS, self.stop)
        unseen = not_seen([each for _, each in due], endpoints, patience) if due else frozenset()
        for wanted, bundle in due:
            if bundle.fingerprint in unseen:
                words = (
                    f"the deploy hooks of {wanted.owner} are postponed until its"
                    " certificate is served"
                )
                self.warnings.append(Coded(words, "hooks-wait", wanted.owner))
            elif self.exhausted("the next round runs the deploy hooks of the other certificates"):
                return
            else:
                self.deploy_one(wanted, bundle)

    def deploy_one(self, wanted: Certificate, bundle: Bundle) -> None:
        """Run the deploy hooks of a certificate, then note it.

        If the run is killed in between, they run again: at least once. A hook that failed is not
        repeated, as with certbot; `proxygen status` shows it.
        """
        layout, host = self.installation.layout, lineage_name(wanted)
        pair = self.installation.bundles.material(bundle)
        if pair is None:
            return  # the next round obtains it anew
        lineage = lineages.place_lineage(layout, host, bundle, pair)
        self.run(
            "deploy", wanted.owner, environments.of_deployed(wanted, bundle, lineage), self.say
        )
        self.installation.own.put(note_key(wanted.owner), bundle.fingerprint.encode())
        lineages.forget_former(layout, host)

    def deployed(self, site: Site) -> dict[str, str]:
        """Return the fingerprints that deploy hooks were told of, by owner."""
        noted = told_since(self.installation.own)
        for wanted in site.certificates:
            if value := self.installation.own.get(note_key(wanted.owner)):
                noted[wanted.owner] = value.decode("ascii", "replace")
        return noted

    def run(
        self,
        event: str,
        owner: str,
        environment: Mapping[str, str],
        say: Callable[[str], None],
    ) -> None:
        """Run every hook for an event, and store the results."""
        ran = []
        for program in self.programs(event):
            if program not in self.given_up:
                ran.append(self.one(program, event, environment))
                self.spent += ran[-1].seconds
                say(Coded(f"{ran[-1]} for {owner}", HOOK_RAN, owner))
                if ran[-1].failure:
                    self.warnings.append(Coded(hook_warning(ran[-1], owner), "hook-failed", owner))
        if ran:
            with self.as_warning():
                keep_runs(self.installation.own, owner, ran)

    def one(self, program: Path, event: str, environment: Mapping[str, str]) -> Ran:
        """Run one hook until it ends, or its time is over."""
        at, begun = self.installation.now(), time.monotonic()
        try:
            answer = self.answer(program, environment)
            why, words = failed_exit(answer.code), answer.out
        except ServiceError as error:
            self.given_up.add(program)
            words = in_words(error.failure).words
            why = replace(error.failure, words="") if words else error.failure
        seconds = round(time.monotonic() - begun, 3)
        return Ran(
            program.name,
            event,
            at,
            seconds,
            why,
            terminal_text(concealed_words(words))[-KEPT_OUTPUT:],
        )

    def answer(self, program: Path, environment: Mapping[str, str]) -> Answer:
        """Return the output of a hook.

        One without a first line ``#!`` is a script, as in execvp(3).
        """
        path = str(executable_target(program))
        try:
            return self.finished(Command((path,)), environment)
        except ServiceError as error:
            cause = error.__cause__
            if not isinstance(cause, OSError) or cause.errno != errno.ENOEXEC:
                raise
        return self.finished(Command(("/bin/sh", path)), environment)

    def finished(self, command: Command, environment: Mapping[str, str]) -> Answer:
        """Return what a command said to its end."""
        limits = {"timeout": self.time_limit, "largest": 4 * KEPT_OUTPUT}
        return processes.finish(command, environment, stop=self.stop, **limits)  # type: ignore[arg-type]

    def exhausted(self, consequence: str) -> bool:
        """Return whether hooks took too long already; a warning tells the consequence."""
        if self.spent < self.round_limit:
            return False
        told = f"hooks took more than {self.round_limit:.0f} s: {consequence}"
        words = Coded(told, "hooks-wait")
        self.warnings += [words] * (words not in self.warnings)
        return True

    def tidy(self, site: Site) -> None:
        """Remove lineages and notes that are no longer needed: without hooks, or not wanted."""
        hosts = (
            {lineage_name(each) for each in site.certificates} if self.programs("deploy") else ()
        )
        lineages.tidy_lineages(self.installation.layout, hosts)
        if self.spent:
            wanted = {file_stem(each.owner) for each in site.certificates}
            store = self.installation.own
            for key in [*store.keys("hooks/deployed"), *store.keys("hooks/runs")]:
                if key.rpartition("/")[2] not in wanted:
                    store.delete(key)


def lineage_name(wanted: Certificate) -> str:
    """Return the name of a certificate's folder: its URL's, with ``_rsa`` beside another one."""
    return f"{wanted.names[0]}{wanted.owner.removeprefix(holder_of(wanted.owner))}"


def not_seen(
    bundles: Iterable[Bundle],
    endpoints: Callable[[], Iterable[Endpoint]],
    patience: Patience,
) -> frozenset[str]:
    """Return the fingerprints that no client got wherever it should.

    A hook tells others that a certificate serves: it waits if nobody could probe that.
    """
    places: dict[str, list[Endpoint]] = {each.fingerprint: [] for each in bundles}
    for endpoint in endpoints():
        for bundle in endpoint.bundles:
            if bundle.fingerprint in places:
                places[bundle.fingerprint].append(endpoint)
    looked = [each for some in places.values() for each in some[:SAMPLE]]
    found = probe_endpoints(looked, patience)
    bad = (*(endpoint for endpoint, _ in found.wrong), *found.unasked)
    return frozenset(bundle.fingerprint for endpoint in bad for bundle in endpoint.bundles)


def failed_exit(code: int) -> Failure | None:
    """Return how a program ended that did not end well, None otherwise."""
    if code == 0:
        return None
    if code > 0:
        return failure("hook-ended", Scope.HOST, status=code)
    return failure("hook-killed", Scope.HOST, signal=-code)


def hook_warning(ran: Ran, owner: str) -> str:
    """Return the warning about a hook that failed, with the end of what it said."""
    said = [line for line in ran.words.splitlines() if line.strip()][-1:]
    return f"{ran} for {owner}" + "".join(f": {line[:300]}" for line in said)


def note_key(owner: str) -> str:
    return f"hooks/deployed/{file_stem(owner)}"


def runs_key(owner: str) -> str:
    return f"hooks/runs/{file_stem(owner)}"


def told_since(store: Store) -> dict[str, str]:
    """Return what served already when the first deploy hook was found."""
    return TOLD.read(store.get(SINCE)) or {}


def last_runs(store: Store, owner: str) -> tuple[Ran, ...]:
    """Return the results of the last runs of hooks for an owner, the latest last."""
    return RUNS.read(read_value(store, runs_key(owner))) or ()


def keep_runs(store: Store, owner: str, ran: Collection[Ran]) -> None:
    """Store the results of hooks, with those of the last runs before."""

    def with_those(stored: bytes | None) -> bytes:
        return RUNS.written((*(RUNS.read(stored) or ()), *ran)[-KEPT_RUNS:])

    change_value(store, runs_key(owner), with_those)

"""Finds out which parts of a configuration a service refuses, and leaves them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from proxygen.apply.change import as_service_error
from proxygen.apply.culprits import Culprits, note_refused, original_words, place_in
from proxygen.apply.outcome import Outcome, Progress
from proxygen.apply.rendering import service_rendering
from proxygen.apply.service import LiveService
from proxygen.assemble import Installation
from proxygen.errors import CheckFailed, ProxygenError, ServiceError
from proxygen.host.ports import is_free
from proxygen.model.certificate import GLOBAL
from proxygen.model.site import Site
from proxygen.model.views import VIEWS
from proxygen.plan.culprits import facts_without, is_new, parts_of, suspected_parts
from proxygen.plan.left_out import LeftOut
from proxygen.plan.observed import Observed, ServiceState
from proxygen.plan.rendering import Rendering, overrides_in
from proxygen.services import Facts, additions_of

MOST_ASKED = 3
"""How often it is found out in one run what one service refuses."""


@dataclass(slots=True)
class RefusedParts:
    """Finds out which parts of a configuration a service refuses, so that the rest is served.

    Every run asks again for what it refused before, as it may accept it by now. Not for what it
    refused at a reload, which a check does not tell, while nothing has changed since.
    """

    site: Site
    installation: Installation
    progress: Progress
    began: bool = False
    asked: Counter[str] = field(default_factory=Counter)
    suspected: dict[str, tuple[LeftOut, ...]] = field(default_factory=dict)

    def again(self, observed: Observed) -> bool:
        """Ask again at the beginning of a run; return whether anything is other than noted."""
        if self.began:
            return False
        self.began = True
        services = observed.services.items()
        known = [
            name for name, state in services if set(state.left_out) - set(still_refused(state))
        ]
        return bool([name for name in known if self.ask(name, observed)])

    def after(self, observed: Observed, outcome: Outcome) -> bool:
        """Find out what was refused; return whether there is a configuration without it."""
        refused = [of for of, error in outcome.failures if isinstance(error, CheckFailed)]
        found = [name for name in refused if name in observed.services]
        known = [name for name in found if self.ask(name, observed)]
        others = [(of, error) for of, error in outcome.failures if of not in refused]
        failed = [each for each in others if isinstance(each[1], ServiceError)]
        known += [of for of, error in failed if self.suspect(of, error, observed)]
        for name in known:
            outcome.settle(name)
        return bool(known)

    def suspect(self, name: str, error: ProxygenError, observed: Observed) -> bool:
        """Leave out new directives if a service passed the check, but did not reload.

        One of them may listen where another program does: first those that could be meant, then
        all. If the reload fails without them as well, they are not to blame. Return whether to try
        once more.
        """
        state = observed.services.get(name)
        if state is None or state.facts is None:
            return False
        first = self.suspected.setdefault(name, state.left_out)
        with told_if_failed(name, self.progress):
            service = LiveService(state, self.installation)
            found = parts_of(self.site, observed.bundles, state.facts, name)
            new = [each for each in found if is_new(each, state.installed)]
            words, why = error.words, None if error.words else error.failure
            additions = additions_of(state.facts)
            those = suspected_parts(new, words, additions) or new
            said = original_words(words, service, additions)
            told = (LeftOut(each, said, place_in(said), state.pid or -1, why) for each in those)
            if not note_refused(service, (*state.left_out, *told) if those else first):
                return False
            return bool(those)
        return False

    def ask(self, name: str, observed: Observed) -> bool:
        """Ask one service; return whether anything is other than noted.

        What it would refuse at a reload again stays left out.
        """
        state, module = observed.services[name], self.installation.services[name]
        kept, facts = still_refused(state), state.whole or state.facts
        if facts is None or GLOBAL not in observed.bundles:
            return False
        self.asked[name] += 1
        if self.asked[name] > MOST_ASKED:
            return False
        self.progress.say(f"find out which parts {name} refuses")
        view = VIEWS[module.role](self.site, observed.bundles)
        render = partial(service_rendering, name, self.installation, view, state.settings)
        alive = partial(self.progress.say, f"check {name}")
        with told_if_failed(name, self.progress):
            service = LiveService(state, self.installation)
            facts = facts_without(facts, [each.part for each in kept], self.site, state.installed)
            facts = renderable_facts(facts, render, state)
            culprits = Culprits(service, self.site, self.installation.bundles, facts, render, alive)
            found = culprits.found()
            if found is None:
                return False
            return note_refused(service, (*kept, *found)) or bool(culprits.damaged)
        return False


@contextmanager
def told_if_failed(name: str, progress: Progress) -> Iterator[None]:
    """Report if a service cannot be asked, or if what it refuses cannot be noted."""
    try:
        with as_service_error(name):
            yield
    except ServiceError as error:
        progress.say(f"it could not be found out which parts {name} refuses: {error.what}")


def still_refused(state: ServiceState) -> list[LeftOut]:
    """Return what a service refused at a reload, and would refuse again.

    That is while another program listens where it could not, or otherwise until it is started anew.
    A name that had no address may have one at any time.
    """
    refused = [each for each in state.left_out if each.at_reload and not each.is_of_a_name]
    same = [each for each in refused if not each.taken and state.pid in (each.at_reload, None)]
    return [*same, *(each for each in refused if each.taken and not all(map(is_free, each.taken)))]


def renderable_facts(
    facts: Facts, render: Callable[[Facts], Rendering], state: ServiceState
) -> Facts:
    """Return facts with which a configuration can be rendered, if need be with former templates."""
    former = overrides_in(state.installed.manifest)
    if former is None or former == facts.overrides:
        return facts
    try:
        render(facts)
    except ServiceError:
        return replace(facts, overrides=former)
    return facts

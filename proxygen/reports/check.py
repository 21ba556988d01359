"""check: how it is in one word, what is wrong, and figures, for a monitoring system."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from proxygen import assemble
from proxygen.assemble import Installation
from proxygen.errors import ModelError, ProxygenError
from proxygen.host import files
from proxygen.languages.counts import counted_words
from proxygen.languages.lines import terminal_text
from proxygen.model.hosts import readable_name
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.names.states import State
from proxygen.observe.site import observe
from proxygen.plan.compare import due_issues
from proxygen.plan.failures import of_owner
from proxygen.plan.observed import Observed
from proxygen.plan.unserved import is_serving, not_verified
from proxygen.reports.health import (
    ExpiryThresholds,
    HealthFinding,
    Level,
    critical_from,
    first_to_end,
    health_findings,
    warning_from,
)
from proxygen.reports.status import daemon_runs, scheduled_of
from proxygen.stores import applied_model
from proxygen.stores.outbox import Outbox, mails_wait
from proxygen.systemd.units import DAEMON, MARK
from proxygen.texts.names import names_with_failure

LONGEST_LINE = 300
LONGEST_DETAIL = 500
MOST_DETAILS = 20
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Result:
    """How it is, in one word, with what is wrong and the figures by name.

    *not_verified*: the places that the model leaves out of verification, with their service.
    """

    level: Level
    found: tuple[HealthFinding, ...]
    figures: dict[str, str]
    well: str = ""
    not_verified: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """What stands before the figures; bounded, and without what parts the two."""
        words = self.found[0].words if self.found else self.well
        more = f" (and {len(self.found) - 1} more)" if len(self.found) > 1 else ""
        return f"PROXYGEN {self.level.name} - {plain_line(words, LONGEST_LINE)}{more}"

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` prints it."""
        return {
            "state": self.level.name,
            "exit_code": int(self.level),
            "line": self.line,
            "findings": [
                {"state": each.level.name, "code": each.code, "words": each.words}
                for each in self.found
            ],
            "not_verified": list(self.not_verified),
            "figures": {name: float(each.split(";")[0]) for name, each in self.figures.items()},
        }

    def __str__(self) -> str:
        figures = " ".join(f"{name}={value}" for name, value in self.figures.items())
        lines = [f"{self.line} | {figures}" if figures else self.line]
        shown = self.found[:MOST_DETAILS] if len(self.found) > 1 else ()
        lines += [f"{each.level.name}: {plain_line(each.words, LONGEST_DETAIL)}" for each in shown]
        if len(self.found) > MOST_DETAILS:
            lines.append(f"and {len(self.found) - MOST_DETAILS} more")
        if self.not_verified:
            words = f"not verified, as the model says: {', '.join(self.not_verified)}"
            lines.append(plain_line(words, LONGEST_DETAIL))
        return "\n".join(lines)


def plain_line(words: str, longest: int) -> str:
    """Return words as one bounded line without a bar, after which figures stand."""
    line = terminal_text(" ".join(words.split())).replace("|", "/")
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def check_result(layout: Layout, limits: ExpiryThresholds, now: datetime) -> Result:
    """Return how it is; what keeps us from knowing is UNKNOWN, and never a traceback."""
    if words := contradiction_in(limits):
        return Result(Level.UNKNOWN, (HealthFinding(Level.UNKNOWN, "usage", words),), {})
    try:
        site = assemble.read_site(layout)
        installation = assemble.build_installation(layout, lambda: now)
        return judge_site(site, installation, limits)
    except ModelError as error:
        first = error.mistakes[0]
        goes_on = daemon_runs(layout) and applied_model.is_kept(assemble.shared_store(layout))
        consequence = "the daemon goes on with the last right one" if goes_on else "nothing is done"
        count = "1 mistake" if len(error.mistakes) == 1 else f"{len(error.mistakes)} mistakes"
        words = f"the model has {count}, {consequence}: {first.where}: {first.reason}"
        return Result(Level.CRITICAL, (HealthFinding(Level.CRITICAL, "model", words),), {})
    except ProxygenError as error:
        code, words = error.code, f"{error.what}; {error.remedy}" if error.remedy else error.what
    except PermissionError as error:
        code, words = "permission", f"{error.filename}: {error.strerror}; run it as root"
    except Exception as error:  # noqa: BLE001 - whatever it is, the monitoring reads one line
        code, words = "bug", f"the state cannot be read: {error!r}"
    return Result(Level.UNKNOWN, (HealthFinding(Level.UNKNOWN, code, words),), {})


def contradiction_in(limits: ExpiryThresholds) -> str:
    """Return what makes no sense about limits, empty where they do."""
    warning, critical = limits.warning, limits.critical
    if warning is None or critical is None or critical <= warning:
        return ""
    return (
        f"--critical {critical / DAY:g} is longer before the end than --warning "
        f"{warning / DAY:g}; it must not be"
    )


def judge_site(site: Site, installation: Installation, limits: ExpiryThresholds) -> Result:
    """Return how it is, from what is stored and what runs."""
    now, observed = installation.now(), observe(site, installation)
    found = (
        *store_takes_nothing(installation.layout.store),
        *no_daemon(installation.layout),
        *as_it_was(site),
        *health_findings(site, observed, now, limits),
        *waiting_mails(installation),
    )
    level = max((each.level for each in found), default=Level.OK)
    figures = measure_site(site, observed, installation, limits)
    count = len(list(site.certificates))
    first = first_to_end(site, observed)
    well = f"{count} {'certificate' if count == 1 else 'certificates'}"
    if first:
        well += (
            f", the first expires in {(first.not_after - now).days} days "
            f"({readable_name(first.owner)})"
        )
    left_out = tuple(
        f"{name} {place}"
        for name, state in observed.services.items()
        for place in not_verified(state)
    )
    if left_out:
        well += f"; {counted_words(len(left_out), 'listener')} not verified"
    return Result(level, found, figures, well, left_out)


def measure_site(
    site: Site, observed: Observed, installation: Installation, limits: ExpiryThresholds
) -> dict[str, str]:
    """Return the figures by name, as ``value;warning;critical;minimum;maximum``."""
    now = installation.now()
    wanted = {each.owner for each in site.certificates}
    due, unprovable = due_issues(site, observed, now)
    scheduled = scheduled_of(due, unprovable, site, installation, observed)
    states = Counter(each.state for each in names_with_failure(site, observed, now))
    counts = {
        "certificates": len(wanted),
        "due": len(due) + len(unprovable),
        "failing": sum(of_owner(each, observed, now) is not None for each in site.certificates),
        "postponed": len(scheduled.waiting),
        "names_waiting": states[State.WAITING],
        "names_failed": states[State.FAILED],
        "unserved": sum(not is_serving(each) for each in observed.services.values()),
    }
    figures = {name: f"{count};;;0" for name, count in counts.items()}
    if first := first_to_end(site, observed):
        ends = first.not_after
        moments = (
            ends - now,
            ends - warning_from(first, limits),
            ends - critical_from(first, limits),
        )
        # Rounded down, as the words are: 4.99 days are not 5.
        left, warned, critical = (f"{moment // (DAY / 100) / 100:.2f}" for moment in moments)
        # Fewer days than so many are bad: a range without its lower end (guidelines, 2.5).
        figures["days_left"] = f"{left};{warned}:;{critical}:"
    return figures


def no_daemon(layout: Layout) -> tuple[HealthFinding, ...]:
    """Tell when the daemon is set up, but does not run."""
    unit = files.text(layout.host("/etc/systemd/system") / DAEMON[0]) or ""
    if not unit.startswith(MARK):
        return ()
    if daemon_runs(layout):
        return ()
    return (
        HealthFinding(Level.CRITICAL, "no-daemon", "the daemon (proxygen.service) does not run"),
    )


def as_it_was(site: Site) -> Iterator[HealthFinding]:
    """Tell of removals that wait for a person, and of included files that are set aside."""
    for removal in site.held_back:
        yield HealthFinding(Level.WARNING, "held-back", str(removal))
    for file in site.set_aside:
        yield HealthFinding(Level.WARNING, "set-aside", f"{file.words}: {file.mistakes[0]}")


def waiting_mails(installation: Installation) -> tuple[HealthFinding, ...]:
    """Tell when letters wait for a mail server."""
    if count := len(Outbox(installation.store).waiting()):
        return (HealthFinding(Level.WARNING, "mail", f"{mails_wait(count)} for the mail server"),)
    return ()


def store_takes_nothing(store: Path) -> tuple[HealthFinding, ...]:
    """Tell when nothing can be stored, so that nothing is renewed."""
    folder = next(each for each in (store, *store.parents) if each.is_dir())
    why = why_disk_refuses(os.statvfs(folder))
    words = f"nothing can be stored in {store}: {why}"
    return (HealthFinding(Level.CRITICAL, "not-stored", words),) if why else ()


def why_disk_refuses(found: os.statvfs_result) -> str:
    """Return why a file system takes nothing, empty where it does.

    One without any blocks or inodes does not count them: statvfs(3).
    """
    if found.f_flag & os.ST_RDONLY:
        return "its file system is read-only"
    if found.f_blocks and not found.f_bavail:
        return "its file system is full"
    if found.f_files and not found.f_favail:
        return "its file system has no inode left"
    return ""

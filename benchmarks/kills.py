"""Proxygen killed at random moments: every state starts cold, and one plain run converges.

    .venv/bin/python -m benchmarks.kills [KILLS [FIRST]]
    .venv/bin/python -m benchmarks.kills --case NUMBER

Each case is drawn by its number, which is printed, and can be repeated alone. The real nginx,
postfix and dovecot run on loopback ports, the authority is `tests/live/small_authority.py`. Of what
is killed there are four kinds:

- both: `apply` of a model that wants orders and a deployment;
- daemon: `watch` while a domain joins, another is renewed, and mail is set up anew;
- deploy: `apply` of a model that wants a deployment alone;
- obtain: `apply` while it obtains, and another `apply` deploys meanwhile, which may be killed, too.

It is killed at one of its effects (a write, a lock, a connection, a program) or some time after.
Then every service's configuration must start as it is (in some cases all are started anew), a
plain `apply` must serve everything, the next must write nothing and reload nothing; nothing that
the killed run was writing is left; and what was ordered is not ordered again. An order whose answer
was under way is known to nobody: it is counted apart. An answer to a challenge may stay for a day,
as other clients answer in that folder, too.
"""

from __future__ import annotations

import random
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from proxygen import assemble
from proxygen.model.layout import Layout
from proxygen.plan.quota import QuotaKind
from tests.live import client
from tests.live.machine import Machine, temporary_root
from tests.live.needs import path_of
from tests.live.processes import environment, until
from tests.live.small_authority import SmallAuthority

KINDS = ("both", "daemon", "deploy", "obtain")
MOST = {"both": 400, "daemon": 350, "deploy": 320, "obtain": 250}
"""About how many effects a run of each kind has."""
IN_ONE = 12
"""Cases after which a machine is set up anew."""
PATIENCE = 240.0
MAIL = "mail.example.net"
LOCKS = ("lock", "obtaining", "telling")


def main() -> None:
    """Kill, judge, print."""
    if sys.argv[1:2] == ["--case"]:
        several([int(sys.argv[2])])
        return
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    several(range(first, first + kills))


def several(numbers: range | list[int]) -> None:
    """Do these cases, some in one machine after the other; end with 1 if anything is wrong."""
    left, tally = list(numbers), Tally()
    while left:
        with rig() as one:
            for _ in range(min(IN_ONE, len(left))):
                if not done(one, left.pop(0), tally):
                    break
    print(tally)
    sys.exit(1 if tally.wrong else 0)


@dataclass
class Tally:
    """What came of all."""

    killed: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    lost: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return it in words."""
        kinds = ", ".join(f"{kind} {self.killed[kind]}" for kind in KINDS)
        words = [
            f"{self.killed.total()} killed ({kinds}), {self.ended} ended before",
            f"orders whose answer was under way: {self.lost}",
            f"wrong: {len(self.wrong)}",
        ]
        return "\n".join([*words, *self.wrong])


def done(one: Rig, number: int, tally: Tally) -> bool:
    """Do a case; return whether all was as it must be."""
    case = Case.drawn(number)
    begun = time.monotonic()
    try:
        killed = one.kill(case)
        one.judge(case)
    except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
        kept = Path(tempfile.mkdtemp(prefix=f"kill-{number}-"))
        for part in ("etc", "var/lib/proxygen"):
            shutil.copytree(one.machine.root / part, kept / part, symlinks=True)
        for log in one.machine.root.glob("*.log"):
            shutil.copy(log, kept)
        tally.wrong.append(f"{case}: {error}\n  {kept}")
        print(f"{case}: WRONG: {error}\n  {kept}", flush=True)
        return False
    if killed:
        tally.killed[case.kind] += 1
    else:
        tally.ended += 1
    tally.lost += one.lost
    how = "killed" if killed else "ended before"
    lost = ", an answer was under way" if one.lost else ""
    print(f"{case}: {how}, right{lost} ({time.monotonic() - begun:.1f} s)", flush=True)
    return True


@dataclass(frozen=True)
class Case:
    """What is killed, and when; all of it drawn by its *number*.

    *share*: of how many effects, as a part of MOST; *delay*: how long it lives from there on.
    *cold*: services are started anew. *mail*: the global certificate changes. *renewed*: one that
    was obtained before is to be. *together*: the other process is killed, too.
    """

    number: int
    kind: str
    effect: int
    delay: float
    cold: bool
    mail: bool
    renewed: bool
    together: bool

    @classmethod
    def drawn(cls, number: int) -> Case:
        """Draw a case."""
        chance = random.Random(number)
        kind = KINDS[number % len(KINDS)]
        return cls(
            number,
            kind,
            effect=chance.randint(1, MOST[kind]),
            delay=chance.choice((0.0, chance.uniform(0, 0.02), chance.uniform(0, 0.5))),
            cold=chance.random() < 0.25,
            mail=chance.random() < (0.7 if kind == "deploy" else 0.3),
            renewed=chance.random() < 0.5 and kind != "deploy",
            together=chance.random() < 0.3,
        )

    def __str__(self) -> str:
        """Return it in words."""
        more = [word for word in ("cold", "mail", "renewed", "together") if getattr(self, word)]
        when = f"effect {self.effect}, {self.delay * 1000:.0f} ms later"
        return f"case {self.number}: {self.kind}, {when}{''.join(f', {each}' for each in more)}"


@dataclass
class Rig:
    """A machine and its authority, and what clients are to see there.

    *domains* as in the model, *names* of the global certificate. *expected*: how many orders there
    may be for a domain. *lost*: those of the last case whose answer nobody got.
    """

    machine: Machine
    authority: SmallAuthority
    domains: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    expected: Counter[str] = field(default_factory=Counter)
    wanted: set[str] = field(default_factory=set)
    before: dict[str, int] = field(default_factory=dict)
    lost: int = 0

    @property
    def layout(self) -> Layout:
        """Where everything is."""
        return Layout(self.machine.root, self.machine.config)

    # What is killed.

    def kill(self, case: Case) -> bool:
        """Have a run be killed; return whether it was."""
        self.before, self.lost = self.serials(), 0
        self.wanted = set()
        if case.renewed:
            self.renew(case)
        if case.kind != "daemon":
            self.change(case)
        return {"daemon": self.daemon, "obtain": self.obtain}.get(case.kind, self.alone)(case)

    def alone(self, case: Case) -> bool:
        """Kill `apply`, with nobody beside it."""
        with killed_at(self.machine, case.effect, case.delay, "", "apply") as process:
            return self.was_killed(case, process)

    def obtain(self, case: Case) -> bool:
        """Kill `apply` while it obtains and another one deploys."""
        obtaining = str(self.layout.obtaining)
        with killed_at(self.machine, case.effect, case.delay, obtaining, "apply") as process:
            with suppress(AssertionError):
                until(lambda: obtains(self.layout) or process.poll() is not None, "it", PATIENCE)
            self.domains[f"b{case.number}.example"] = domain(f"b{case.number}", "selfsigned")
            self.write()
            other = case.effect if case.together else 0
            with killed_at(self.machine, other, case.delay, "", "apply") as second:
                said = second.communicate(timeout=PATIENCE)[1]
                ends = (0, 7, -signal.SIGKILL if case.together else 0)
                assert second.returncode in ends, said
            return self.was_killed(case, process) or second.returncode == -signal.SIGKILL

    def daemon(self, case: Case) -> bool:
        """Kill the daemon while both halves are at work."""
        armed, log = self.machine.root / "armed", self.machine.root / "watch.log"
        armed.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        given = (case.effect, case.delay, str(armed), "watch")
        with log.open("w") as output, killed_at(self.machine, *given, output=output) as process:
            until(lambda: "round_ended" in log.read_text(), "the first round", PATIENCE)
            if not case.renewed:  # else it is at that already
                time.sleep(0.5)
            armed.write_text("armed")
            self.change(case)
            end = time.monotonic() + 12
            while process.poll() is None and time.monotonic() < end:
                time.sleep(0.05)
            process.kill()  # it has nothing more to do by now
            process.wait(PATIENCE)
            return True

    def was_killed(self, case: Case, process: subprocess.Popen[str]) -> bool:
        """Wait for the end of a run; return whether it was killed."""
        said = process.communicate(timeout=PATIENCE)
        assert process.returncode in (0, -signal.SIGKILL), said
        if process.returncode == 0:
            print(f"{case}: it had {said[1].split()[-1]} effects")
        return process.returncode != 0

    # What changes.

    def change(self, case: Case) -> None:
        """Have domains join, and mail set up anew."""
        me = f"n{case.number}"
        self.domains[f"s{me}.example"] = domain(f"s{me}", "selfsigned")
        if case.kind != "deploy":
            self.domains[f"{me}.example"] = domain(me, "acme")
            self.expected[f"{me}.example"] = 1
            self.wanted.add(f"{me}.example")
        if case.mail:
            self.names = [f"m{case.number}.example.net"]
        self.write()

    def renew(self, case: Case) -> None:
        """Have a certificate renewed that was obtained before."""
        bundles = assemble.build_installation(self.layout, utc_now).bundles
        ordered = sorted(self.expected)
        if ordered:
            owner = random.Random(case.number).choice(ordered)
            stored = bundles.facts(owner)
            assert stored
            bundles.note(stored, replace=True)
            self.expected[owner] += 1
            self.wanted.add(owner)

    def write(self) -> None:
        """Write the model, at once."""
        config = self.machine.config
        main = {"url": f"https://{MAIL}", "certificate": "selfsigned", "extra_names": self.names}
        acme = {
            "directory": self.authority.directory,
            "trusted_roots": [str(self.authority.trusted_root)],
        }
        wanted = config.read_bytes() if config.exists() else b""
        self.machine.model(self.domains, main=main, acme=acme)
        new = config.with_name("new.yaml")
        new.write_bytes(config.read_bytes())
        if wanted:
            config.write_bytes(wanted)
        new.rename(config)

    # What must hold.

    def judge(self, case: Case) -> None:
        """See that all is as it must be after a kill."""
        loads(self.machine)
        if case.cold:
            starts(self.machine)
        loads(self.machine)
        known = self.known()
        counts = self.orders()
        run = self.machine.proxygen("apply", seconds=PATIENCE)
        assert run.returncode == 0, f"apply: {run.returncode}\n{run.stdout}{run.stderr}"
        self.served()
        left = [str(each) for each in litter(self.machine)]
        assert not left, f"left: {left}"
        former, workers = files(self.machine), self.workers()
        run = self.machine.proxygen("apply", seconds=PATIENCE)
        assert (run.returncode, run.stdout) == (0, "nothing to do\n"), run.stdout + run.stderr
        assert self.workers() == workers, "nginx was reloaded"
        changed = sorted(str(path) for path, _ in former.items() ^ files(self.machine).items())
        assert not changed, f"written with nothing to do: {changed}"
        for owner, orders in self.orders().items():
            more = orders - self.expected[owner]
            if more > 0:
                told = f"{owner}: {self.told(owner)}; known were {sorted(known)}"
                if case.kind == "obtain":  # the other process may have gone on before we looked
                    assert self.noted(owner) <= self.expected[owner], told
                else:
                    assert owner in self.wanted, told
                    assert owner not in known, told
                assert more == 1, told
                assert counts[owner], f"two orders of one run: {told}"
                self.lost += 1
                self.expected[owner] += 1

    def told(self, owner: str) -> str:
        """Return what the authority knows of the orders for a domain."""
        now, name = utc_now(), f"www.{owner}"
        orders = [each for each in self.authority.orders if name in each.names]
        said = [f"{each.at:%H:%M:%S.%f} {each.status(now)}" for each in orders]
        return f"{self.expected[owner]} expected, were {', '.join(said)}"

    def noted(self, owner: str) -> int:
        """Return how many orders for a domain were noted once their answer was there."""
        ledger = assemble.build_installation(self.layout, utc_now).ledger(self.authority.directory)
        ordered = (each for each in ledger.entries(utc_now()) if each.kind is QuotaKind.ORDERED)
        return sum(f"www.{owner}" in each.names for each in ordered)

    def known(self) -> set[str]:
        """Return the owners whose order, or what came of it, is stored.

        Before it is placed there is a value for it without a URL, so that there is room.
        """
        store = assemble.shared_store(self.layout)
        begun = [key for key in store.keys("orders") if b'"url"' in (store.get(key) or b"")]
        ordered = {key.partition("/")[2] for key in begun}
        return ordered | {
            owner for owner, serial in self.serials().items() if self.before.get(owner) != serial
        }

    def serials(self) -> dict[str, int]:
        """Return the serial numbers of the certificates that are stored."""
        bundles = assemble.build_installation(self.layout, utc_now).bundles.all()
        return {owner: int(each.serial, 16) for owner, each in bundles.items()}

    def orders(self) -> Counter[str]:
        """Return how many orders there were for each domain."""
        names = Counter(name for order in self.authority.orders for name in order.names)
        return Counter({domain: names[f"www.{domain}"] for domain in self.expected})

    def served(self) -> None:
        """Clients see what they are to see."""
        machine = self.machine
        assert machine.postfix
        assert machine.dovecot
        for each in self.domains:
            seen = client.names(client.leaf(machine.nginx.https, f"www.{each}"))
            assert seen == {f"www.{each}"}, f"www.{each}: {seen}"
        wanted = {MAIL, *self.names}
        ports = ((machine.dovecot.imaps, None), (machine.postfix.smtp, "smtp"))
        for port, starttls in ports:
            seen = client.names(client.leaf(port, starttls=starttls))
            assert seen == wanted, f"{port}: {seen}"

    def workers(self) -> list[int]:
        """Return the processes of nginx that are no master."""
        master = psutil.Process(self.machine.nginx.pid)
        return sorted(each.pid for each in master.children(recursive=True))


@contextmanager
def rig() -> Iterator[Rig]:
    """Have a machine that serves a model with a domain."""
    with temporary_root() as root, Machine(root) as machine:
        given = {"clock": utc_now, "http_port": machine.nginx.http}
        with SmallAuthority(root, **given) as authority:  # type: ignore[arg-type]
            (root / "tmp").mkdir()
            one = Rig(machine, authority)
            one.domains["first.example"] = domain("first", "acme")
            one.expected["first.example"] = 1
            one.write()
            run = machine.proxygen("apply", seconds=PATIENCE)
            assert run.returncode == 0, run.stdout + run.stderr
            yield one


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def domain(name: str, certificate: str) -> dict[str, Any]:
    """Return what the model says of a domain."""
    return {"url": f"https://www.{name}.example", "certificate": certificate}


@contextmanager
def killed_at(
    machine: Machine, effect: int, delay: float, armed: str, *arguments: str, output: Any = None
) -> Iterator[subprocess.Popen[str]]:
    """Start proxygen, which is killed then."""
    program = Path(__file__).with_name("killed_at.py")
    command = [sys.executable, "-P", str(program), str(effect), str(delay), armed]
    options = ["--root", str(machine.root), "--config", str(machine.config)]
    process = subprocess.Popen(
        [*command, *options, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=output or subprocess.PIPE,
        stderr=output or subprocess.PIPE,
        text=True,
        env=environment(PYTHONPATH=str(Path.cwd()), TMPDIR=str(machine.root / "tmp")),
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def obtains(layout: Layout) -> bool:
    """Return whether a run obtains certificates now."""
    return layout.obtaining.stat().st_size > 0


def loads(machine: Machine) -> None:
    """Every service would load what is there, with a key beside its own certificate."""
    assert machine.dovecot
    assert machine.postfix
    for check in (
        [path_of("nginx"), "-t", "-q", "-c", str(machine.nginx.main), "-e", "stderr"],
        [path_of("doveconf"), "-x", "-n", "-c", str(machine.dovecot.main)],
    ):
        run = subprocess.run(check, capture_output=True, text=True, check=False)
        assert run.returncode == 0, f"{check[0]}: {run.stderr}"
    live = machine.root / "var/lib/proxygen/live"
    pairs = [each for each in live.glob("*/certificates/*.pem") if ".chain." not in each.name]
    pairs = [each for each in pairs if not each.name.startswith(".")]
    set_to = re.search(r"(?m)^smtpd_tls_chain_files = (.+)$", machine.postfix.main.read_text())
    for pem in [*pairs, *([Path(set_to[1])] if set_to else [])]:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(pem)
        except (ssl.SSLError, OSError) as error:
            raise AssertionError(f"{pem}: {error}") from error


def starts(machine: Machine) -> None:
    """Every service starts, and shows a certificate."""
    assert machine.dovecot
    assert machine.postfix
    for program in (machine.nginx, machine.dovecot, machine.postfix):
        program.stop()
        program.start()
    client.leaf(machine.nginx.https, MAIL)
    client.leaf(machine.dovecot.imaps)
    client.leaf(machine.postfix.smtp, starttls="smtp")


def litter(machine: Machine) -> Iterator[Path]:
    """Yield what a run was writing and did not finish."""
    root = machine.root
    for folder in (root / "etc", root / "var/lib/proxygen"):
        for path in folder.rglob("*"):
            if path.name.endswith(".new") or path.name.startswith((".proxygen", ".journal")):
                yield path
    yield from (root / "tmp").iterdir()
    store = root / "var/lib/proxygen/store"
    yield from (store / "orders").glob("*")
    yield from (each for each in store.parent.glob("live/*/begun"))
    locks = (each for each in map(store.parent.joinpath, LOCKS) if each.exists())
    yield from (each for each in locks if each.read_bytes())


def files(machine: Machine) -> dict[Path, tuple[int, int]]:
    """Return each file and folder that runs may write, with what differs once it was."""
    root = machine.root / "var/lib/proxygen"
    etc = [each for each in (machine.root / "etc").rglob("*") if each.is_file()]
    locks = {root / each for each in LOCKS} | {root / "watch/lock"}
    found = {*root.rglob("*"), *etc} - locks
    return {each: (each.lstat().st_mtime_ns, each.lstat().st_ino) for each in found}


if __name__ == "__main__":
    main()

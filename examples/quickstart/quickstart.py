"""The quickstart: private instances, one `proxygen apply`, and what clients then see."""

from __future__ import annotations

import argparse
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from string import Template

from tests.live.authority import Authority, write_private
from tests.live.machine import PROGRAMS, Machine, new_root
from tests.live.needs import missing
from tests.live.processes import NotReady, Program, made

MODEL = Path(__file__).with_name("proxygen.yaml")
PROXYGEN = Path(sys.executable).with_name("proxygen")
CUSTOMER_CA = "Quickstart Customer CA"
GLOBAL = frozenset({"mail.example.net", "smtp.example.net", "imap.example.net"})
CUSTOMER_A = frozenset({"webmail.customer-a.example", "autodiscover.customer-a.example"})
CUSTOMER_D = frozenset({"post.customer-d.example"})
REFUSED = "the handshake is refused"

HTTPS = (
    ("mail.example.net", GLOBAL, "Pebble", "the global URL"),
    ("imap.example.net", GLOBAL, "Pebble", "an extra name of it"),
    ("webmail.customer-a.example", CUSTOMER_A, "Pebble", "a certificate of its own"),
    ("autodiscover.customer-a.example", CUSTOMER_A, "Pebble", "an extra name of it"),
    ("mail.customer-b.example", GLOBAL, "Pebble", "no certificate: the global one"),
    ("post.customer-d.example", CUSTOMER_D, CUSTOMER_CA, "a certificate from a file"),
    ("nobody.example", frozenset[str](), REFUSED, "a name that nobody has"),
)
"""What the model promises for each name: names and issuer of the certificate, and why."""

STOP = """\
#!/bin/sh
# Ends what the quickstart left running, and removes its folder.
root={root}
ours() {{ # the number may be another process's by now: ours has a file open below the folder
    ls -l "/proc/$1/fd" 2>/dev/null | grep -qF "$root/"
}}
for pid in {pids}; do ours $pid && kill $pid; done
for pid in {pids}; do while ours $pid; do sleep 0.1; done; done
rm -rf "$root"
"""


class Groupware(Program):
    """What stands behind nginx: a web server with one page."""

    name = "groupware"

    @property
    def folder(self) -> Path:
        """Where its page lies."""
        return self.root / "srv/groupware"

    def configure(self) -> None:
        """Choose a port and write the page."""
        self.reserve(1)
        (made(self.folder) / "index.html").write_text("Hello from the groupware.\n")

    def argv(self) -> Sequence[str]:
        """Return the command."""
        return (
            *(sys.executable, "-m", "http.server", "--bind", "127.0.0.1"),
            *("--directory", str(self.folder), str(self.ports[0])),
        )

    def answers(self) -> bool:
        """Return whether the page comes."""
        url = f"http://127.0.0.1:{self.ports[0]}/"
        return b"Hello" in run("curl", "--silent", "--noproxy", "*", url).stdout


@dataclass(frozen=True, slots=True)
class Shown:
    """The certificate that a client was shown: its names and its issuer, or why there is none."""

    names: frozenset[str]
    issuer: str

    def __str__(self) -> str:
        return f"{', '.join(sorted(self.names))} (by {self.issuer})" if self.names else self.issuer


def main() -> int:
    """Run the quickstart and return its exit code: 0 when all is served as promised."""
    parser = argparse.ArgumentParser(prog="examples/quickstart/run", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave it running")
    keep = parser.parse_args().keep
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    try:
        return try_all(keep=keep)
    except KeyboardInterrupt:
        return 130
    except NotReady as error:
        print(error, file=sys.stderr)
        return 1


def try_all(*, keep: bool) -> int:
    """Do every step below a new folder, then end and remove all, unless it is to be kept."""
    with ExitStack() as ends:
        root = new_root()
        ends.callback(print, f"\nEnded what was started; {root} is removed.")
        ends.callback(rmtree, root, ignore_errors=True)
        served = walk(root, ends, keep=keep)
        if keep and served:
            ends.pop_all()
    return 0 if served else 1


def walk(root: Path, ends: ExitStack, *, keep: bool) -> bool:
    """Do every step; return whether all is served as promised."""
    machine, groupware = start(root, ends, keep=keep)
    write_model(machine, groupware)
    command = (str(PROXYGEN), "--root", str(root), "--config", str(machine.config))
    applied = tell("Make it so", *command, "apply")
    known = tell("What proxygen knows now", *command, "status")
    seen = clients_see(machine)
    if keep and applied and known and seen:
        say_how_to_go_on(machine, groupware, command)
    return applied and known and seen


def start(root: Path, ends: ExitStack, *, keep: bool) -> tuple[Machine, Groupware]:
    """Start the private instances; *ends* ends them."""
    title(f"Private instances below {root}")
    reasons = {name: reason for name in PROGRAMS if (reason := missing(name))}
    programs = tuple(name for name in PROGRAMS if name not in reasons)
    for name, reason in reasons.items():
        print(f"  {name:<8}  SKIPPED: {reason}")
    groupware = ends.enter_context(Groupware(root, outlives=keep))
    machine = ends.enter_context(Machine(root, programs, outlives=keep))
    for name, places in listening(machine):
        print(f"  {name:<8}  {places}")
    return machine, groupware


def listening(machine: Machine) -> Iterator[tuple[str, str]]:
    """Return where each program listens."""
    yield "nginx", f"http 127.0.0.1:{machine.nginx.http}, https 127.0.0.1:{machine.nginx.https}"
    if postfix := machine.postfix:
        yield "postfix", f"smtp 127.0.0.1:{postfix.smtp}, smtps 127.0.0.1:{postfix.smtps}"
    if dovecot := machine.dovecot:
        yield "dovecot", f"imap 127.0.0.1:{dovecot.imap}, imaps 127.0.0.1:{dovecot.imaps}"
    yield "pebble", f"an ACME authority at {machine.pebble.directory}"


def write_model(machine: Machine, groupware: Groupware) -> None:
    """Fill in ports and paths; make the certificate that customer D supplies."""
    title("The model")
    text = Template(MODEL.read_text()).substitute(
        BACKEND=groupware.ports[0],
        HTTP=machine.nginx.http,
        HTTPS=machine.nginx.https,
        DNS=machine.pebble.dns.dns,
        DIRECTORY=machine.pebble.directory,
        AUTHORITY_ROOT=machine.pebble.trusted_root,
    )
    for name in ("postfix", "dovecot"):
        if name not in machine.programs:
            text = text.replace(f"  {name}: {{}}\n", "")
    folder = made(machine.config.parent)
    machine.config.write_text(text)
    customer = Authority(CUSTOMER_CA)
    issued = customer.issue(*CUSTOMER_D)
    write_private(folder / "customer-d/key.pem", issued.key)
    (folder / "customer-d/fullchain.pem").write_bytes(issued.fullchain)
    roots(machine).write_bytes(machine.pebble.issuing_root + customer.root_pem)
    print(f"  {MODEL}\n  with ports filled in: {machine.config}")


def roots(machine: Machine) -> Path:
    """Return the file with the roots that the clients trust."""
    return machine.root / "roots.pem"


def clients_see(machine: Machine) -> bool:
    """Show what every name and protocol serves; return whether it is what was promised."""
    title("What web clients see")
    first = HTTPS[0][0]
    for command in curl(machine, first), s_client(machine.nginx.https, first):
        print(f"  $ {shlex.join(command)}")
    web = [sees_web(machine, *promise) for promise in HTTPS]
    title("What mail clients see: the global certificate, whatever name they ask for")
    mail = [sees_mail(*endpoint) for endpoint in mail_endpoints(machine)]
    return all(web) and all(mail)


def sees_web(machine: Machine, name: str, names: frozenset[str], issuer: str, note: str) -> bool:
    """Show what *name* serves on HTTPS, as promised or not."""
    shown = certificate(*s_client(machine.nginx.https, name))
    right = shown.names == names and issuer in shown.issuer
    print(f"\n  {mark(right)} https://{name}  ({note})")
    print(f"        {shown}\n        {page(machine, name)}")
    return right


def page(machine: Machine, name: str) -> str:
    """Return what curl says of the page at *name*, checking chain and name as browsers do."""
    reply = run(*curl(machine, name))
    words = (reply.stdout if reply.returncode == 0 else reply.stderr).decode().strip()
    return "curl: " + (words.splitlines() or ["no answer"])[0].removeprefix("curl: ")


def curl(machine: Machine, name: str) -> tuple[str, ...]:
    """Return the command that gets the page at *name*."""
    port = machine.nginx.https
    return (
        *("curl", "--silent", "--show-error", "--noproxy", "*"),
        *("--cacert", str(roots(machine)), "--resolve", f"{name}:{port}:127.0.0.1"),
        f"https://{name}:{port}/",
    )


def s_client(port: int, name: str, starttls: str = "") -> tuple[str, ...]:
    """Return the command that shows the certificate of *port* when asked for *name*."""
    first = ("-starttls", starttls) if starttls else ()
    address = f"127.0.0.1:{port}"
    return ("openssl", "s_client", "-connect", address, *first, "-servername", name)


def mail_endpoints(machine: Machine) -> Iterator[tuple[str, int, str]]:
    """Return a title, a port and the protocol of STARTTLS for each mail service."""
    if postfix := machine.postfix:
        yield "SMTP, STARTTLS", postfix.smtp, "smtp"
        yield "submission, STARTTLS", postfix.submission, "smtp"
        yield "smtps", postfix.smtps, ""
    if dovecot := machine.dovecot:
        yield "IMAP, STARTTLS", dovecot.imap, "imap"
        yield "imaps", dovecot.imaps, ""
        yield "pop3s", dovecot.pop3s, ""


def sees_mail(name: str, port: int, starttls: str) -> bool:
    """Show what a mail service serves to one who asks for a customer's name."""
    command = s_client(port, "webmail.customer-a.example", starttls)
    shown = certificate(*command)
    right = shown.names == GLOBAL and "Pebble" in shown.issuer
    print(f"  $ {shlex.join(command)}\n  {mark(right)} {name:<20}  {shown}")
    return right


def certificate(*command: str) -> Shown:
    """Return the certificate that an ``openssl s_client`` was shown."""
    met = run(*command)
    fields = ("-noout", "-issuer", "-ext", "subjectAltName", "-nameopt", "multiline,utf8")
    told = run("openssl", "x509", *fields, stdin=met.stdout).stdout.decode()
    if issuer := re.search(r"commonName += (.*)", told):
        return Shown(frozenset(re.findall(r"DNS:([^,\s]+)", told)), issuer[1])
    refused = b"unrecognized name" in met.stderr  # the alert of RFC 6066 section 3
    return Shown(frozenset(), REFUSED if refused else "no certificate")


def run(*command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run *command*; what it says is looked at, not its exit code."""
    return subprocess.run(command, input=stdin, capture_output=True, timeout=20, check=False)


def tell(what: str, *command: str) -> bool:
    """Run *command* for all to see; return whether it succeeded."""
    title(what)
    print(f"  $ {shlex.join(command)}\n", flush=True)
    code = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    if code:
        print(f"  {mark(right=False)} exit code {code}")
    return code == 0


def say_how_to_go_on(machine: Machine, groupware: Groupware, command: Sequence[str]) -> None:
    """Say what to look at, and leave a script that ends all."""
    stop = machine.root / "stop"
    pids = " ".join(map(str, (*machine.pids, groupware.pid)))
    stop.write_text(STOP.format(root=shlex.quote(str(machine.root)), pids=pids))
    stop.chmod(0o755)
    title("It is left running")
    print(f"  change the model  {machine.config}")
    print(f"  look, apply       {shlex.join(command)} plan|apply|status")
    print(f"  logs              {machine.root}/var/log")
    print(f"  end and remove    {stop}")


def title(words: str) -> None:
    """Begin a step."""
    print(f"\n== {words}", flush=True)


def mark(right: bool) -> str:
    """Return a sign for a promise that was kept, or was not."""
    return "ok   " if right else "WRONG"


if __name__ == "__main__":
    sys.exit(main())

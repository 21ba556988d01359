"""At Pebble: what tests of the ACME issuer have in common."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509

from proxygen.errors import Origin
from proxygen.issuers.acme import AcmeIssuer, Ordered, count_nothing
from proxygen.issuers.acme_transport import Pace
from proxygen.model.certificate import Certificate, KeyAndChain, Secret
from proxygen.model.site import Acme, AuthorityLimits, ExternalAccount
from proxygen.solvers import Solver, Solvers
from proxygen.solvers.http01 import Webroot
from proxygen.stores import Store
from tests.live import ports
from tests.live.between import Between, Hold, Reply
from tests.live.pebble import Manners, Pebble
from tests.standins import MemoryStore

HERE = Origin("proxygen.yaml", 40, 1)
URN = "urn:ietf:params:acme:error:"
QUICK = Pace(first_pause=0.02, longest_asked=7200)
"""With it an authority that asks for hours leaves an order to the next run."""
MAC = "cHJveHlnZW4tdGVzdHMtYmluZC1hbi1hY2NvdW50LTAx"


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, as the nginx of an installation does."""

    def log_message(self, *_: object) -> None:
        pass


class Files(ThreadingHTTPServer):
    """Has room for the many validations that Pebble begins at once."""

    request_queue_size = 128


@dataclass(frozen=True)
class Place:
    """Where Pebble runs, and the folder whose files it is shown as answers."""

    pebble: Pebble
    challenges: Path


def place(root: Path, manners: Manners) -> Iterator[Place]:
    """Run Pebble, and a web server at the port that it validates at."""
    folder = root / "challenges"
    folder.mkdir()
    port = ports.reserve()
    server = Files(("127.0.0.1", port), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        with Pebble(root, http_port=port, manners=manners) as pebble:
            yield Place(pebble, folder)
    finally:
        server.shutdown()
        server.server_close()
        ports.release(port)


class Served(Protocol):
    """An authority that runs."""

    @property
    def directory(self) -> str:
        """The URL of its directory."""

    @property
    def trusted_root(self) -> Path:
        """The root of the certificate of its HTTPS."""


def settings(authority: Served, **more: Any) -> Acme:
    """Return what a model says of *authority*."""
    given = Acme(
        directory=authority.directory,
        contact="admin@proxygen.test",
        profile=None,
        external_account=None,
        trusted_roots=(authority.trusted_root,),
        http_port=80,
        validation_port=80,
        limits=AuthorityLimits(),
        origin=HERE,
    )
    return replace(given, **more)


def issuer(
    given: Acme,
    solver: Solver | Solvers,
    store: Store | None = None,
    pace: Pace | None = None,
    ordered: Ordered = count_nothing,
) -> AcmeIssuer:
    """Return an issuer as a new process has it; its only secret is MAC."""

    def secret(_: Secret) -> bytes:
        return MAC.encode() + b"\n"

    return AcmeIssuer(
        given,
        MemoryStore() if store is None else store,
        solver if callable(solver) else by_http(solver),
        lambda: datetime.now(UTC),
        secret,
        pace or QUICK,
        ordered,
    )


def by_http(solver: Solver) -> Solvers:
    """Return that every name is proven by http-01."""
    return lambda _: {"http-01": solver}


def usual(common: Place, **more: Any) -> AcmeIssuer:
    """Return an issuer without an account, at the common Pebble."""
    return issuer(settings(common.pebble, **more), Webroot(common.challenges))


def behind(between: Between, common: Place, **more: Any) -> AcmeIssuer:
    """Return an issuer without an account, at the server before the common Pebble."""
    return issuer(settings(between), Webroot(common.challenges), **more)


def wanted(*names: str, **more: Any) -> Certificate:
    """Return a certificate that a model wants."""
    return Certificate(names[0], names, "acme", HERE, **more)


def leaf(pair: KeyAndChain) -> x509.Certificate:
    """Return the leaf."""
    return x509.load_pem_x509_certificates(pair.fullchain)[0]


def answers(common: Place) -> list[Path]:
    """Return the answers that are visible."""
    return [path for path in common.challenges.rglob("*") if path.is_file()]


def external(key_identifier: str) -> ExternalAccount:
    """Return an external account whose secret is MAC."""
    return ExternalAccount(key_identifier, Secret("env", "MAC"))


def problem_at(
    step: str, status: int, kind: str, headers: dict[str, str], **more: str
) -> Callable[[str, Reply], Reply]:
    """Return what makes a step fail with a problem document."""
    body = json.dumps({"type": URN + kind, "detail": "because", **more}).encode()

    def tamper(at: str, reply: Reply) -> Reply:
        if at != step:
            return reply
        return Reply(status, {**reply.headers, **headers}, body)

    return tamper


def at(step: str, change: Callable[[Reply], Reply]) -> Callable[[str, Reply], Reply]:
    """Return what changes the successful answers of one step."""

    def tamper(seen: str, reply: Reply) -> Reply:
        return change(reply) if seen == step and reply.status < 300 else reply

    return tamper


def saying(**fields: Any) -> Callable[[Reply], Reply]:
    """Return what changes fields of an answer."""
    return lambda reply: reply.saying(**fields)


def with_body(body: bytes) -> Callable[[Reply], Reply]:
    """Return what puts *body* in place of an answer's."""
    return lambda reply: replace(reply, body=body)


def made(pebble: Pebble, what: str) -> int:
    """Return how many orders, or accounts, Pebble made: its log tells of each."""
    return len(re.findall(rf"There are now \d+ {what} in ", pebble.log))


def kill_at(
    hold: Hold, between: Between, folder: Path, *names: str, script: str = "issue_once.py"
) -> None:
    """Have another process issue, or run another script, and kill it at the held step."""
    place = (between.directory, str(between.trusted_root), str(folder))
    child = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name(script)), *place, *names],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        assert hold.reached.wait(20), f"the step {hold.step} was never reached"
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        between.hold = None
        hold.released.set()

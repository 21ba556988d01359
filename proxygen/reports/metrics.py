"""Metrics: figures for Prometheus, as a text file and over HTTP (package prometheus-client)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

from proxygen import __version__
from proxygen.apply.outcome import Outcome
from proxygen.assemble import Installation
from proxygen.errors import ServiceError, UsageError
from proxygen.failure import Scope, failure
from proxygen.host import files
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.names.states import State
from proxygen.plan.observed import Observed
from proxygen.plan.quota import CERTIFICATES_IN, QuotaKind
from proxygen.plan.renewal import SUPPLIED, renew_at
from proxygen.plan.unserved import is_serving
from proxygen.texts.names import model_names

if TYPE_CHECKING:
    import socket

    from prometheus_client.core import Metric

MOST_AT_ONCE = 8
"""Connections that are answered side by side; for one more the oldest has to go."""
PATIENCE = 10.0
"""Seconds that a connection may be silent."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What is told: the state after a round, and about the round itself.

    *waiting* counts certificates that are due but must wait, *failures* what the round could not
    do; *orders* are those of the last 7 days by authority.
    """

    site: Site
    observed: Observed
    at: datetime
    took: timedelta
    waiting: int = 0
    failures: int = 0
    orders: Mapping[str, int] | None = None
    model_right: bool = True


def round_figures(
    site: Site, installation: Installation, outcome: Outcome, took: timedelta
) -> Figures | None:
    """Return the figures after a round, None for one that was over before it looked."""
    if outcome.observed is None:
        return None
    now = installation.now()
    orders = {
        each.directory: orders_last_week(installation, each, now) for each in site.authorities
    }
    waiting, failures = len(outcome.waiting), len(outcome.failures)
    return Figures(site, outcome.observed, now, took, waiting, failures, orders)


def orders_last_week(installation: Installation, authority: Any, now: datetime) -> int:
    """Return how many orders an authority got in the last 7 days."""
    entries = installation.ledger(authority.directory).entries(now)
    return sum(
        each.kind is QuotaKind.ORDERED and each.at > now - CERTIFICATES_IN for each in entries
    )


def needs_figures(site: Site) -> bool:
    """Return whether the model asks for figures; raise UsageError where they cannot be told."""
    wanted = site.metrics
    if wanted.file is None and wanted.port is None:
        return False
    if wanted.file and wanted.file.suffix != ".prom":
        raise UsageError(
            f"metrics.file: {wanted.file} does not end in .prom, so node_exporter does not read it",
            remedy="write a name such as /var/lib/prometheus/node-exporter/proxygen.prom",
        )
    try:
        import prometheus_client  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "`metrics` needs the package prometheus-client, which is not installed",
            remedy="install proxygen[metrics], or take `metrics` out of the model",
        ) from error
    return True


def write_figures(layout: Layout, told: Figures) -> None:
    """Write the text file that the model names, if any; raise ServiceError where it cannot be."""
    if told.site.metrics.file is None or not needs_figures(told.site):
        return
    path = layout.host(str(told.site.metrics.file))
    try:
        files.write(path, figures_text(told), 0o644)
    except OSError as error:
        unwritten = failure("figures-not-written", Scope.HOST, where=path, words=error)
        raise ServiceError(unwritten) from error


def figures_text(told: Figures) -> bytes:
    """Return the figures in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(told))
    return generate_latest(registry)


@dataclass(frozen=True, slots=True, eq=False)
class Collector:
    """The figures as Prometheus' client collects them."""

    told: Figures

    def describe(self) -> list[Metric]:
        """Return nothing: what is collected is looked at once, and described by itself."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield each figure with its samples."""
        from prometheus_client.core import GaugeMetricFamily

        parts = (of_certificates, of_failures, of_names, of_services, of_the_round)
        for name, words, labels, rows in (each for part in parts for each in part(self.told)):
            family = GaugeMetricFamily(f"proxygen_{name}", words, labels=labels.split())
            for values, value in rows:
                family.add_metric(values, float(value))
            yield family


Rows = list[tuple[list[str], float]]
Gauges = Iterator[tuple[str, str, str, Rows]]
"""A name, what it is, the names of its labels, and samples: each with the labels' values."""


def of_certificates(told: Figures) -> Gauges:
    """Yield what is known of each certificate that is stored and wanted, in the model's order."""
    wanted = [each.owner for each in told.site.certificates]
    bundles = [told.observed.bundles[owner] for owner in wanted if owner in told.observed.bundles]
    renewed = [each for each in bundles if each.issuer not in SUPPLIED]
    for name, words, those, moment in (
        ("not_before", "when the certificate began", bundles, lambda each: each.not_before),
        ("not_after", "when the certificate ends", bundles, lambda each: each.not_after),
        ("renew_at", "when the certificate is to be renewed", renewed, renew_at),
    ):
        rows = [([each.owner, each.issuer], moment(each).timestamp()) for each in those]
        yield f"certificate_{name}_timestamp_seconds", words, "owner issuer", rows
    words = "1 where a self-signed stand-in serves until the real certificate arrives"
    rows = [([each.owner], 1) for each in bundles if each.stand_in]
    yield "certificate_stand_in", words, "owner", rows


def of_failures(told: Figures) -> Gauges:
    """Yield what could not be obtained, and what waits."""
    known = {each.owner for each in told.site.certificates}
    attempts = [each for of, each in sorted(told.observed.failures.items()) if of in known]
    counts: Rows = [([each.of], each.count) for each in attempts]
    yield "certificate_failures", "failures in a row", "owner", counts
    moments = [([each.of], each.again.timestamp()) for each in attempts]
    words = "when what failed is tried again"
    yield "certificate_next_attempt_timestamp_seconds", words, "owner", moments
    troubles: Rows = [
        ([of], each.count) for of, each in sorted(told.observed.authority_failures.items())
    ]
    words = "consecutive failures of an authority that issues no certificates at present"
    yield "authority_failures", words, "authority", troubles
    orders: Rows = [([of], count) for of, count in sorted((told.orders or {}).items())]
    yield "authority_orders_7d", "orders of the last 7 days", "authority", orders


def of_names(told: Figures) -> Gauges:
    """Yield how many of the names that an authority is to prove stand how."""
    found = model_names(told.site, told.observed.bundles, told.observed.names, told.at)
    counts = Counter(each.state for each in found)
    rows: Rows = [([state.value], counts[state]) for state in State]
    yield "names", "names that an authority is to prove, by state", "state", rows


def of_services(told: Figures) -> Gauges:
    """Yield how the services are."""
    states = sorted(told.observed.services.items())
    running: Rows = [([name], state.pid is not None) for name, state in states]
    yield "service_running", "1 while its master process runs", "service", running
    right: Rows = [([name], is_serving(state)) for name, state in states]
    yield "service_served_as_wanted", "1 while it serves what is wanted", "service", right


def of_the_round(told: Figures) -> Gauges:
    """Yield what there is once."""
    wanted = sum(1 for _ in told.site.certificates)
    for name, words, value in (
        ("certificates", "certificates that the model wants", wanted),
        ("certificates_waiting", "certificates that are due but must wait", told.waiting),
        ("model_right", "1 while the model has no mistake", told.model_right),
        ("last_round_timestamp_seconds", "when the last round ended", told.at.timestamp()),
        ("last_round_duration_seconds", "how long it took", told.took.total_seconds()),
        ("last_round_failures", "what it could not do", told.failures),
    ):
        yield name, words, "", [([], value)]
    yield "info", "the version of proxygen", "version", [([__version__], 1)]


# Over HTTP.


class MetricsHandler(BaseHTTPRequestHandler):
    """Answers GET /metrics with what was published last."""

    server: MetricsServer
    server_version = "proxygen"
    sys_version = ""
    timeout = PATIENCE
    KIND: ClassVar[str] = "text/plain; version=0.0.4; charset=utf-8"

    def do_GET(self) -> None:
        """Answer a request."""
        found = self.path.partition("?")[0] == "/metrics"
        text = self.server.text() if found else b"GET /metrics\n"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", self.KIND)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing: who looks does so every few seconds."""


class MetricsServer(ThreadingHTTPServer):
    """Answers over HTTP; ``publish`` what to, as often as there is something new.

    The server of Prometheus' client takes any number of connections for any time, and writes the
    figures anew for each: of 10,000 domains that takes a second. Here it is done once they are
    asked for.
    """

    daemon_threads = True

    def __init__(self, address: str, port: int) -> None:
        """Listen; raise OSError where somebody else does already."""
        import socket

        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.free = threading.BoundedSemaphore(MOST_AT_ONCE)
        self.clients: list[socket.socket] = []
        self.text: Callable[[], bytes] = bytes
        super().__init__((address, port), MetricsHandler)
        self.thread = threading.Thread(target=self.serve_forever, name="metrics", daemon=True)
        self.thread.start()

    def publish(self, told: Figures) -> None:
        """Answer with these figures from now on."""
        self.text = cache(partial(figures_text, told))

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own; of too many, the oldest one ends.

        An answer takes milliseconds: who is still there is slow, or there to be in the way.
        """
        if not self.free.acquire(blocking=False):
            self.end_oldest()
            if not self.free.acquire(timeout=PATIENCE):
                self.shutdown_request(request)
                return
        self.clients.append(request)
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread can be started
            self.is_over(request)
            raise

    def end_oldest(self) -> None:
        """Let go of the connection that has been there for longest; its thread ends."""
        import socket

        with suppress(OSError, IndexError):
            self.clients[0].shutdown(socket.SHUT_RDWR)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a connection, then make room for another."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.is_over(request)

    def is_over(self, request: Any) -> None:
        """Make room for another connection."""
        self.clients.remove(request)
        self.free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that went away, or was too slow."""

    def server_bind(self) -> None:
        """Bind, without asking the DNS for a name that nobody needs."""
        import socketserver

        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def stop(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self.shutdown()
            self.server_close()
        self.thread.join(PATIENCE)

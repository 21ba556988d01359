"""Metrics: what Prometheus reads is right, whole, quick to make, and nobody else's business."""

from __future__ import annotations

import http.client
import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxygen.errors import ServiceError, UsageError
from proxygen.model.certificate import GLOBAL
from proxygen.model.layout import Layout
from proxygen.plan.backoff import RememberedFailure
from proxygen.plan.observed import Installed, Observed, ServiceState
from proxygen.plan.renewal import renew_at
from proxygen.reports import metrics
from proxygen.reports.metrics import (
    MOST_AT_ONCE,
    Figures,
    MetricsServer,
    figures_text,
    needs_figures,
    write_figures,
)
from proxygen.services import ServiceSettings
from tests import models
from tests.certificates import DAY, NOON
from tests.failures import NO
from tests.known_names import LATE, A, by_name, waiting
from tests.known_names import SITE as OF_NAMES
from tests.live import ports

TEXT = """\
global: {url: mail.example.net, certificate: selfsigned}
domains:
  a.example: {url: www.a.example, certificate: selfsigned}
"""
SITE = models.site(TEXT + "metrics: {file: /srv/proxygen.prom}\n")
BUNDLES = models.bundles(SITE)
REFUSED = RememberedFailure("a.example", NOON, NOON - DAY, 3, NOON + DAY, NO)
SERVICES = {
    "nginx": ServiceState("nginx", ServiceSettings(), installed=Installed(generation="0"), pid=1),
    "postfix": ServiceState(
        "postfix", ServiceSettings(), installed=Installed(generation="0", unserved=True)
    ),
    "dovecot": ServiceState("dovecot", ServiceSettings(), installed=Installed(generation="0")),
}
OBSERVED = Observed(BUNDLES, SERVICES, {}, failures={"a.example": REFUSED})
FIGURES = Figures(
    SITE, OBSERVED, NOON, timedelta(seconds=1.5), waiting=2, orders={"https://ca.example/": 7}
)


def samples(text: bytes) -> dict[tuple[str, ...], float]:
    """Return each sample by its name and the values of its labels, the owner first."""
    return {
        (each.name, *(value for _, value in sorted(each.labels.items(), reverse=True))): each.value
        for family in text_string_to_metric_families(text.decode())
        for each in family.samples
    }


def test_every_figure_is_told() -> None:
    said = samples(figures_text(FIGURES))
    ours = ("a.example", "selfsigned")
    moments = BUNDLES["a.example"]
    not_after = moments.not_after.timestamp()
    assert said["proxygen_certificate_not_after_timestamp_seconds", *ours] == not_after
    not_before = moments.not_before.timestamp()
    assert said["proxygen_certificate_not_before_timestamp_seconds", *ours] == not_before
    due = renew_at(moments).timestamp()
    assert said["proxygen_certificate_renew_at_timestamp_seconds", *ours] == due
    assert said["proxygen_certificate_failures", "a.example"] == 3
    again = said["proxygen_certificate_next_attempt_timestamp_seconds", "a.example"]
    assert again == (NOON + DAY).timestamp()
    assert said["proxygen_service_running", "nginx"] == 1
    assert said["proxygen_service_running", "postfix"] == 0
    assert said["proxygen_service_served_as_wanted", "nginx"] == 1
    assert said["proxygen_service_served_as_wanted", "postfix"] == 0
    assert said["proxygen_service_served_as_wanted", "dovecot"] == 0  # it does not run
    assert said["proxygen_authority_orders_7d", "https://ca.example/"] == 7
    assert said["proxygen_certificates",] == 2
    assert said["proxygen_certificates_waiting",] == 2
    assert said["proxygen_model_right",] == 1
    assert said["proxygen_last_round_timestamp_seconds",] == NOON.timestamp()
    assert said["proxygen_last_round_duration_seconds",] == 1.5
    assert said["proxygen_info", "0.1.0"] == 1


def test_the_documents_list_every_metric() -> None:
    document = (Path(__file__).parents[2] / "docs/monitoring.md").read_text()
    told = set(re.findall(r"(?m)^\| `(proxygen_\w+)`", document))
    families = text_string_to_metric_families(figures_text(FIGURES).decode())
    assert told == {each.name for each in families}


def test_what_a_person_renews_has_no_moment_of_renewal_and_a_stand_in_is_told() -> None:
    supplied = replace(BUNDLES["a.example"], issuer="file")
    bundles = {"a.example": supplied, GLOBAL: models.stand_in(SITE)}
    said = samples(figures_text(replace(FIGURES, observed=replace(OBSERVED, bundles=bundles))))
    renewals = [key for key in said if key[0].startswith("proxygen_certificate_renew_at")]
    assert [key[1] for key in renewals] == [GLOBAL]
    assert said["proxygen_certificate_stand_in", GLOBAL] == 1


def test_nothing_is_told_of_certificates_and_failures_that_nobody_wants() -> None:
    gone = replace(BUNDLES["a.example"], owner="gone.example")
    observed = Observed({"gone.example": gone}, {}, {}, failures={"gone.example": REFUSED})
    assert b"gone.example" not in figures_text(replace(FIGURES, observed=observed))


def test_how_many_names_stand_how_is_told() -> None:
    issued = models.bundles(OF_NAMES)
    customer = issued.pop(A)
    late = replace(customer, names=tuple(name for name in customer.names if name != LATE))
    book = {A: by_name([waiting()])}
    observed = Observed(issued | {A: late}, {}, {}, names=book)
    said = samples(figures_text(replace(FIGURES, site=OF_NAMES, observed=observed)))
    counts = {key[1]: value for key, value in said.items() if key[0] == "proxygen_names"}
    assert counts == {"waiting": 1, "ready": 0, "issued": 5, "failed": 0, "moved": 0}


def test_the_file_is_whole_and_readable_by_node_exporter(tmp_path: Path) -> None:
    (tmp_path / "srv").mkdir()
    write_figures(Layout(tmp_path, tmp_path / "x"), FIGURES)
    file = tmp_path / "srv/proxygen.prom"
    assert file.stat().st_mode & 0o777 == 0o644
    assert file.read_bytes() == figures_text(FIGURES)
    assert [path.name for path in file.parent.iterdir()] == ["proxygen.prom"]


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="metrics file cannot be written"):
        write_figures(Layout(tmp_path, tmp_path / "x"), FIGURES)


def test_nothing_is_written_where_the_model_names_nothing(tmp_path: Path) -> None:
    site = models.site(TEXT)
    assert not needs_figures(site)
    write_figures(Layout(tmp_path, tmp_path / "x"), replace(FIGURES, site=site))
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_node_exporter_does_not_read_is_refused() -> None:
    with pytest.raises(UsageError, match=r"does not end in \.prom"):
        needs_figures(models.site(TEXT + "metrics: {file: /srv/proxygen.txt}\n"))


def test_a_missing_package_is_told_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(UsageError) as caught:
        needs_figures(SITE)
    assert "install proxygen[metrics]" in caught.value.remedy


def test_ten_thousand_domains_are_rendered() -> None:
    domains = "".join(
        f"  c{number}.example: {{url: www.c{number}.example, certificate: selfsigned}}\n"
        for number in range(10_000)
    )
    site = models.site(f"{TEXT}{domains}")
    told = replace(FIGURES, site=site, observed=Observed(models.bundles(site), {}, {}))
    assert figures_text(told).count(b"\n") > 30_000


# Over HTTP.


@contextmanager
def serving(address: str = "127.0.0.1") -> Iterator[MetricsServer]:
    """Have a server that tells the figures."""
    port = ports.reserve()
    server = MetricsServer(address, port)
    try:
        server.publish(FIGURES)
        yield server
    finally:
        server.stop()
        ports.release(port)


def asked(server: MetricsServer, method: str, path: str) -> tuple[int, bytes, str]:
    """Return status, text and type of an answer."""
    host = str(server.server_address[0])
    connection = http.client.HTTPConnection(host, server.server_port, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers.get("Content-Type", "")
    finally:
        connection.close()


def test_the_figures_are_told_over_http_as_they_were_published() -> None:
    with serving() as server:
        status, text, kind = asked(server, "GET", "/metrics")
        assert (status, text) == (200, figures_text(FIGURES))
        assert kind.startswith("text/plain; version=0.0.4")
        server.publish(replace(FIGURES, waiting=9))
        assert samples(asked(server, "GET", "/metrics")[1])["proxygen_certificates_waiting",] == 9


def test_figures_are_written_once_and_only_when_somebody_asks() -> None:
    written = []

    class Noted:
        def __getattr__(self, name: str) -> object:
            written.append(name)
            return getattr(FIGURES, name)

    with serving() as server:
        server.publish(Noted())  # type: ignore[arg-type]
        assert not written
        first = asked(server, "GET", "/metrics")
        assert (first[0], bool(written)) == (200, True)
        written.clear()
        assert asked(server, "GET", "/metrics") == first
        assert not written


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/../etc/passwd", 404), ("POST", "/metrics", 501)],
)
def test_nothing_else_is_answered(method: str, path: str, status: int) -> None:
    with serving() as server:
        assert asked(server, method, path)[0] == status


def test_a_port_that_is_taken_is_an_error_that_can_be_told() -> None:
    with serving() as server, pytest.raises(OSError, match="in use"):
        MetricsServer("127.0.0.1", server.server_port)


def test_a_stopped_server_answers_no_more_and_leaves_no_thread() -> None:
    with serving() as server:
        port = server.server_port
        thread = server.thread
    assert not thread.is_alive()
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_silent_connections_hold_up_no_more_than_their_share() -> None:
    with serving() as server:
        before = threading.active_count()
        idle = [
            socket.create_connection(("127.0.0.1", server.server_port), timeout=5)
            for _ in range(3 * MOST_AT_ONCE)
        ]
        # Those that came first are closed; the others wait for a request.
        assert idle[2 * MOST_AT_ONCE - 1].recv(1) == b""
        assert threading.active_count() <= before + MOST_AT_ONCE
        for each in idle:
            each.close()


def test_slow_clients_hold_nobody_up() -> None:
    with serving() as server:
        slow = [
            socket.create_connection(("127.0.0.1", server.server_port), timeout=5)
            for _ in range(MOST_AT_ONCE)
        ]
        for each in slow:
            each.sendall(b"GET /metrics HTTP/1.1\r\nX: ")  # and never more
        for _ in range(2 * MOST_AT_ONCE):
            assert asked(server, "GET", "/metrics")[0] == 200
        for each in slow:
            each.close()


def test_prometheus_client_is_imported_only_where_it_is_used() -> None:
    source = Path(metrics.__file__).read_text()
    assert "\nimport prometheus" not in source
    assert "\nfrom prometheus" not in source

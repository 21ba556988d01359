"""One bad neighbour: what is wrong with one upstream, snippet or domain harms no other one."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from proxygen.host import processes
from tests.conftest import require
from tests.integration.test_watch import Daemon
from tests.live import client
from tests.live.backend import Backend
from tests.live.machine import Machine
from tests.live.names import Names, may_mount
from tests.live.processes import made, until

pytestmark = pytest.mark.apart

TEMPLATES = Path(__file__).parents[2] / "templates"
WEB = ("nginx", "pebble")
TRIAL = {"url": "https://mail.example.net", "certificate": "selfsigned"}
A = {"a.example": {"url": "https://www.a.example", "backend": "one"}}
B = {"b.example": {"url": "https://www.b.example", "backend": "two"}}


@pytest.fixture
def web(root: Path) -> Iterator[Machine]:
    """Return a machine with nginx and Pebble alone."""
    require(WEB)
    with Machine(root, WEB) as running:
        yield running


@pytest.fixture
def server() -> Iterator[Backend]:
    """Return a server behind nginx."""
    with Backend() as running:
        yield running


@pytest.fixture
def names(root: Path) -> Names:
    """Return what names stand for, for commands that are told."""
    if not may_mount():
        pytest.skip("needs root, to give a command a hosts file of its own")
    return Names(root)


def to(*servers: str) -> dict[str, Any]:
    """Return a backend with these servers."""
    return {"upstreams": {"web": list(servers)}}


def status(machine: Machine, name: str, path: str = "/") -> int:
    """Return how a request for a name is answered."""
    return client.get(machine.nginx.https, name, path).status


def configured(machine: Machine) -> str:
    """Return what nginx reads of ours."""
    return (machine.root / "var/lib/proxygen/live/nginx/current/proxygen.conf").read_text()


def overriding(machine: Machine, name: str) -> tuple[str, Path]:
    """Return the text of a template for nginx, and which file would stand in for it."""
    file = machine.config.parent / "templates/nginx" / name
    file.parent.mkdir(parents=True)
    return (TEMPLATES / "nginx" / name).read_text(), file


def starts_cold(machine: Machine) -> None:
    """Have the system start nginx again, where no name has an address and we have no say."""
    machine.nginx.stop()
    machine.nginx.start()


def succeeded(run: subprocess.CompletedProcess[str]) -> None:
    """Fail with all that was said unless the command succeeded."""
    assert run.returncode == 0, run.stdout + run.stderr


# Names of upstream servers.


def test_an_upstream_without_an_address_costs_its_own_backend_alone(
    web: Machine, names: Names, server: Backend
) -> None:
    two = f"http://app.internal:{server.port}"
    web.model(A | B, main=TRIAL, backends={"one": to(server.url), "two": to(two)})
    run = names.proxygen(web, "apply")
    succeeded(run)
    assert "backend two: no address found for app.internal" in run.stderr
    assert "/etc/hosts" in run.stderr
    assert (status(web, "www.a.example"), status(web, "www.b.example")) == (200, 502)
    starts_cold(web)
    assert (status(web, "www.a.example"), status(web, "www.b.example")) == (200, 502)
    for command in ("plan", "status", "check"):
        told = names.proxygen(web, command)
        assert "app.internal" in told.stdout + told.stderr, command
    assert names.proxygen(web, "check").returncode == 1
    again = names.proxygen(web, "apply")
    assert again.stdout == "nothing to do\n"
    assert "app.internal" in again.stderr


def test_an_upstream_that_has_an_address_again_is_used_and_kept_when_its_name_goes(
    web: Machine, names: Names, server: Backend
) -> None:
    web.model(B, main=TRIAL, backends={"two": to(f"http://app.internal:{server.port}")})
    succeeded(names.proxygen(web, "apply"))
    assert status(web, "www.b.example") == 502
    names.are({"app.internal": "127.0.0.1"})
    succeeded(names.proxygen(web, "apply"))
    assert status(web, "www.b.example") == 200
    assert "app.internal" not in configured(web)
    names.are({})
    run = names.proxygen(web, "apply")
    assert run.stdout == "nothing to do\n"
    assert "requests still go to 127.0.0.1" in run.stderr
    web.model(
        A | B,
        main=TRIAL,
        backends={"one": to(server.url), "two": to(f"http://app.internal:{server.port}")},
    )
    succeeded(names.proxygen(web, "apply"))
    starts_cold(web)
    assert (status(web, "www.a.example"), status(web, "www.b.example")) == (200, 200)


def test_of_several_servers_those_with_an_address_serve(
    web: Machine, names: Names, server: Backend
) -> None:
    servers = [f"http://{name}.internal:{server.port}" for name in ("gone", "there")]
    names.are({"there.internal": "127.0.0.1"})
    web.model(B, main=TRIAL, backends={"two": to(*servers)})
    run = names.proxygen(web, "apply")
    succeeded(run)
    assert "gone.internal" in run.stderr
    assert "there.internal" not in run.stderr
    assert [status(web, "www.b.example") for _ in range(4)] == [200] * 4


def test_name_servers_that_are_silent_hold_nothing_up_for_long(
    web: Machine, names: Names, server: Backend
) -> None:
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.77", 53))
    names.resolvers.write_text("nameserver 127.0.0.77\noptions timeout:30 attempts:5\n")
    two = f"http://app.internal:{server.port}"
    web.model(A | B, main=TRIAL, backends={"one": to(server.url), "two": to(two)})
    with silent:
        run = names.proxygen(web, "apply")  # the system's own look would take 150 seconds
    succeeded(run)
    assert "app.internal (no answer in time)" in run.stderr
    assert (status(web, "www.a.example"), status(web, "www.b.example")) == (200, 502)


def test_a_place_whose_name_is_looked_up_for_ever_is_given_up_in_time(names: Names) -> None:
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.78", 53))
    names.resolvers.write_text("nameserver 127.0.0.78\noptions timeout:30 attempts:5\n")
    probing = (
        "from proxygen.apply.probe import probe; from proxygen.services import Endpoint; "
        "print(probe(Endpoint('nginx', 'listens.internal', 443, '', None), 2.0).met.what)"
    )
    with silent:
        run = subprocess.run(
            names.wrapped(sys.executable, "-P", "-c", probing),
            capture_output=True,
            text=True,
            check=True,
        )
    assert run.stdout == "no answer within 2 s\n"  # the system's own words come after minutes


class NamedDaemon(Daemon):
    """The daemon with names of its own."""

    names: Names

    def __enter__(self) -> Self:
        command = [
            *(sys.executable, "-P", "-m", "proxygen", "--root", str(self.machine.root)),
            *("--config", str(self.machine.config), "watch", *self.arguments),
        ]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.names.wrapped(*command),
                env=self.environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stderr=output,
            )
        return self


def test_the_daemon_finds_an_address_by_itself(web: Machine, names: Names, server: Backend) -> None:
    web.model(B, main=TRIAL, backends={"two": to(f"http://app.internal:{server.port}")})
    daemon = NamedDaemon(web)
    daemon.names = names
    with daemon:
        daemon.until("round_ended")
        assert status(web, "www.b.example") == 502
        names.are({"app.internal": "127.0.0.1"})
        daemon.until("addresses_changed")
        until(lambda: status(web, "www.b.example") == 200, "the backend to answer", 60)


# The administrator's directives.

WRONG = "# mine\nno_such_directive on;\n"
SAYS_WHERE = "nginx.d/b.example/own.conf:2"


def directives(machine: Machine, name: str, text: str) -> Path:
    """Write a file of the administrator's own."""
    file = machine.config.parent / "nginx.d" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def both(machine: Machine, server: Backend, **more: Any) -> None:
    """Write a model with two domains."""
    backends = {"one": to(server.url), "two": to(server.url)}
    machine.model(A | B | more.pop("domains", {}), main=TRIAL, backends=backends, **more)


def test_a_bad_file_of_one_domain_is_left_out_and_what_it_said_before_stays_in_force(
    web: Machine, server: Backend
) -> None:
    both(web, server)
    file = directives(web, "b.example/own.conf", "location /secret { deny all; }\n")
    succeeded(web.proxygen("apply"))
    assert status(web, "www.b.example", "/secret") == 403
    file.write_text(WRONG)
    both(web, server, domains={"c.example": {"url": "https://www.c.example", "backend": "one"}})
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert "nginx refuses the directives of b.example; the last ones that it accepted" in run.stderr
    assert 'unknown directive "no_such_directive"' in run.stderr
    assert SAYS_WHERE in run.stderr
    assert "additions/" not in run.stderr
    assert status(web, "www.c.example") == 200  # everything else is done
    assert status(web, "www.b.example", "/secret") == 403
    starts_cold(web)
    assert status(web, "www.b.example", "/secret") == 403
    again = web.proxygen("apply")
    assert (again.returncode, again.stdout.count("install")) == (4, 0)
    for command in ("plan", "status", "check"):
        told = web.proxygen(command)
        assert SAYS_WHERE in told.stdout + told.stderr, command
    assert web.proxygen("check").returncode == 1
    file.write_text("location /other { deny all; }\n")
    succeeded(web.proxygen("apply"))
    assert status(web, "www.b.example", "/secret") == 200
    assert status(web, "www.b.example", "/other") == 403
    assert web.proxygen("apply").stdout == "nothing to do\n"
    assert "b.example/own.conf" not in web.proxygen("status").stderr


def test_a_new_domain_whose_directives_are_bad_is_closed_until_they_are_right(
    web: Machine, server: Backend
) -> None:
    both(web, server)
    file = directives(web, "b.example/own.conf", WRONG)
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert "b.example; its requests are answered with status 503" in run.stderr
    assert (status(web, "www.a.example"), status(web, "www.b.example")) == (200, 503)
    assert web.proxygen("check").returncode == 2
    web.model(
        A | B,
        main=TRIAL,
        backends={"one": to(server.url, "http://127.0.0.1:9"), "two": to(server.url)},
    )
    assert web.proxygen("apply").returncode == 4
    assert status(web, "www.b.example") == 503  # still: it was never open
    challenge = "/.well-known/acme-challenge/proxygen"
    assert status(web, "www.b.example", challenge) == 200
    file.write_text("location /secret { deny all; }\n")
    succeeded(web.proxygen("apply"))
    assert (status(web, "www.b.example"), status(web, "www.b.example", "/secret")) == (200, 403)


def test_a_domain_that_was_open_stays_open_while_its_first_directives_are_bad(
    web: Machine, server: Backend
) -> None:
    both(web, server)
    succeeded(web.proxygen("apply"))
    directives(web, "b.example/own.conf", WRONG)
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert "served without them, as before" in run.stderr
    assert status(web, "www.b.example") == 200


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("location /x {", id="a brace that is open"),
        pytest.param("}\nserver {", id="a brace too many"),
        pytest.param("location / { } location / { }", id="a location twice"),
        pytest.param("proxy_pass http://nobody.invalid;", id="a name without an address"),
        pytest.param("ssl_certificate /nowhere.pem;", id="words that name no file of ours"),
        pytest.param("include /nowhere.conf;", id="a file that is not there"),
        pytest.param('return 200 "unfinished', id="a quote that is open"),
    ],
)
def test_whatever_is_wrong_in_a_file_it_is_that_domain_alone(
    web: Machine, server: Backend, text: str
) -> None:
    both(web, server)
    directives(web, "a.example/good.conf", "add_header X-Good yes always;\n")
    directives(web, "b.example/own.conf", text)
    run = web.proxygen("apply")
    assert run.returncode == 4, run.stdout + run.stderr
    assert "directives of b.example" in run.stderr
    assert "directives of a.example" not in run.stderr
    assert client.get(web.nginx.https, "www.a.example").headers["x-good"] == "yes"
    assert status(web, "www.b.example") == 503


def test_what_cannot_be_read_is_as_good_as_refused(web: Machine, server: Backend) -> None:
    both(web, server)
    folder = directives(web, "b.example/own.conf/x", "").parent
    os.mkfifo(folder.parent / "pipe.conf")
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert "b.example/own.conf: Is a directory" in run.stderr
    assert (status(web, "www.a.example"), status(web, "www.b.example")) == (200, 503)


def test_several_that_are_bad_are_all_found(web: Machine, server: Backend) -> None:
    domains = {
        f"d{number}.example": {"url": f"https://www.d{number}.example", "backend": "one"}
        for number in range(12)
    }
    both(web, server, domains=domains)
    for number in range(12):
        bad = {3: WRONG, 5: "ssl_certificate /nowhere.pem;", 9: "ssl_certificate /gone.pem;"}
        text = bad.get(number, "add_header X-Good yes always;\n")
        directives(web, f"d{number}.example/own.conf", text)
    run = web.proxygen("apply", "--json")
    found = [each["of"] for each in json.loads(run.stdout)["failures"]]
    assert found == [f"nginx.d/d{number}.example" for number in (3, 5, 9)]
    answers = [status(web, f"www.d{number}.example") for number in range(12)]
    assert answers == [503 if number in (3, 5, 9) else 200 for number in range(12)]


def test_nothing_is_kept_of_what_was_refused(web: Machine, server: Backend) -> None:
    """Neither directives, which may hold passwords, nor keys."""
    both(web, server)
    file = directives(web, "b.example/own.conf", "location /secret { deny all; }\n")
    succeeded(web.proxygen("apply"))
    live = web.root / "var/lib/proxygen/live/nginx"
    for number in range(3):
        file.write_text(f"{WRONG}# hunter{number}\n")
        assert web.proxygen("apply").returncode == 4
        assert len(list((live / "additions").iterdir())) == 1
    strict_about_keys(web)
    own = supplied(web, "www.c.example", "-newkey", "rsa:2048")
    both(web, server, domains={"c.example": C["c.example"] | {"certificate": own}})
    assert web.proxygen("apply").returncode == 4
    assert not list((live / "certificates").glob("c.example-*"))
    noted = [json.loads(path.read_text()) for path in live.glob("generations/*/generation.json")]
    used = {digest for each in noted for digest in each["additions"].values()}
    assert {path.name for path in (live / "additions").iterdir()} == used - {""}


def test_bad_directives_for_all_leave_those_in_force_that_were(
    web: Machine, server: Backend
) -> None:
    both(web, server)
    file = directives(web, "all.conf", "location /secret { deny all; }\n")
    succeeded(web.proxygen("apply"))
    file.write_text(WRONG)
    both(web, server, domains={"c.example": {"url": "https://www.c.example", "backend": "one"}})
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert (
        "directives for all server blocks; the last ones that it accepted stay in use" in run.stderr
    )
    assert "nginx.d/all.conf:2" in run.stderr
    assert status(web, "www.c.example") == 200
    assert status(web, "www.c.example", "/secret") == 403
    starts_cold(web)
    file.write_text("location /other { deny all; }\n")
    succeeded(web.proxygen("apply"))
    assert status(web, "www.c.example", "/secret") == 200


def test_bad_directives_for_all_at_first_change_nothing(web: Machine, server: Backend) -> None:
    both(web, server)
    directives(web, "all.conf", WRONG)
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert "no_such_directive" in run.stderr
    assert not list(web.nginx.conf_d.iterdir())


def test_directives_that_pass_the_check_but_no_reload_are_left_out_as_well(
    web: Machine, server: Backend
) -> None:
    """`nginx -t` minds no port that is in use."""
    both(web, server)
    succeeded(web.proxygen("apply"))
    file = directives(web, "b.example/own.conf", f"listen 127.0.0.1:{server.port};\n")
    both(web, server, domains={"c.example": {"url": "https://www.c.example", "backend": "one"}})
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert "nginx refuses the directives of b.example" in run.stderr
    assert "Address already in use" in run.stderr
    assert status(web, "www.c.example") == status(web, "www.b.example") == 200
    file.unlink()
    succeeded(web.proxygen("apply"))


SLOW = 400
"""Seconds for a command whose reloads fail: each does after some."""


@contextmanager
def taken_port() -> Iterator[tuple[int, socket.socket]]:
    """Have somebody else listen on a port of this host."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1], other


def kept_of(machine: Machine) -> dict[str, int]:
    """Return when each file that nginx reads of ours was written."""
    live = machine.root / "var/lib/proxygen/live/nginx"
    return {str(path): path.lstat().st_mtime_ns for path in live.rglob("*")}


@pytest.mark.parametrize(
    ("name", "before"),
    [
        pytest.param("b.example/own.conf", True, id="one domain"),
        pytest.param("b.example/own.conf", False, id="one domain, first apply"),
        pytest.param("all.conf", True, id="every server block"),
    ],
)
def test_a_port_that_is_in_use_is_asked_for_again_once_it_is_free(
    web: Machine, server: Backend, name: str, before: bool
) -> None:
    """Each question costs a reload that fails after seconds: with nothing new there is none."""
    both(web, server)
    if before:
        succeeded(web.proxygen("apply"))
    directives(web, "a.example/good.conf", "add_header X-Good yes always;\n")
    with taken_port() as (port, other):
        text = f"listen 127.0.0.1:{port};\n"
        file = directives(web, name, text)
        run = web.proxygen("apply", seconds=SLOW)
        assert run.returncode == 4, run.stdout + run.stderr
        assert "Address already in use" in run.stderr
        assert "directives of a.example" not in run.stderr
        assert client.get(web.nginx.https, "www.a.example").headers["x-good"] == "yes"
        workers, kept = processes.workers(web.nginx.pid), kept_of(web)
        for _ in range(2):
            run = web.proxygen("apply")
            assert run.returncode == 4
            assert "Address already in use" in run.stderr
            assert "reload" not in run.stdout
        assert (processes.workers(web.nginx.pid), kept_of(web)) == (workers, kept)
        both(web, server, domains=C)
        run = web.proxygen("apply")  # the rest goes on
        assert (run.returncode, run.stdout.count("reload")) == (4, 1)
        assert status(web, "www.c.example") == 200
        file.write_text(text + "add_header X-Other yes always;\n")
        run = web.proxygen("apply", seconds=SLOW)  # another text is another question
        assert run.returncode == 4
        assert "reload" in run.stdout
        other.close()
        succeeded(web.proxygen("apply", seconds=SLOW))
        assert web.proxygen("apply").stdout == "nothing to do\n"
        assert client.get(web.nginx.https, "www.b.example").headers["x-other"] == "yes"


def test_what_a_running_nginx_refused_without_a_word_is_asked_of_the_next_one(
    web: Machine, server: Backend
) -> None:
    main = web.root / "etc/nginx/nginx.conf"
    main.write_text(re.sub("error_log [^;]+;", "error_log /dev/null;", main.read_text()))
    starts_cold(web)
    both(web, server)
    succeeded(web.proxygen("apply"))
    with taken_port() as (port, other):
        directives(web, "b.example/own.conf", f"listen 127.0.0.1:{port};\n")
        run = web.proxygen("apply", seconds=SLOW)
        assert run.returncode == 4, run.stdout + run.stderr
        assert "nginx refuses the directives of b.example" in run.stderr
        other.close()
        assert "reload" not in web.proxygen("apply").stdout
    starts_cold(web)
    succeeded(web.proxygen("apply"))


def test_a_name_that_would_keep_nginx_from_starting_is_told_with_its_place(
    web: Machine, names: Names, server: Backend
) -> None:
    """nginx takes it while it has an address, and does not start without the DNS."""
    names.are({"app.internal": "127.0.0.1"})
    both(web, server)
    text = f"location /x {{\n    proxy_pass http://app.internal:{server.port};\n}}\n"
    directives(web, "b.example/own.conf", text)
    web.nginx.stop()
    for command in ("validate", "plan", "apply"):
        told = names.proxygen(web, command)
        assert "nginx.d/b.example/own.conf:2: nginx looks up app.internal" in told.stderr, command
    told = names.proxygen(web, "validate", "--json")
    assert "own.conf:2" in json.loads(told.stdout)["warnings"][0]["words"]
    (web.config.parent / "nginx.d/b.example/own.conf").unlink()
    assert "looks up" not in names.proxygen(web, "apply").stderr
    web.nginx.start()


def test_a_name_that_the_running_nginx_did_not_find_is_asked_for_again(
    web: Machine, names: Names, server: Backend
) -> None:
    both(web, server)
    succeeded(web.proxygen("apply"))
    names.are({"app.internal": "127.0.0.1"})
    directives(web, "a.example/good.conf", "add_header X-Good yes always;\n")
    text = f"location /x {{\n    proxy_pass http://app.internal:{server.port};\n}}\n"
    directives(web, "b.example/own.conf", text)
    for _ in range(2):
        run = names.proxygen(web, "apply", seconds=SLOW)
        assert run.returncode == 4
        assert "nginx.d/b.example/own.conf:2" in run.stderr
        assert "additions/" not in run.stderr
        assert "directives of a.example" not in run.stderr
        assert "reload nginx" in run.stdout


def test_directives_are_kept_for_root_alone_and_shown_nowhere(
    web: Machine, server: Backend
) -> None:
    both(web, server)
    secret = "Basic dXNlcjpodW50ZXIy"
    directives(web, "b.example/own.conf", f'proxy_set_header Authorization "{secret}";\n')
    assert secret not in web.proxygen("plan", "--diff").stdout
    succeeded(web.proxygen("apply"))
    kept = web.root / "var/lib/proxygen/live/nginx/additions"
    assert kept.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in kept.glob("*/*")} == {0o600}


def test_the_daemon_takes_directives_in_again_when_they_are_mended(
    web: Machine, server: Backend
) -> None:
    both(web, server)
    file = directives(web, "b.example/own.conf", "location /secret { deny all; }\n")
    with Daemon(web) as daemon:
        daemon.until("round_ended")
        file.write_text(WRONG)
        told = daemon.until("service_failed")
        assert told["of"] == "nginx.d/b.example"
        assert "no_such_directive" in told["words"]
        assert status(web, "www.b.example", "/secret") == 403
        file.write_text("location /other { deny all; }\n")
        until(lambda: status(web, "www.b.example", "/other") == 403, "the mended directives", 60)


# Certificates.


def supplied(machine: Machine, name: str, *options: str) -> dict[str, Any]:
    """Make a certificate as a customer might; return what a model says of it."""
    file = machine.config.parent / f"{name}.pem"
    file.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-days", "90", "-subj", f"/CN={name}"),
            *("-addext", f"subjectAltName=DNS:{name}", *options),
            *("-keyout", f"{file}.key", "-out", str(file)),
        ],
        check=True,
        capture_output=True,
    )
    return {"file": {"certificate": file.name, "key": f"{file.name}.key"}}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("-newkey", "rsa:1024"), id="a key that is too small"),
        pytest.param(("-newkey", "rsa:2048", "-sha1"), id="an old signature"),
    ],
)
def test_a_supplied_certificate_that_openssl_would_refuse_never_reaches_nginx(
    web: Machine, server: Backend, options: tuple[str, ...]
) -> None:
    certificate = supplied(web, "www.b.example", *options)
    both(web, server, domains={"b.example": B["b.example"] | {"certificate": certificate}})
    assert web.proxygen("apply").returncode == 5
    assert (status(web, "www.a.example"), status(web, "www.b.example")) == (200, 200)


def test_a_certificate_that_this_nginx_refuses_leaves_the_global_one_in_its_place(
    web: Machine, server: Backend
) -> None:
    """As where the administrator asks for more than our own checks do."""
    ours, strict = overriding(web, "https.conf.j2")
    strict.write_text(ours.replace("ssl_ciphers ", "ssl_ciphers @SECLEVEL=3:"))
    short = B["b.example"] | {"certificate": supplied(web, "www.b.example", "-newkey", "rsa:2048")}
    both(web, server, domains={"b.example": short})
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert "nginx refuses the certificate of b.example" in run.stderr
    assert "ee key too small" in run.stderr
    assert (status(web, "www.a.example"), status(web, "www.b.example")) == (200, 200)
    assert client.names(client.leaf(web.nginx.https, "www.b.example")) == {"mail.example.net"}
    longer = B["b.example"] | {"certificate": supplied(web, "www.b.example", "-newkey", "rsa:3072")}
    both(web, server, domains={"b.example": longer})
    succeeded(web.proxygen("apply"))
    serving = client.leaf(web.nginx.https, "www.b.example")
    assert client.names(serving) == {"www.b.example"}
    short = B["b.example"] | {"certificate": supplied(web, "www.b.example", "-newkey", "rsa:2048")}
    both(web, server, domains={"b.example": short})
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert "its previous certificate stays in use" in run.stderr
    assert client.leaf(web.nginx.https, "www.b.example") == serving
    assert web.proxygen("apply").returncode == 4
    assert client.leaf(web.nginx.https, "www.b.example") == serving


def strict_about_keys(machine: Machine) -> Path:
    """Have nginx take no key of 2,048 bits; return the template that says so."""
    ours, strict = overriding(machine, "https.conf.j2")
    strict.write_text(ours.replace("ssl_ciphers ", "ssl_ciphers @SECLEVEL=3:"))
    return strict


def refuses_the_second(machine: Machine, server: Backend) -> Path:
    """Have a domain served with the certificate that it had; return the file that holds it."""
    strict_about_keys(machine)
    for size, code in (("3072", 0), ("2048", 4)):
        own = supplied(machine, "www.b.example", "-newkey", f"rsa:{size}")
        both(machine, server, domains={"b.example": B["b.example"] | {"certificate": own}})
        run = machine.proxygen("apply")
        assert run.returncode == code, run.stdout + run.stderr
    live = machine.root / "var/lib/proxygen/live/nginx"
    noted = json.loads((live / "current/generation.json").read_text())["certificates"]
    (present,) = (name for name in noted if name.startswith("b.example-"))
    return live / "certificates" / present


def stored(machine: Machine) -> dict[str, Any]:
    """Return the facts that are stored of a domain's certificate."""
    (path,) = (machine.root / "var/lib/proxygen/store").glob("certificates/*/b.example")
    facts: dict[str, Any] = json.loads(path.read_text())
    return facts


@pytest.mark.parametrize("damage", ["gone", "another text", "cut"])
def test_a_former_certificate_that_is_damaged_gives_way_to_the_global_one(
    web: Machine, server: Backend, damage: str
) -> None:
    """What is stored is another one, of which nothing is wrong here: it stays."""
    former = refuses_the_second(web, server)
    kept = stored(web)
    if damage == "gone":
        former.unlink()
    else:
        text = former.read_text()
        former.write_text("no certificate\n" if damage == "another text" else text[:-400])
    for _ in range(2):
        run = web.proxygen("apply")
        assert run.returncode == 4
        assert "certificate of b.example, which is served with the global certificate" in run.stderr
        assert "is damaged" not in run.stdout + run.stderr
        assert client.names(client.leaf(web.nginx.https, "www.b.example")) == {"mail.example.net"}
        assert stored(web) == kept
    starts_cold(web)
    assert "install" not in web.proxygen("apply").stdout


def test_a_former_certificate_whose_mode_somebody_changed_is_itself_again(
    web: Machine, server: Backend
) -> None:
    former = refuses_the_second(web, server)
    serving, kept = client.leaf(web.nginx.https, "www.b.example"), stored(web)
    former.chmod(0o644)
    assert web.proxygen("apply").returncode == 4
    assert client.leaf(web.nginx.https, "www.b.example") == serving
    assert former.stat().st_mode & 0o777 == 0o600
    assert stored(web) == kept


def test_a_present_certificate_that_is_damaged_is_written_again_and_blamed_on_nobody(
    web: Machine, server: Backend
) -> None:
    own = supplied(web, "www.b.example", "-newkey", "rsa:2048")
    domain = {"b.example": B["b.example"] | {"certificate": own}}
    both(web, server, domains=domain)
    succeeded(web.proxygen("apply"))
    (present,) = (web.root / "var/lib/proxygen/live/nginx/certificates").glob("b.example-*")
    whole = present.read_text()
    present.write_text("no certificate\n")
    both(web, server, domains=domain | C)
    succeeded(web.proxygen("apply"))
    assert present.read_text() == whole
    assert client.names(client.leaf(web.nginx.https, "www.b.example")) == {"www.b.example"}
    assert status(web, "www.c.example") == 200


def test_a_certificate_that_nginx_takes_no_more_gives_way_to_the_global_one(
    web: Machine, server: Backend
) -> None:
    """As after an upgrade that is stricter: the former one is the very one that it refuses."""
    own = supplied(web, "www.b.example", "-newkey", "rsa:2048")
    both(web, server, domains={"b.example": B["b.example"] | {"certificate": own}})
    succeeded(web.proxygen("apply"))
    ours, first = overriding(web, "names.conf.j2")
    first.write_text(ours)
    strict = first.with_name("https.conf.j2")
    text = (TEMPLATES / "nginx/https.conf.j2").read_text()
    strict.write_text(text.replace("ssl_ciphers ", "ssl_ciphers @SECLEVEL=3:"))
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert "certificate of b.example, which is served with the global certificate" in run.stderr
    assert status(web, "www.b.example") == 200


# What is found by halves, since nginx's words name nothing of it.


def test_a_backend_that_a_template_makes_nginx_refuse_is_closed_alone(
    web: Machine, server: Backend
) -> None:
    ours, strict = overriding(web, "locations.conf.j2")
    strict.write_text(
        ours.replace(
            "{% for passing in block.passings %}\n",
            "{% for passing in block.passings %}\n"
            '{% if passing.location.path == "/two" %}    no_such_directive;\n{% endif %}\n',
        )
    )
    locations = {"/": {"upstream": "web"}, "/two": {"upstream": "web"}}
    backends = {"one": to(server.url), "two": to(server.url) | {"locations": locations}}
    web.model(A | B, main=TRIAL, backends=backends)
    run = web.proxygen("apply")
    assert run.returncode == 4
    assert "nginx refuses the backend two; its requests are answered with status 503" in run.stderr
    assert (status(web, "www.a.example"), status(web, "www.b.example")) == (200, 503)
    strict.unlink()
    succeeded(web.proxygen("apply"))
    assert status(web, "www.b.example") == 200


# The administrator's templates.


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "no_such_directive;\n", "refuses the output of your templates", id="nginx refuses it"
        ),
        pytest.param("{{ nothing }}", "names.conf.j2:2", id="it cannot be rendered"),
        pytest.param(None, "cannot be read", id="it cannot be read"),
    ],
)
def test_a_bad_template_leaves_those_in_force_that_were(
    web: Machine, server: Backend, text: str | None, said: str
) -> None:
    ours, file = overriding(web, "names.conf.j2")
    file.write_text(f"{ours}    add_header X-Mine yes always;\n")
    both(web, server)
    succeeded(web.proxygen("apply"))
    file.unlink()
    if text is None:
        file.mkdir()
    else:
        file.write_text(ours + text)
    both(web, server, domains={"c.example": {"url": "https://www.c.example", "backend": "one"}})
    for _ in range(2):
        run = web.proxygen("apply")
        assert run.returncode == 4
        assert said in run.stdout + run.stderr
        assert status(web, "www.c.example") == 200
    assert run.stdout.count("install") == 0
    headers = client.get(web.nginx.https, "www.c.example", "/.well-known/none").headers
    assert headers["x-mine"] == "yes"
    starts_cold(web)
    file.rmdir() if text is None else file.unlink()
    succeeded(web.proxygen("apply"))
    headers = client.get(web.nginx.https, "www.c.example", "/.well-known/none").headers
    assert "x-mine" not in headers


# Several at once.


C = {"c.example": {"url": "https://www.c.example", "backend": "one"}}


@pytest.mark.parametrize("more", ["{{ nothing }}", "no_such_directive_either;\n"])
def test_a_template_and_a_folder_that_are_both_bad_keep_no_new_domain(
    web: Machine, server: Backend, more: str
) -> None:
    both(web, server)
    succeeded(web.proxygen("apply"))
    directives(web, "b.example/own.conf", WRONG)
    ours, template = overriding(web, "names.conf.j2")
    template.write_text(ours + more)
    both(web, server, domains=C)
    run = web.proxygen("apply")
    assert run.returncode == 4, run.stdout + run.stderr
    assert status(web, "www.c.example") == 200


def test_a_bad_folder_at_the_first_apply_keeps_nobody_from_a_certificate(
    web: Machine, server: Backend
) -> None:
    backends = {"one": to(server.url), "two": to(server.url)}
    acme = {key: each | {"certificate": "acme"} for key, each in (A | B).items()}
    web.model(acme, backends=backends)
    directives(web, "b.example/own.conf", WRONG)
    web.proxygen("apply")
    shown = json.loads(web.proxygen("status", "--json").stdout)
    assert {each["certificate"]["source"] for each in shown["owners"]} == {"acme"}


def test_a_template_that_cannot_be_rendered_keeps_no_new_domain_from_a_certificate(
    web: Machine, server: Backend
) -> None:
    """The former templates are in force: nginx answers the authority's challenges by them."""
    both(web, server)
    succeeded(web.proxygen("apply"))
    ours, template = overriding(web, "names.conf.j2")
    template.write_text(ours + "{{ nothing }}")
    both(web, server, domains={"c.example": C["c.example"] | {"certificate": "acme"}})
    run = web.proxygen("apply")
    assert run.returncode == 4, run.stdout + run.stderr
    assert "not asked for" not in run.stdout + run.stderr
    assert client.names(client.leaf(web.nginx.https, "www.c.example")) == {"www.c.example"}


def test_each_service_is_asked_for_itself(machine: Machine, server: Backend) -> None:
    """What the others refuse is no reason not to find out what nginx does."""
    assert machine.dovecot
    strict_about_keys(machine)
    both(machine, server)
    succeeded(machine.proxygen("apply"))
    dovecot = f"dovecot/tls-{'2.4' if machine.dovecot.is_2_4 else '2.3'}.conf.j2"
    bad = {
        "nginx/names.conf.j2": "no_such_directive;\n",
        "postfix/main.cf.j2": "no such parameter = 1\n",
        dovecot: "no_such_setting = yes\n",
    }
    for name, wrong in bad.items():
        file = machine.config.parent / "templates" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((TEMPLATES / name).read_text() + wrong)
    run = machine.proxygen("apply", "--json")
    failed = {each["of"] for each in json.loads(run.stdout)["failures"]}
    assert failed == {"templates/nginx", "templates/postfix", "templates/dovecot"}
    own = supplied(machine, "www.b.example", "-newkey", "rsa:2048")
    both(machine, server, domains={"b.example": B["b.example"] | {"certificate": own}} | C)
    run = machine.proxygen("apply")
    assert run.returncode == 4
    assert "nginx refuses the certificate of b.example" in run.stderr
    assert status(machine, "www.c.example") == 200


def test_what_a_reload_refused_and_cannot_be_noted_is_no_bug(web: Machine, server: Backend) -> None:
    both(web, server)
    succeeded(web.proxygen("apply"))
    made(web.root / "var/lib/proxygen/live/nginx/left-out/in the way")
    with taken_port() as (port, _):
        directives(web, "b.example/own.conf", f"listen 127.0.0.1:{port};\n")
        run = web.proxygen("apply", seconds=SLOW)
    assert run.returncode == 4, run.stdout + run.stderr
    assert "Address already in use" in run.stderr
    assert "Is a directory" in run.stdout
    assert (status(web, "www.a.example"), status(web, "www.b.example")) == (200, 200)

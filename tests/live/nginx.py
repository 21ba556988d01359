"""Nginx: laid out below a root folder as Debian lays it out below /."""

from __future__ import annotations

import http.client
import os
import pwd
import signal
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.live.needs import path_of
from tests.live.processes import Program, children, made

CONFIGURATION = """\
{user}worker_processes {workers};
pid {root}/run/nginx.pid;
error_log {root}/var/log/nginx/error.log notice;

events {{
    worker_connections 512;
}}

http {{
    access_log {root}/var/log/nginx/access.log;
    client_body_temp_path {root}/var/lib/nginx/body;
    proxy_temp_path {root}/var/lib/nginx/proxy;
    fastcgi_temp_path {root}/var/lib/nginx/fastcgi;
    uwsgi_temp_path {root}/var/lib/nginx/uwsgi;
    scgi_temp_path {root}/var/lib/nginx/scgi;

    # The administrator's own server, on a port of its own.
    server {{
        listen 127.0.0.1:{own};
        location / {{
            return 204;
        }}
    }}

    include {root}/etc/nginx/conf.d/*.conf;
}}
"""


class Nginx(Program):
    """nginx with an empty ``conf.d`` and one server of its own.

    *http* and *https* are the ports meant for proxygen's server blocks: nobody listens there
    until a file in ``conf.d`` says so.
    """

    name = "nginx"
    stop_signal = signal.SIGQUIT

    def __init__(
        self, root: Path, *, program: str = "", workers: int = 1, outlives: bool = False
    ) -> None:
        super().__init__(root, outlives=outlives)
        self.program = program or path_of("nginx")
        self.count = workers

    @property
    def http(self) -> int:
        """The port meant for HTTP."""
        return self.ports[0]

    @property
    def https(self) -> int:
        """The port meant for HTTPS."""
        return self.ports[1]

    @property
    def own(self) -> int:
        """The port of the administrator's own server, which answers 204."""
        return self.ports[2]

    @property
    def main(self) -> Path:
        """Its main configuration file."""
        return self.root / "etc/nginx/nginx.conf"

    @property
    def conf_d(self) -> Path:
        """The folder whose ``*.conf`` it includes."""
        return self.root / "etc/nginx/conf.d"

    @property
    def logs(self) -> tuple[Path, ...]:
        """Standard error and its error log."""
        return (self.output, self.root / "var/log/nginx/error.log")

    def configure(self) -> None:
        """Choose ports and write ``nginx.conf`` with an empty ``conf.d``."""
        self.reserve(3)
        for folder in ("run", "var/log/nginx", "var/lib/nginx", "etc/nginx/conf.d"):
            made(self.root / folder)
        self.main.write_text(
            CONFIGURATION.format(
                root=self.root, own=self.own, workers=self.count, user=user_directive()
            )
        )

    def argv(self) -> Sequence[str]:
        """Return the command: in the foreground, no path outside the root."""
        log = self.root / "var/log/nginx/error.log"
        return (
            *(self.program, "-p", f"{self.root}/", "-c", str(self.main), "-e", str(log)),
            *("-g", "daemon off;"),
        )

    def answers(self) -> bool:
        """Return whether the administrator's own server answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.own, timeout=2)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == http.client.NO_CONTENT
        finally:
            connection.close()

    @property
    def workers(self) -> frozenset[int]:
        """The process ids of its workers; all of them change with a reload that succeeds."""
        return frozenset(one.pid for one in children(self.pid) if is_worker(one))


def is_worker(process: psutil.Process) -> bool:
    """Return whether *process* is a worker that serves; one that shuts down is not."""
    try:
        title = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
    return "worker process" in title and "shutting down" not in title


def user_directive() -> str:
    """Return the directive that names the workers' user; only root can change to one."""
    if os.geteuid() != 0:
        return ""
    users = {entry.pw_name for entry in pwd.getpwall()}
    return "user www-data;\n" if "www-data" in users else "user nobody nogroup;\n"

"""The real ACME clients of others, at any authority; each answers challenges itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol

from tests.live import ports
from tests.live.needs import path_of
from tests.live.processes import environment, made, until

CERTBOT = Path(sys.executable).with_name("certbot")


class Served(Protocol):
    """An authority that runs."""

    @property
    def directory(self) -> str:
        """The URL of its directory."""

    @property
    def trusted_root(self) -> Path:
        """The root of its own HTTPS."""


def run(*argv: str, **more: str) -> str:
    """Run another ACME client to its good end; return what it said."""
    done = subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(**more),
        cwd="/",
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@dataclass(frozen=True)
class Certbot:
    """certbot with its *folder* (/etc/letsencrypt); it listens at *port* for the authority."""

    folder: Path
    authority: Served
    port: int

    def __call__(self, *arguments: str) -> str:
        """Run it; return what it said."""
        return run(
            str(CERTBOT),
            *arguments,
            *("--config-dir", str(self.folder), "--work-dir", str(self.folder / "work")),
            *("--logs-dir", str(self.folder / "logs"), "--server", self.authority.directory),
            *("--non-interactive", "--agree-tos", "--register-unsafely-without-email"),
            *("--http-01-port", str(self.port)),
            REQUESTS_CA_BUNDLE=str(self.authority.trusted_root),
        )

    def obtain(self, *names: str, more: tuple[str, ...] = ()) -> Path:
        """Obtain a certificate; return its folder in live."""
        asked = [word for name in names for word in ("-d", name)]
        self("certonly", "--standalone", *asked, *more)
        return self.folder / "live" / names[0]

    @property
    def account_key(self) -> Path:
        """The key of its one account."""
        (found,) = self.folder.glob("accounts/**/private_key.json")
        return found


@dataclass(frozen=True)
class Lego:
    """lego with its --path, *folder*."""

    folder: Path
    authority: Served
    port: int

    def obtain(self, *names: str) -> None:
        """Obtain a certificate."""
        asked = [word for name in names for word in ("--domains", name)]
        run(
            path_of("lego"),
            *("--server", self.authority.directory, "--path", str(self.folder), *asked),
            *("--email", "lego@example.net", "--accept-tos"),
            *("--http", "--http.port", f"127.0.0.1:{self.port}", "run"),
            LEGO_CA_CERTIFICATES=str(self.authority.trusted_root),
        )


@dataclass(frozen=True)
class Dehydrated:
    """dehydrated with the *folder* of its config; what it answers is served at *port*."""

    folder: Path
    authority: Served
    port: int

    def obtain(self, *names: str) -> None:
        """Obtain a certificate."""
        state, answers = made(self.folder.parent / "state"), made(self.folder.parent / "answers")
        made(self.folder)
        (self.folder / "config").write_text(
            f"# as Debian has it\nBASEDIR={state}\n"
            f'WELLKNOWN="{answers}/.well-known/acme-challenge"\n'
            f"CA='{self.authority.directory}'  # a private one\n"
            f'CURL_OPTS="--cacert {self.authority.trusted_root}"\n'
            f"CONTACT_EMAIL=dehydrated@example.net\n"
        )
        made(answers / ".well-known/acme-challenge")
        program = (path_of("dehydrated"), "--config", str(self.folder / "config"))
        run(*program, "--register", "--accept-terms")
        asked = [word for name in names for word in ("--domain", name)]
        handler = partial(Quiet, directory=str(answers))
        with ThreadingHTTPServer(("127.0.0.1", self.port), handler) as server:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            try:
                run(*program, "--cron", *asked)
            finally:
                server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: object) -> None:
        pass


APACHE = """\
ServerRoot {root}
ServerName localhost
PidFile {root}/apache.pid
ErrorLog {root}/error.log
LogLevel md:debug
DefaultRuntimeDir {root}
Mutex file:{root} default
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule socache_shmcb_module {modules}/mod_socache_shmcb.so
LoadModule ssl_module {modules}/mod_ssl.so
LoadModule md_module {modules}/mod_md.so
{user}Listen 127.0.0.1:{http}
Listen 127.0.0.1:{https}
MDStoreDir {folder}
MDCertificateAgreement accepted
MDCertificateAuthority {directory}
MDCACertificateFile {trusted}
MDContactEmail admin@example.net
MDPortMap 80:{http} 443:{https}
MDomain {names}
<VirtualHost 127.0.0.1:{https}>
ServerName {name}
SSLEngine on
</VirtualHost>
"""


@dataclass(frozen=True)
class ModMd:
    """Apache with mod_md, whose MDStoreDir is *folder*."""

    folder: Path
    authority: Served
    port: int

    def obtain(self, *names: str) -> None:
        """Run Apache until a certificate is obtained and put in place, which a restart does."""
        root = made(self.folder.parent / "apache-run")
        made(self.folder)
        root.chmod(0o755)
        trusted = root / "trusted.pem"  # it is read by Apache's user
        trusted.write_bytes(self.authority.trusted_root.read_bytes())
        text = APACHE.format(
            root=root,
            modules="/usr/lib/apache2/modules",
            user="User nobody\nGroup nogroup\n" if os.geteuid() == 0 else "",
            http=self.port,
            https=ports.reserve(),
            folder=self.folder,
            directory=self.authority.directory,
            trusted=trusted,
            names=" ".join(names),
            name=names[0],
        )
        (root / "apache.conf").write_text(text)
        argv = (path_of("apache2"), "-f", str(root / "apache.conf"), "-DFOREGROUND")
        with (root / "out").open("wb") as out:
            apache = subprocess.Popen(argv, stdout=out, stderr=out, start_new_session=True)
        try:
            staged = self.folder / "staging" / names[0] / "job.json"
            until(
                lambda: staged.is_file() and '"finished": true' in staged.read_text(), "mod_md", 60
            )
            apache.send_signal(signal.SIGUSR1)
            live = self.folder / "domains" / names[0] / "pubcert.pem"
            until(live.is_file, "mod_md to put it in place", 60)
        finally:
            apache.terminate()
            apache.wait(30)

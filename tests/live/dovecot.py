"""Dovecot 2.3 or 2.4: IMAP, POP3 and, where it is installed, ManageSieve below a root folder."""

from __future__ import annotations

import grp
import os
import pwd
import re
import signal
import socket
import subprocess
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from tests.live.authority import snakeoil
from tests.live.needs import path_of
from tests.live.processes import Program, made

MAIN = """\
{versions}protocols = {protocols}
listen = 127.0.0.1
base_dir = {root}/run/dovecot
state_dir = {root}/var/lib/dovecot
log_path = {root}/var/log/dovecot.log
first_valid_uid = 1
{unprivileged}
{users}
!include conf.d/*.conf
"""

USERS_2_3 = """\
mail_location = maildir:{root}/var/mail/%u
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={root}/var/mail/%u
}}
"""

VERSIONS_2_4 = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
"""
"""What the first lines of a file for 2.4 must be."""

USERS_2_4 = """\
mail_driver = maildir
mail_path = {root}/var/mail/%{{user}}
passdb static {{
  password = secret
}}
userdb static {{
  fields {{
    uid = {uid}
    gid = {gid}
    home = {root}/var/mail/%{{user}}
  }}
}}
"""

MASTER = """\
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
"""

SIEVE = """\
service managesieve-login {{
  inet_listener sieve {{
    port = {sieve}
  }}
}}
"""

PRESENTED_2_3 = """\
ssl_cert = <{certificate}
ssl_key = <{key}
"""

PRESENTED_2_4 = """\
ssl_server_cert_file = {certificate}
ssl_server_key_file = {key}
"""

UNPRIVILEGED = """\
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
service anvil {{
  chroot =
}}
service imap-login {{
  chroot =
}}
service pop3-login {{
  chroot =
}}
service managesieve-login {{
  chroot =
}}
service stats {{
  chroot =
}}
"""

SIEVE_PROGRAMS = (
    "/usr/lib/dovecot/managesieve-login",
    "/usr/libexec/dovecot/managesieve-login",
)


class Dovecot(Program):
    """dovecot with a self-signed certificate; every user's password is ``secret``."""

    name = "dovecot"
    stop_signal = signal.SIGKILL  # asked politely it takes a second

    def __init__(self, root: Path, *, program: str = "", outlives: bool = False) -> None:
        super().__init__(root, outlives=outlives)
        self.program = program or path_of("dovecot")
        self.has_sieve = any(Path(path).exists() for path in SIEVE_PROGRAMS)

    @property
    def imap(self) -> int:
        """The port for IMAP: STARTTLS."""
        return self.ports[0]

    @property
    def imaps(self) -> int:
        """The port for IMAP: TLS from the first byte."""
        return self.ports[1]

    @property
    def pop3(self) -> int:
        """The port for POP3: STARTTLS."""
        return self.ports[2]

    @property
    def pop3s(self) -> int:
        """The port for POP3: TLS from the first byte."""
        return self.ports[3]

    @property
    def sieve(self) -> int:
        """The port for ManageSieve: STARTTLS. Nobody listens unless ``has_sieve``."""
        return self.ports[4]

    @cached_property
    def is_2_4(self) -> bool:
        """Whether its settings are called as 2.4 calls them."""
        return is_2_4(self.program)

    @property
    def main(self) -> Path:
        """Its main configuration file."""
        return self.root / "etc/dovecot/dovecot.conf"

    @property
    def logs(self) -> tuple[Path, ...]:
        """Standard error and its own log."""
        return (self.output, self.root / "var/log/dovecot.log")

    def configure(self) -> None:
        """Choose ports and write ``dovecot.conf`` and ``conf.d``, as Debian splits them."""
        self.reserve(5)
        certificate, key = snakeoil(self.root)
        listed = dict(zip(("imap", "imaps", "pop3", "pop3s", "sieve"), self.ports, strict=True))
        self.write("conf.d/10-master.conf", self.master.format(**listed))
        self.write("conf.d/10-ssl.conf", "ssl = yes\n" + self.presented(certificate, key))
        self.write("dovecot.conf", self.text)
        made(self.root / "var/lib/dovecot")

    def presented(self, certificate: Path, key: Path) -> str:
        """Return the settings that have a certificate presented."""
        text = PRESENTED_2_4 if self.is_2_4 else PRESENTED_2_3
        return text.format(certificate=certificate, key=key)

    @property
    def master(self) -> str:
        """The template of the listeners."""
        return MASTER + SIEVE if self.has_sieve else MASTER

    @property
    def text(self) -> str:
        """The text of the main file."""
        uid, gid = (os.geteuid(), os.getegid()) if os.geteuid() else (65534, 65534)
        users = USERS_2_4 if self.is_2_4 else USERS_2_3
        return MAIN.format(
            versions=VERSIONS_2_4 if self.is_2_4 else "",
            protocols=self.protocols,
            root=self.root,
            unprivileged=unprivileged(),
            users=users.format(root=self.root, uid=uid, gid=gid),
        )

    @property
    def protocols(self) -> str:
        """The protocols that are spoken, as ``protocols`` lists them."""
        return "imap pop3 sieve" if self.has_sieve else "imap pop3"

    def write(self, name: str, text: str) -> None:
        """Write one file of its configuration."""
        path = self.main.parent / name
        made(path.parent)
        path.write_text(text)

    def argv(self) -> Sequence[str]:
        """Return the command that runs its master in the foreground."""
        return (self.program, "-c", str(self.main), "-F")

    def answers(self) -> bool:
        """Return whether the IMAP banner comes; an open port alone is not enough."""
        with socket.create_connection(("127.0.0.1", self.imap), timeout=5) as connection:
            return connection.recv(512).startswith(b"* OK")


def unprivileged() -> str:
    """Return the settings with which dovecot runs as the caller, none for root."""
    if os.geteuid() == 0:
        return ""

    user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    return UNPRIVILEGED.format(user=user, group=group)


def is_2_4(program: str) -> bool:
    """Return whether the settings of that dovecot are called as 2.4 calls them."""
    said = subprocess.run(
        [program, "--version"], capture_output=True, text=True, timeout=20, check=True
    ).stdout
    found = re.match(r"(\d+)\.(\d+)", said)
    return found is not None and (int(found[1]), int(found[2])) >= (2, 4)

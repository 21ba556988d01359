"""Postfix: smtp, submission and smtps below a root folder; it must start as root."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from tests.live.authority import snakeoil
from tests.live.processes import Program, made

MAIN = """\
# As Debian's own, but private: below {root}, on loopback ports.
compatibility_level = 3.6
multi_instance_enable = yes
multi_instance_name = postfix-{submission}
queue_directory = {root}/var/spool/postfix
data_directory = {root}/var/lib/postfix
command_directory = /usr/sbin
daemon_directory = {daemons}
maillog_file = {root}/var/log/mail.log
maillog_file_prefixes = {root}
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.example.net
mydestination = localhost
alias_maps =
alias_database =
local_transport = discard:
default_transport = discard:
service_throttle_time = 1s

# TLS parameters
smtpd_tls_cert_file={certificate}
smtpd_tls_key_file={key}
smtpd_tls_security_level=may
"""

MASTER = """\
127.0.0.1:{smtp} inet n - n - - smtpd
127.0.0.1:{submission} inet n - n - - smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
127.0.0.1:{smtps} inet n - n - - smtpd
  -o syslog_name=postfix/smtps
  -o smtpd_tls_wrappermode=yes
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
proxywrite unix -       -       n       -       1       proxymap
smtp      unix  -       -       n       -       -       smtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""

DAEMONS = Path("/usr/lib/postfix/sbin")
"""Where Debian has postfix's daemons."""
QUEUES = (
    *("active", "bounce", "corrupt", "defer", "deferred", "flush"),
    *("hold", "incoming", "private", "saved", "trace"),
)
"""The folders of the queue that belong to postfix alone."""


class Postfix(Program):
    """postfix with a self-signed certificate, as Debian installs it; mail is discarded."""

    name = "postfix"

    def __init__(self, root: Path, *, daemons: Path = DAEMONS, outlives: bool = False) -> None:
        super().__init__(root, outlives=outlives)
        self.daemons = daemons

    @property
    def smtp(self) -> int:
        """The port for mail from other servers: STARTTLS."""
        return self.ports[0]

    @property
    def submission(self) -> int:
        """The port for mail from users: STARTTLS."""
        return self.ports[1]

    @property
    def smtps(self) -> int:
        """The port for mail from users: TLS from the first byte."""
        return self.ports[2]

    @property
    def main(self) -> Path:
        """Its main configuration file."""
        return self.root / "etc/postfix/main.cf"

    @property
    def logs(self) -> tuple[Path, ...]:
        """Standard error and its own log."""
        return (self.output, self.root / "var/log/mail.log")

    def configure(self) -> None:
        """Choose ports and write ``main.cf`` and ``master.cf``."""
        self.reserve(3)
        made(self.main.parent)
        self.lay_out()
        certificate, key = snakeoil(self.root)
        places = {"root": self.root, "certificate": certificate, "key": key}
        places |= {"daemons": self.daemons}
        listed = {"smtp": self.smtp, "submission": self.submission, "smtps": self.smtps}
        self.main.write_text(MAIN.format(**places, **listed))
        settled(self.main)
        (self.main.parent / "master.cf").write_text(MASTER.format(**listed))

    def lay_out(self) -> None:
        """Make the folders of queue and data, as ``postfix start`` would."""
        queue = made(self.root / "var/spool/postfix")
        made(queue / "pid")
        for name in QUEUES:
            own(made(queue / name), "postfix", 0o700)
        own(made(queue / "public"), "postdrop", 0o2710)
        own(made(queue / "maildrop"), "postdrop", 0o1730)
        own(made(self.root / "var/lib/postfix"), "postfix", 0o755)

    def argv(self) -> Sequence[str]:
        """Return the command that runs its master in the foreground (master(8)).

        ``postfix start-fg`` would keep a shell in between that passes no signal on.
        """
        return (str(self.daemons / "master"), "-s", "-c", str(self.main.parent))

    def answers(self) -> bool:
        """Return whether the SMTP banner comes."""
        with socket.create_connection(("127.0.0.1", self.smtp), timeout=5) as connection:
            return connection.recv(512).startswith(b"220 ")


def own(folder: Path, group: str, mode: int) -> None:
    """Give *folder* to the user postfix."""
    shutil.chown(folder, "postfix", group)
    folder.chmod(mode)


def settled(path: Path) -> None:
    """Make a file look older: postfix waits until ``main.cf`` was left alone for 2 s."""
    before = time.time() - 10
    os.utime(path, (before, before))

"""systemd: what a service tells its manager, as sd_notify(3) has it."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

LONGEST_STATUS = 300
MICROSECONDS = re.compile(r"[0-9]{1,15}")
"""Up to thirty years: whoever asks for more waits for no sign of life."""


@dataclass(frozen=True, slots=True)
class Manager:
    """The service manager that started us; without an *address* nobody is told anything.

    *patience* is how many seconds it waits for a sign of life before it restarts us, None when
    it asks for none.
    """

    address: str | None = None
    patience: float | None = None

    def ready(self) -> None:
        """Tell that we do what we are for, or do so again after a reload."""
        self.say("READY=1")

    def reloading(self) -> None:
        """Tell that we read our configuration again; with ``Type=notify-reload`` it waits."""
        self.say(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Tell that we end."""
        self.say("STOPPING=1")

    def alive(self) -> None:
        """Give the sign of life that its watchdog waits for."""
        self.say("WATCHDOG=1")

    def status(self, words: str) -> None:
        """Tell in one line how things are, as ``systemctl status`` shows it."""
        shown = "".join(each if each.isprintable() else " " for each in words)
        self.say(f"STATUS={shown[:LONGEST_STATUS]}")

    def say(self, state: str) -> None:
        """Send one datagram; nobody has to listen, and nothing waits for one who does not."""
        if self.address is None:
            return
        target = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
            sending.settimeout(1)
            sending.sendto(state.encode("utf-8", "replace"), target)


def service_manager(environment: Mapping[str, str]) -> Manager:
    """Return the manager that the environment names.

    An address starts with ``/``, or with ``@`` for one in the abstract namespace. The watchdog
    is ours only when its process id is (sd_watchdog_enabled(3)).
    """
    address = environment.get("NOTIFY_SOCKET", "")
    usable = address.startswith(("/", "@")) and len(address) > 1
    return Manager(address if usable else None, watchdog_seconds(environment))


def watchdog_seconds(environment: Mapping[str, str]) -> float | None:
    """Return the seconds within which a sign of life is expected, None for no such wish."""
    meant, asked = environment.get("WATCHDOG_PID"), environment.get("WATCHDOG_USEC", "")
    if meant not in (None, str(os.getpid())) or not MICROSECONDS.fullmatch(asked):
        return None
    return int(asked) / 1_000_000 or None

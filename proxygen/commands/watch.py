"""watch: the daemon; a round when the model, the calendar or a service gives reason for one."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NoReturn

import click

from proxygen.daemon.bell import Bell
from proxygen.daemon.log_lines import INFO, WARNING
from proxygen.daemon.loop import Watch
from proxygen.errors import LockHeld
from proxygen.host import files, lock, logs, systemd
from proxygen.host.logs import log_event
from proxygen.host.watching import Watching
from proxygen.model.layout import Layout

GRACE = 1.5
"""Seconds in which what is under way may end by itself once we are asked to end."""
PULSES = 0.5
"""Of the time that a service manager waits for a sign of life (sd_watchdog_enabled(3))."""
SHORTEST_PULSE = 0.1
"""Seconds between signs of life, however impatient the service manager is."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@click.command(short_help="Run as a daemon, and do what `apply` does when due.")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    help="The format of the log on standard error.",
)
@click.option(
    "--log-level",
    type=click.Choice(logs.LEVELS),
    default="info",
    help="The lowest level that is logged.",
)
@click.pass_obj
def command(layout: Layout, log_format: str, log_level: str) -> None:
    """Run as a daemon that does what `apply` does, whenever it is due.

    That is when the model or a file that it names changes, when a certificate is due, when a
    service was restarted or its configuration changed, and on SIGHUP. While the model is wrong,
    the daemon uses the last right one; if there is none, it waits. Exit code 7: the daemon is
    already running.
    """
    logs.start_logging(log_format, log_level, os.environ)
    with single_process(layout):
        run_daemon(Layout(layout.root, layout.config.absolute()))


@contextmanager
def single_process(layout: Layout) -> Iterator[None]:
    """Have a block run in one process at a time; raise LockHeld in another one."""
    files.folder(layout.watch, 0o700)
    try:
        with lock.hold(layout.watch / "lock"):
            yield
    except LockHeld as error:
        raise LockHeld(replace(error.failure, code="daemon-runs")) from error


def run_daemon(layout: Layout) -> NoReturn:
    """Watch until asked to end."""
    manager = systemd.service_manager(os.environ)
    clock = SystemClock()
    bell = Bell(clock.ticks)
    watch = Watch(layout, clock, bell, Watching(bell.ring, warn_blind), manager)
    with receive_signals(Receiver(watch, manager).receive), give_pulse(manager, watch.lively):
        log_event(INFO, "started", pid=os.getpid(), config=layout.config)
        watch.run()
    leave_at_once()


class SystemClock:
    """The clock of this host."""

    def now(self) -> datetime:
        """Return the time of day."""
        return datetime.now(UTC)

    def ticks(self) -> float:
        """Return seconds that never jump."""
        return time.monotonic()

    def spent(self) -> float:
        """Return the seconds of a core that this process has used."""
        return time.process_time()


def warn_blind(error: OSError) -> None:
    """Say that the kernel does not tell of all changes, and what to do."""
    log_event(
        WARNING,
        "cannot_watch",
        what=f"{error.filename or 'some folders'}: {error.strerror or error}",
        instead="all files are looked at again and again",
        remedy="raise fs.inotify.max_user_watches and max_user_instances (sysctl), then restart",
    )


# Signals and the service manager.


@dataclass(frozen=True, slots=True)
class Receiver:
    """Does what a signal asks for, from a thread of its own, whatever the loop is at."""

    watch: Watch
    manager: systemd.Manager

    def receive(self, number: int) -> None:
        """Take one signal."""
        if number == signal.SIGHUP:
            self.manager.reloading()
            self.watch.ask()
            return
        if not self.watch.stopping:
            log_event(INFO, "stopping", because=signal.Signals(number).name)
            self.manager.stopping()
            self.watch.stop()
            timer = threading.Timer(GRACE, leave_at_once)
            timer.daemon = True
            timer.start()


@contextmanager
def receive_signals(receive: Callable[[int], None]) -> Iterator[None]:
    """Have signals received by a thread: the main one may be waiting where none interrupts it."""
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    former = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)  # the byte in the socket is what counts

    def read() -> None:
        while numbers := reading.recv(64):
            for number in numbers:
                receive(number)

    threading.Thread(target=read, name="signals", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(former)
        writing.close()


@contextmanager
def give_pulse(manager: systemd.Manager, lively: Callable[[], bool]) -> Iterator[None]:
    """Give the service manager a sign of life again and again, while the loop gives one."""
    over = threading.Event()

    def beat(seconds: float) -> None:
        while not over.wait(seconds):
            if lively():
                manager.alive()

    if manager.patience is not None:
        seconds = min(max(SHORTEST_PULSE, PULSES * manager.patience), threading.TIMEOUT_MAX)
        threading.Thread(target=beat, args=[seconds], name="pulse", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def leave_at_once() -> NoReturn:
    """End at once: whatever a thread still waits for, it may be killed at any instant.

    What answers challenges for us is removed: who began an order is about to be gone. Answers
    of other runs stay.
    """
    from proxygen.daemon.waiting_names import WaitingNames
    from proxygen.solvers.dns01 import Dns01
    from proxygen.solvers.http01 import Webroot

    WaitingNames.withdraw()
    Webroot.withdraw()
    Dns01.withdraw()
    log_event(INFO, "stopped")
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(0)

"""What `watch` does beside its loop: signs of life, and signals that no wait holds up."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from proxygen.commands.watch import give_pulse, receive_signals
from proxygen.host.systemd import Manager
from tests.live.processes import until


def test_signs_of_life_are_given_only_while_the_loop_gives_one(tmp_path: Path) -> None:
    lively, asked = threading.Event(), threading.Semaphore(0)

    def is_lively() -> bool:
        asked.release()
        return lively.is_set()

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.setblocking(False)
        with give_pulse(Manager(str(tmp_path / "notify"), 0.02), is_lively):
            for _ in range(5):
                assert asked.acquire(timeout=5)
            try:
                said = bound.recv(100)
            except BlockingIOError:
                said = b""
            assert said == b""
            lively.set()
            until(lambda: bound.recv(100) == b"WATCHDOG=1", "a sign of life")


@pytest.mark.parametrize("patience", [1e-6, 1e300])
def test_no_patience_makes_signs_of_life_busy_or_ends_them(patience: float) -> None:
    beats = 0

    def lively() -> bool:
        nonlocal beats
        beats += 1
        return False

    with give_pulse(Manager(None, patience), lively):
        end = time.monotonic() + 0.5
        until(lambda: time.monotonic() > end, "time to pass")
        assert [each for each in threading.enumerate() if each.name == "pulse" and each.is_alive()]
    assert beats <= 5


def test_a_signal_is_received_while_the_main_thread_waits_where_nothing_interrupts_it() -> None:
    received, before = threading.Event(), signal.getsignal(signal.SIGHUP)
    heard: list[int] = []

    def receive(number: int) -> None:
        heard.append(number)
        received.set()

    handlers = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        with receive_signals(receive):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGHUP)
            assert received.wait(5)
    finally:
        signal.signal(signal.SIGHUP, before)
        for each, handler in handlers.items():
            signal.signal(each, handler)
    assert set(heard) == {signal.SIGHUP}

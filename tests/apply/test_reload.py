"""A reload that nginx refuses: known as soon as the master says so."""

from __future__ import annotations

import pytest

from proxygen.apply.service import has_refused
from proxygen.host import processes

EMERG = "2026/11/30 22:59:07 [emerg] 4711#4711: "
IN_USE = EMERG + "bind() to 127.0.0.1:25 failed (98: Address already in use)\n"


@pytest.mark.parametrize(
    ("logged", "refused"),
    [
        ("", False),
        ("2026/11/30 22:59:07 [notice] 4711#4711: signal 1 (SIGHUP) received\n", False),
        ("2026/11/30 22:59:07 [alert] 4711#4711: worker process 7 exited on signal 9\n", False),
        (EMERG + 'host not found in upstream "app" in /etc/nginx/x.conf:3\n', True),
        (EMERG + "bind() to 1.2.3.4:25 failed (99: Cannot assign requested address)\n", True),
        (EMERG + "still could not bind()\n", True),
        (IN_USE, False),
        (IN_USE * 5, False),
        (IN_USE * 5 + EMERG + "still could not bind()\n", True),
        (EMERG.replace("4711#", "471#") + "of another nginx\n", False),
        (EMERG.replace("4711#", "14711#") + "of another nginx\n", False),
        (EMERG + "unexpected end of file\n" + "2026/11/30 22:59:08 [notice] 4711#1: x\n", True),
    ],
)
def test_only_what_nginx_does_not_try_again_is_a_refusal(logged: str, refused: bool) -> None:
    assert has_refused(logged, 4711) is refused


def test_who_is_told_of_a_refusal_waits_no_longer() -> None:
    """It would be an hour; nobody has such a process id."""
    assert not processes.wait_for_new_workers(2**22 + 1, frozenset(), lambda: True, deadline=3600)

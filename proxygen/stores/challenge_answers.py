"""Answered: the names for which a web server was seen to answer the challenges of http-01.

``answered/SERVICE`` in a host's own part holds them, so that servers are told apart: an order is
placed once a deployed configuration answers for its names. Without any such value no web server of
the host answers, and proxygen does so itself.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from proxygen.names.states import Answers
from proxygen.services import Listener
from proxygen.stores import Store
from proxygen.stores.codec import Codec

PREFIX = "answered"
ANSWERS = Codec[Answers](Answers)

PROBE_PATH = "/.well-known/acme-challenge/proxygen"
PROBE_ANSWER = b"proxygen\n"

PATIENCE = 5.0
"""Seconds for which a server may say nothing."""

PER_CONNECTION = 90
"""At how many names is asked over one connection: before nginx 1.19.10 none takes more than 100."""


def of_all(own: Store) -> Answers | None:
    """Return for which names web servers answer; None if there is none that would.

    Where that cannot be read none is known to.
    """
    try:
        found = [
            known for key in own.keys(PREFIX) if (known := noted_answers(own, key)) is not None
        ]
    except OSError:
        return Answers()
    return union_of_answers(found)


def union_of_answers(found: Collection[Answers]) -> Answers | None:
    """Return for which names any of some web servers answers, None without any server."""
    if not found:
        return None
    names = frozenset[str]().union(*(each.names for each in found))
    return Answers(names, frozenset[str]().union(*(each.silent for each in found)) - names)


def answers_of(own: Store, service: str) -> Answers | None:
    """Return for which names one service was seen to answer, None if it does not run."""
    return noted_answers(own, key_of(service))


def note_answers(own: Store, service: str, present: Answers | None) -> None:
    """Keep for which names a service answers, None: it does not run; what is known is not kept."""
    if answers_of(own, service) == present:
        return
    if present is None:
        own.delete(key_of(service))
    else:
        own.put(key_of(service), ANSWERS.written(present))


def noted_answers(own: Store, key: str) -> Answers | None:
    """Return what stands below a key; what is damaged or cannot be read names nothing."""
    try:
        value = own.get(key)
    except OSError:
        return Answers()
    return None if value is None else ANSWERS.read(value) or Answers()


def key_of(service: str) -> str:
    """Return the key of what one service answers for."""
    return f"{PREFIX}/{service}"


# Asking a web server as the authority will, but on this host: a fixed file at the challenges' path.


def ask_listener(listener: Listener, names: Sequence[str], until: float) -> Answers:
    """Return for which names a web server answers challenges, and for which it does not.

    Neither holds those that it was not asked about *until* that moment. A server that says nothing
    at all answers for none.
    """
    found, silent, left = list[str](), list[str](), list(names)
    while left and time.monotonic() < until:
        with Session(listener) as session:
            count = session.ask(left[:PER_CONNECTION], until)
        found += left[:count]
        left = left[count:]
        if count == 0 and not found and session.is_mute:
            return Answers(silent=frozenset(names))
        if session.is_refused:
            silent.append(left.pop(0))
        elif count == 0:
            break
    return Answers(frozenset(found), frozenset(silent))


@dataclass(slots=True)
class Session:
    """One connection to a web server, which is asked for the challenges of names.

    *is_refused*: the name after those that were answered for is not. *is_mute*: nobody could be
    connected to, or nothing was said in time.
    """

    listener: Listener
    is_refused: bool = False
    is_mute: bool = False
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection(
            self.listener.address, self.listener.port, timeout=PATIENCE
        )
        self.connection.auto_open = 0  # it would not say once more who asks (PROXY)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self.connection.close()

    def ask(self, names: Sequence[str], until: float) -> int:
        """Return how many of the first names are answered for, one after the other.

        The server may end the connection after any of them, with or without saying so.
        """
        count, connected = 0, False
        try:
            self.connect()
            connected = True
            for name in names:
                if time.monotonic() > until or self.connection.sock is None:
                    break
                if not self.is_answered(name):
                    self.is_refused = True
                    break
                count += 1
        except (OSError, http.client.HTTPException) as error:
            late = isinstance(error, TimeoutError)
            self.is_mute = late or not connected
            self.is_refused = connected and (late or count == 0)  # else it may have had enough
        return count

    def connect(self) -> None:
        """Connect, and say who asks where the server wants to be told."""
        self.connection.connect()
        if self.listener.proxy_protocol:
            self.connection.sock.sendall(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 80\r\n")

    def is_answered(self, name: str) -> bool:
        """Return whether the challenge for a name is answered."""
        self.connection.request("GET", PROBE_PATH, headers={"Host": name})
        answer = self.connection.getresponse()
        if answer.status != 200 or answer.read(len(PROBE_ANSWER) + 1) != PROBE_ANSWER:
            return False
        answer.read()
        return True

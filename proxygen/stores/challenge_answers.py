"""Answered: the names for which a web server was seen to answer the challenges of http-01.

``answered/SERVICE`` in a host's own part holds them, so that servers are told apart: an order is
placed once a deployed configuration answers for its names. Without any such value no web server of
the host answers, and proxygen does so itself.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from proxygen.host import files
from proxygen.languages.lines import terminal_text
from proxygen.names.states import Answers
from proxygen.services import Listener
from proxygen.stores import Store
from proxygen.stores.codec import Codec

PREFIX = "answered"
ANSWERS = Codec[Answers](Answers)

PROBE_PLACE = ".well-known/acme-challenge/proxygen"
"""A file among the answers to challenges, so that a probe goes the way of a challenge."""
PROBE_ANSWER = b"proxygen\n"

BAD_REQUEST = 400
LONGEST_LOCATION = 200
MOST_MET = 20
"""For how many names it is kept what came instead."""

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
    silent = frozenset[str]().union(*(each.silent for each in found)) - names
    return Answers(names, silent, met_of(silent, *(each.met for each in found)))


Met = tuple[tuple[str, str], ...]


def met_of(silent: Collection[str], *met: Met) -> Met:
    """Return what came instead of answers for names that are still silent, the first counts."""
    found = {name: words for each in reversed(met) for name, words in each if name in silent}
    return tuple(sorted(found.items())[:MOST_MET])


def answers_of(own: Store, service: str) -> Answers | None:
    """Return for which names one service was seen to answer, None if it does not run."""
    return noted_answers(own, key_of(service))


def note_answers(own: Store, service: str, present: Answers | None) -> None:
    """Keep for which names a service answers, None: it does not run; what is known is not kept."""
    known = answers_of(own, service)
    if known == present and (known is None or present is None or known.met == present.met):
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


# Asking a web server as the authority will, but on this host: for a file beside the challenges.


def is_placed(challenges: Path) -> bool:
    """Return whether the file that web servers are asked for is in its place."""
    try:
        return files.read(challenges / PROBE_PLACE, len(PROBE_ANSWER)) == PROBE_ANSWER
    except OSError:
        return False


def place_probe(challenges: Path) -> None:
    """Put the file in its place that web servers are asked for; raise OSError."""
    if not is_placed(challenges):
        file = challenges / PROBE_PLACE
        for folder in (challenges, file.parent.parent, file.parent):
            files.folder(folder, 0o755)
        files.write(file, PROBE_ANSWER, 0o644)


def ask_listener(listener: Listener, names: Sequence[str], until: float) -> Answers:
    """Return for which names a web server answers challenges, and for which it does not.

    Neither holds those that it was not asked about *until* that moment. A server that says nothing
    at all answers for none.
    """
    found, met, left = list[str](), dict[str, str](), list(names)
    while left and time.monotonic() < until:
        with Session(listener) as session:
            count = session.ask(left[:PER_CONNECTION], until)
        if count == 0 and not found and not met and session.is_cut and speaks_proxy(listener, left):
            listener = replace(listener, proxy_protocol=True)
            continue
        found += left[:count]
        left = left[count:]
        if count == 0 and not found and session.is_mute:
            return Answers(silent=frozenset(names))
        if session.is_refused:
            met[left.pop(0)] = session.met
        elif count == 0:
            break
    silent = frozenset(met)
    told = ((name, words) for name, words in met.items() if words)
    return Answers(frozenset(found), silent, met_of(silent, tuple(told)))


def speaks_proxy(listener: Listener, names: Sequence[str]) -> bool:
    """Return whether a server answers once it is told who asks, although nobody said so.

    Another server block with the same socket may want that of all (nginx, ``listen``).
    """
    if listener.proxy_protocol:
        return False
    with Session(replace(listener, proxy_protocol=True)) as session:
        answered = session.ask(names[:1], time.monotonic() + PATIENCE)
    return answered > 0 or session.status not in (0, BAD_REQUEST)


@dataclass(slots=True)
class Session:
    """One connection to a web server, which is asked for the challenges of names.

    *is_refused*: the name after those that were answered for is not. *is_mute*: nobody could be
    connected to, or nothing was said in time. *is_cut*: the connection was ended without a word.
    *met* is what came instead of an answer, empty for nothing, *status* its status, 0 without one.
    """

    listener: Listener
    is_refused: bool = False
    is_mute: bool = False
    is_cut: bool = False
    met: str = ""
    status: int = 0
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
            self.is_cut = connected and count == 0 and isinstance(error, ConnectionError)
            self.met = words_of(error) if connected and not late else ""
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
        self.connection.request("GET", f"/{PROBE_PLACE}", headers={"Host": name})
        answer = self.connection.getresponse()
        if answer.status != 200 or answer.read(len(PROBE_ANSWER) + 1) != PROBE_ANSWER:
            self.met, self.status = answer_met(answer), answer.status
            return False
        answer.read()
        return True


def answer_met(answer: http.client.HTTPResponse) -> str:
    """Return what an answer is that is not the file."""
    other = " with other content" if answer.status == 200 else ""
    target = answer.getheader("location", "")[:LONGEST_LOCATION]
    server = answer.getheader("server", "")[:LONGEST_LOCATION]
    leads = f" to {target}" if target else ""
    by = f" ({server})" if server else ""
    return terminal_text(f"{answer.status} {answer.reason[:100]}{other}{leads}{by}")


def words_of(error: Exception) -> str:
    """Return what happened to a connection."""
    if isinstance(error, ConnectionError):
        return "the connection was closed without an answer"
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return terminal_text(words[:LONGEST_LOCATION].lower())

"""nginx: the names in directives that it looks up itself when it starts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from proxygen.model.hosts import is_address
from proxygen.services.nginx_others import TOKEN

PASSES = re.compile("(?:proxy|grpc|fastcgi|uwsgi|scgi|memcached)_pass")
HOST = re.compile(
    r"(?:[a-z]+://)?(?P<host>[A-Za-z0-9_-]+(?:[.][A-Za-z0-9_-]+)+)(?::[0-9]+)?(?:/.*)?", re.DOTALL
)
OURS = "proxygen."
"""What our own groups of servers begin with."""


def looked_up(text: str) -> Iterator[tuple[int, str]]:
    """Yield each name that requests are passed on to, with its line.

    Not where there is a variable: such a name is looked up when it is needed. One without a dot
    may be a group of the administrator's.
    """
    line, end, words = 1, 0, list[str]()
    for found in TOKEN.finditer(text):
        line, end = line + text.count("\n", end, found.start()), found.start()
        kind, value = found.lastgroup, found[found.lastgroup] if found.lastgroup else ""
        words = [] if kind == "mark" else [*words[:1], *([value] if kind else [])]
        if kind in (None, "mark") or len(words) != 2 or not PASSES.fullmatch(words[0]):
            continue
        host = HOST.fullmatch(value)
        if host is None or "$" in value or is_address(host["host"]):
            continue
        if not host["host"].startswith(OURS):
            yield line, host["host"]

"""nginx: the names in directives that it looks up itself when it starts."""

from __future__ import annotations

import re
from collections.abc import Iterator

from proxygen.model.hosts import is_address
from proxygen.services.nginx_lexer import directives_below, parse_configuration

PASSES = frozenset(
    f"{kind}_pass" for kind in ("proxy", "grpc", "fastcgi", "uwsgi", "scgi", "memcached")
)
HOST = re.compile(
    r"(?:[a-z]+://)?(?P<host>[A-Za-z0-9_-]+(?:[.][A-Za-z0-9_-]+)+)(?::[0-9]+)?(?:/.*)?", re.DOTALL
)
OURS = "proxygen."
"""What our own groups of servers begin with."""


def names_passed_to(text: str) -> Iterator[tuple[int, str]]:
    """Yield each name that requests are passed on to, with its line as nginx tells it.

    Not where there is a variable: such a name is looked up when it is needed. One without a dot
    may be a group of the administrator's.
    """
    for each in directives_below(parse_configuration(text)):
        target = each.arguments[0] if each.name in PASSES and each.arguments else "$"
        host = None if "$" in target else HOST.fullmatch(target)
        if host and not is_address(host["host"]) and not host["host"].startswith(OURS):
            yield each.last_line, host["host"]

"""nginx: the locations that the administrator's directives in nginx.d have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from proxygen.services import Additions, Lines
from proxygen.services.nginx_lexer import Directive, parse_configuration
from proxygen.services.nginx_others import name_pattern

LOCATION = re.compile(r"(=|\^~|~\*?)(.+)", re.DOTALL)
"""The first argument of a location if its modifier is not a word of its own."""

CHALLENGES = "/.well-known/acme-challenge"
PLAIN = ("/.well-known", "/autodiscover", "/autoconfig", "/mail/config-v1.1.xml")
"""Where mail clients and authorities ask on port 80: what a person writes there is meant for it.

Everything else might be an application with passwords, which stays behind the redirect.
"""
PLAIN_WORDS = re.compile(r"well-known|autodiscover|autoconfig|config-v1", re.IGNORECASE)
ASKED_PLAIN = (
    "/.well-known/autoconfig/mail/config-v1.1.xml",
    "/.well-known/pki-validation/fileauth.txt",
    "/autoconfig/mail/config-v1.1.xml",
    "/mail/config-v1.1.xml",
    "/autodiscover/autodiscover.xml",
    "/autodiscover/autodiscover.json",
    "/Autodiscover/Autodiscover.xml",
    "/AutoDiscover/AutoDiscover.xml",
)
"""What they ask for, for regular expressions that do not begin with one path."""

WRITABLE = re.compile(r"/[A-Za-z0-9._/:@%+,=~*-]*")
"""A path that a template can write."""
LITERAL = re.compile(r"\^(?:(?:\\[./_@%:,=~-]|[A-Za-z0-9/_@%:,=~.-])(?![*+?{]))+")
"""The beginning of a regular expression that stands for itself; a dot also stands for others."""


@dataclass(frozen=True, slots=True)
class WrittenLocation:
    """A location, or a rewrite (``~``), in a server block: *modifier* and *path* as nginx has them.

    *where* is FILE:LINE.
    """

    modifier: str
    path: str
    where: str

    def __str__(self) -> str:
        return " ".join(filter(None, ("location", self.modifier, self.path)))

    @property
    def is_pattern(self) -> bool:
        """Whether *path* is a regular expression."""
        return self.modifier in ("~", "~*")

    @property
    def taken(self) -> tuple[str, bool] | None:
        """The path that no other location may have, and whether it is exact."""
        return None if self.is_pattern else (self.path, self.modifier == "=")

    @property
    def is_of_challenges(self) -> bool:
        """Whether it is meant for ACME challenges."""
        start = literal_start(self.path) if self.is_pattern else self.path
        return start.startswith(CHALLENGES)


def written_locations(additions: Additions) -> Iterator[WrittenLocation]:
    """Yield the locations that stand directly in a server block, those of included files too."""
    folder = f"nginx.d/{additions.scope}" if additions.scope else "nginx.d"
    for name, text in additions.files:
        yield from locations_of(parse_configuration(text, f"{folder}/{name}"))
    for path, text in additions.included:
        yield from locations_of(parse_configuration(text, path))


def locations_of(root: Directive) -> Iterator[WrittenLocation]:
    """Yield the locations in a text."""
    for each in root.all("location"):
        match each.arguments:
            case [modifier, path]:
                yield WrittenLocation(modifier, path, each.where)
            case [glued] if found := LOCATION.fullmatch(glued):
                yield WrittenLocation(found[1], found[2], each.where)
            case [path]:
                yield WrittenLocation("", path, each.where)


def rewrites_of(additions: Additions) -> Iterator[WrittenLocation]:
    """Yield what is rewritten directly in a server block, as if it were locations."""
    texts = (text for _, text in (*additions.files, *additions.included))
    for each in (rewrite for text in texts for rewrite in parse_configuration(text).all("rewrite")):
        yield WrittenLocation("~", next(iter(each.arguments), ""), "")


def taken_paths(additions: Iterable[Additions]) -> frozenset[tuple[str, bool]]:
    """Return the paths of locations, and whether each is exact: nginx accepts each once."""
    found = (each.taken for some in additions for each in written_locations(some))
    return frozenset(each for each in found if each)


def plain_lines(additions: Iterable[Additions]) -> Lines:
    """Return the lines for port 80 that tell which requests are not redirected."""
    found = dict[tuple[str, str], None]()
    for some in additions:
        for each in (*written_locations(some), *rewrites_of(some)):
            found |= dict.fromkeys(plain_conditions(each))
    return Lines(tuple(found))


def plain_conditions(location: WrittenLocation) -> Iterator[tuple[str, str]]:
    """Yield the lines for one location: none unless it is for those who ask without TLS."""
    path = location.path
    if not location.is_pattern:
        if is_plain(path) and WRITABLE.fullmatch(path):
            yield condition_line(path, location.modifier)
        return
    start = literal_start(path)
    if is_plain(start):
        yield condition_line(start, location.modifier)
    elif PLAIN_WORDS.search(path) and (pattern := name_pattern(path)):
        for asked in ASKED_PLAIN:
            if pattern.search(asked):
                yield condition_line(asked, "=")


def condition_line(path: str, modifier: str) -> tuple[str, str]:
    """Return the line that takes requests for a path, or for what begins with it."""
    if modifier == "=":
        return '    if ($uri = "{}") {{ set $proxygen_plain yes; }}', path
    operator = "~*" if modifier == "~*" else "~"
    form = f'    if ($uri {operator} "^{{}}") {{{{ set $proxygen_plain yes; }}}}'
    return form, re.sub(r"[.+*]", r"[\g<0>]", path)


def is_plain(path: str) -> bool:
    """Return whether mail clients or authorities ask for what begins with *path* on port 80."""
    return path.lower().startswith(PLAIN) and not path.startswith(CHALLENGES)


def literal_start(pattern: str) -> str:
    """Return the path with which all begins that a regular expression stands for; may be empty."""
    found = LITERAL.match(pattern)
    return found[0][1:].replace("\\", "") if found else ""

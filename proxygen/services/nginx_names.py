"""nginx: names -> lines of server blocks and maps; a wildcard stands for one label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from proxygen.model.certificate import Bundle
from proxygen.model.hosts import ASKED_LABEL, is_wildcard
from proxygen.model.layout import Live, certificate_file
from proxygen.model.views import WebSite, WebView
from proxygen.services import Lines

LONGEST_HASHED = 46
"""The longest name that fits into nginx's hash tables as they are by default (buckets of 64
octets hold two pointers, a length of two octets and the name). The directives that enlarge
them may stand once in the whole configuration, so they are left to the administrator; a longer
name is written as a regular expression, which needs none."""

LONGEST_LINE = 3000
"""Octets of one regular expression; nginx reads words of up to 4,096."""

LABEL = ASKED_LABEL.replace("{", "{{").replace("}", "}}")
"""The form (see Lines) of one label. Anything else in a Host is no name: backends take it for
what they like."""

BELOW = Lines(((f'    "~*^{LABEL}[.](.+)$" $1;',),))
"""The line of a map that gives what a name is below."""

ANY_NAME = Lines(
    (
        (f'    "~^{LABEL}(?:[.]{LABEL})*$" global;',),
        ('    "~^[[][0-9a-f:.]+[]]$" global;',),
    )
)
"""The lines of a map that give the global owner for every name and address."""

Line = tuple[str, ...]


def map_line(name: str, value: str) -> Line:
    """Return the line of a map that gives *value* for *name*; a dot in brackets is itself alone."""
    if len(name) <= LONGEST_HASHED:
        return "    {} {};", as_asked(name), value
    return "    ~*^{}$ {};", escape_name(name), value


def server_names(names: Iterable[str]) -> Iterator[Line]:
    """Yield the lines by which a server block answers for *names*, exact ones first.

    nginx's own wildcards stand for any number of labels, a certificate's for one (RFC 9525 section
    6.3), so that they are regular expressions; as each is tried in turn, many share one.
    """
    wild = []
    for name in names:
        if is_wildcard(name):
            wild.append(name)
        elif len(name) <= LONGEST_HASHED:
            yield "    server_name {};", as_asked(name)
        else:
            yield "    server_name ~^{}$;", escape_name(name)
    for parents in short_enough(escape_name(name[2:]) for name in wild):
        choice = "|".join(["{}"] * len(parents))
        yield f'    server_name "~^{LABEL}[.](?:{choice})$";', *parents


def as_asked(name: str) -> str:
    """Return a name as a client writes it into the request: IPv6 in brackets."""
    return f"[{name}]" if ":" in name else name


def escape_name(name: str) -> str:
    """Return a name as a regular expression."""
    return name.replace(".", "[.]")


def short_enough(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield *texts* in order, as many at a time as fit into one line."""
    line: list[str] = []
    octets = 0
    for text in texts:
        octets += len(text) + 1
        if octets > LONGEST_LINE:
            yield line
            line, octets = [], len(text) + 1
        line.append(text)
    if line:
        yield line


def parent_name(name: str) -> str:
    """Return a name without its first label, which may be a wildcard."""
    return name.partition(".")[2]


def wildcard_parents(view: WebView) -> frozenset[str]:
    """Return what the wildcards of a view are below."""
    names = (name for site in view.sites for name in site.names)
    return frozenset(parent_name(name) for name in filter(is_wildcard, names))


def owner_lines(view: WebView) -> Lines:
    """Return each exact name with its owner."""
    pairs = ((name, site.owner) for site in view.sites for name in site.names)
    return Lines(tuple(map_line(name, owner) for name, owner in pairs if not is_wildcard(name)))


def wildcard_owners(view: WebView) -> Lines:
    """Return what each wildcard is below with its owner."""
    pairs = ((name, site.owner) for site in view.sites for name in site.names)
    return Lines(
        tuple(map_line(parent_name(name), owner) for name, owner in pairs if is_wildcard(name))
    )


@dataclass(frozen=True, slots=True)
class CertificateMap:
    """Which certificate nginx loads for a name: *variable* holds the file, *default* is global.

    *names* have another file than the default, as have the wildcards below *parents*.
    """

    variable: str
    default: str
    names: Lines
    parents: Lines


def certificate_maps(view: WebView, live: Live) -> tuple[CertificateMap, ...]:
    """Return the maps of certificates: one, or two where some site has one beside its first.

    A site that has none beside is given its first one twice, which changes nothing.
    """
    first = certificate_map("certificate", view, live, lambda site: site.bundle)
    if not any(site.beside for site in view.sites):
        return (first,)
    second = certificate_map(
        "certificate_beside", view, live, lambda site: site.beside or site.bundle
    )
    return first, second


def certificate_map(
    variable: str, view: WebView, live: Live, chosen: Callable[[WebSite], Bundle]
) -> CertificateMap:
    """Return the map of one of the certificates that each site has.

    A name that a wildcard stands for as well is there in any case.
    """
    wild = wildcard_parents(view)
    files = tuple(by_file(view, live, chosen))
    main = chosen(view.sites[0])
    return CertificateMap(
        variable,
        str(live.certificate(main.owner, main.digest)),
        Lines(
            tuple(
                map_line(name, file)
                for name, file, own in files
                if not is_wildcard(name) and (own or parent_name(name) in wild)
            )
        ),
        Lines(
            tuple(
                map_line(parent_name(name), file)
                for name, file, own in files
                if own and is_wildcard(name)
            )
        ),
    )


def by_file(
    view: WebView, live: Live, chosen: Callable[[WebSite], Bundle]
) -> Iterator[tuple[str, str, bool]]:
    """Yield each name with its certificate's file, and whether that is not the global one."""
    main, folder = chosen(view.sites[0]).digest, str(live.certificates)
    for site in view.sites:
        each = chosen(site)
        file = f"{folder}/{certificate_file(each.owner, each.digest)}"
        for name in site.names:
            yield name, file, each.digest != main

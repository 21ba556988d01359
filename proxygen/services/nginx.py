"""nginx: a server block for every URL, the certificate chosen by SNI."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path

from proxygen.model.hosts import example_of, is_address, is_wildcard
from proxygen.model.layout import Layout, ServiceLayout
from proxygen.model.site import Role
from proxygen.model.views import WebSite, WebView
from proxygen.services import (
    EVERYWHERE,
    Answer,
    Command,
    Configured,
    Endpoint,
    Listener,
    MailCertificate,
    Pointer,
    Question,
    Reading,
    Rendered,
    Wanted,
)
from proxygen.services.nginx_blocks import (
    additions_folder,
    additions_of,
    bundles_of,
    distinct_bundles,
    resolved_addresses,
    served_view,
    server_blocks,
    upstreams,
)
from proxygen.services.nginx_facts import (
    NginxFacts,
    build_option,
    default_ports,
    dotted_numbers,
    error_log,
    main_file,
    modules_without,
    narrow_listens,
    nginx_version,
    own_configuration,
    pid_file,
    pointer_file,
    server_names,
)
from proxygen.services.nginx_headers import FOREIGN
from proxygen.services.nginx_inherited import (
    as_nginx_names,
    client_certificates,
    proxied_elsewhere,
    proxied_sockets,
)
from proxygen.services.nginx_lexer import include_places, parse_configuration, write_word
from proxygen.services.nginx_mail import (
    FILE,
    NginxMail,
    mail_endpoints,
    mail_pairs,
    mail_warnings,
    nginx_mail,
)
from proxygen.services.nginx_names import (
    ANY_NAME,
    BELOW,
    certificate_maps,
    owner_lines,
    wildcard_owners,
)
from proxygen.services.nginx_others import Others, Pair
from proxygen.services.nginx_settings import AT_START_AT_MOST, NginxSettings
from proxygen.services.nginx_waiting import usual_log, waiting_log
from proxygen.services.service_kind import ServiceKind

PROGRAMS = ("nginx", "/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/local/nginx/sbin/nginx")

HTTP2_DIRECTIVE = (1, 25, 1)
CERTIFICATE_CACHE = (1, 27, 4)
KEEPALIVE_BY_DEFAULT = (1, 29, 7)
POST_QUANTUM_OPENSSL = (3, 5)

UNKNOWN = "proxygen-unknown.invalid"
"""A name that is nobody's (RFC 6761 section 6.4)."""


def questions(program: str, settings: NginxSettings, layout: Layout) -> Mapping[str, Question]:
    """Return the commands and files whose answers ``facts`` needs."""
    return {
        "built": Command((program, "-V")),
        "configuration": Reading(main_file(settings, layout), include_places, placed=True),
    }


def facts(
    program: str, settings: NginxSettings, layout: ServiceLayout, answers: Mapping[str, Answer]
) -> NginxFacts:
    """Return what the answers tell; raise ServiceError if it cannot be worked with."""
    built = answers["built"].words
    main = main_file(settings, layout)
    root = own_configuration(answers["configuration"], main, built)
    defaults = default_ports(root)
    narrower = narrow_listens(root)
    proxied = proxied_sockets(root)
    included = layout.own.current / FILE
    mail = nginx_mail(root, main, included)
    running = dotted_numbers(r"running with OpenSSL ([0-9.]+)", built)
    return NginxFacts(
        program=program,
        version=nginx_version(program, settings, built),
        main=main,
        openssl=running or dotted_numbers(r"built with OpenSSL ([0-9.]+)", built),
        pid_file=pid_file(root, built, layout),
        log=error_log(root, built, layout),
        user=root.first("user") or build_option("user", built) or "nobody",
        default_ports=defaults,
        names=server_names(root),
        without=modules_without(built),
        proxied=proxied,
        client_certificates=client_certificates(root),
        usual_log=usual_log(root, build_option("http-log-path", built)),
        mail=mail,
        warnings=(
            *(unknown_names_elsewhere(settings, defaults) if settings.urls else ()),
            *(narrower_listeners(settings, narrower) if settings.urls else ()),
            *(proxied_elsewhere(settings, proxied) if settings.urls else ()),
            *mail_warnings(mail, included),
            *nothing_to_serve(settings, mail),
        ),
    )


def certificate_questions(
    facts: NginxFacts,
    settings: NginxSettings,  # noqa: ARG001
    layout: Layout,  # noqa: ARG001
    answers: Mapping[str, Answer],  # noqa: ARG001
) -> Mapping[str, Question]:
    """Return the configuration of others, whole and in order."""
    return {"others": Reading(facts.main, include_places, repeated=True)}


def configured(
    name: str, facts: NginxFacts, settings: NginxSettings, answers: Mapping[str, Answer]
) -> Iterator[Configured]:
    """Yield what the server blocks of others have that nginx chooses for a name by SNI."""
    if not answers["others"].code:
        others = Others.of(answers["others"].out)
        ports = {port_of(socket) for socket in settings.listen.https or ("443",)}
        asked = example_of(name) if is_wildcard(name) else name
        folder = facts.main.parent
        for pair in others.shown(asked, ports):
            yield configured_pair(pair, folder)
        for pair in mail_pairs(parse_configuration(answers["others"].out)):
            yield configured_pair(pair, folder)


def configured_pair(pair: Pair, folder: Path) -> Configured:
    """Return a certificate of the configuration in a folder, to which relative paths are."""
    passwords = folder / pair.passwords if pair.passwords else None
    return Configured((folder / pair.certificate, folder / pair.key), passwords)


def mail_certificates(answers: Mapping[str, Answer]) -> Iterator[MailCertificate]:
    """Yield those of ``mail {}``; they stay until the administrator includes ours instead."""
    for pair in mail_pairs(parse_configuration(answers["others"].out)):
        if pair.certificate.startswith("/") and pair.key.startswith("/"):
            yield MailCertificate(configured_pair(pair, Path("/")), stays=True)


def unknown_names_elsewhere(settings: NginxSettings, defaults: frozenset[int]) -> Iterator[str]:
    """Yield a warning for each of our ports on which unknown names are not ours to answer."""
    listened = (*(settings.listen.http or ("80",)), *(settings.listen.https or ("443",)))
    for port in sorted({port_of(socket) for socket in listened} & defaults, key=str):
        yield (
            f"nginx: on port {port} a `default_server` of another file answers for unknown names;"
            " remove it (on Debian it is in /etc/nginx/sites-enabled/default), and proxygen's will"
        )


def nothing_to_serve(settings: NginxSettings, mail: NginxMail) -> Iterator[str]:
    """Yield a warning about a service that serves neither URLs nor mail clients."""
    if not settings.urls and not mail.servers:
        yield (
            "nginx: it serves no URLs (`services.nginx.urls`), and has no `mail {}` with TLS;"
            " remove it from `services`"
        )


def narrower_listeners(settings: NginxSettings, narrower: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield a warning for each address on which others listen more narrowly than we do.

    A listener for one address takes every connection to it from one for all addresses.
    """
    for ours in (*(settings.listen.http or ("80",)), *(settings.listen.https or ("443",))):
        if client_address(ours) in ("127.0.0.1", "::1") and ours.rpartition(":")[0] in ("", "[::]"):
            for address in sorted(narrower.get(str(port_of(ours)), ())):
                yield (
                    f"nginx: a server block of another file listens on {address} and gets every"
                    " request there; add that address to `services.nginx.listen`"
                )


def pointer(main: Path) -> Pointer:
    """Return the one file of ours among nginx's own."""
    return Pointer(pointer_file(main), lambda mask: f"include {write_word(mask)};", include_places)


def http_sockets(settings: NginxSettings, facts: NginxFacts) -> tuple[str, ...]:
    """Return where HTTP is listened to."""
    return settings.listen.http or (("80", "[::]:80") if facts.ipv6 else ("80",))


def https_sockets(settings: NginxSettings, facts: NginxFacts) -> tuple[str, ...]:
    """Return where HTTPS is listened to."""
    return settings.listen.https or (("443", "[::]:443") if facts.ipv6 else ("443",))


def challenge_listener(settings: NginxSettings) -> Listener | None:
    """Return where a client on this host asks for the answers to ACME challenges, if here."""
    if not settings.urls or not settings.challenges:
        return None
    sockets = settings.listen.http or ("80",)
    first = next((socket for socket in sockets if not socket.startswith("[")), sockets[0])
    proxied = settings.proxy_protocol is not None
    return Listener(client_address(first), port_of(first), None, proxied)


def port_of(socket: str) -> int:
    """Return the port of an item of ``listen``."""
    return int(socket.rpartition(":")[2])


def usual_port(https: Iterable[str]) -> int:
    """Return the port to which browsers are sent: 443 where that is among them, else the first."""
    ports = list(map(port_of, https))
    return 443 if 443 in ports else ports[0]


def client_address(socket: str) -> str:
    """Return the address by which a client on this host reaches a socket."""
    address = socket.rpartition(":")[0].strip("[]")
    return {"": "127.0.0.1", "::": "::1"}.get(address, address)


class UnknownNames(StrEnum):
    """What is done with a client that asks for no name, or for one that is nobody's.

    Addresses are asked for without a name. *refuse* refuses both; *refuse_names* shows the global
    certificate where no name is told; *misdirect* shows it to all, and answers 421 where a name
    was told; *welcome* serves them like the global URL.
    """

    REFUSE = "refuse"
    REFUSE_NAMES = "refuse_names"
    MISDIRECT = "misdirect"
    WELCOME = "welcome"


def unknown_names(view: WebView, settings: NginxSettings, facts: NginxFacts) -> UnknownNames:
    """Return what is done with them, which is ours to say on all of our ports or on none.

    The server block that refuses names is a regular expression, which would take the names that
    somebody else's regular expressions are for.
    """
    if settings.unknown_names != "reject":
        return UnknownNames.WELCOME
    ours = {port_of(socket) for socket in https_sockets(settings, facts)}
    if not any(map(is_address, view.sites[0].names)) or ours & facts.default_ports:
        return UnknownNames.REFUSE
    others = any(name.startswith("~") for name in facts.names)
    return UnknownNames.MISDIRECT if others else UnknownNames.REFUSE_NAMES


def on_demand(view: WebView, settings: NginxSettings) -> bool:
    """Return whether certificates are loaded at each handshake instead of at the start."""
    if settings.certificates == "auto":
        return len(distinct_bundles(view)) > AT_START_AT_MOST
    return settings.certificates == "on_demand"


def wanted(
    view: WebView, settings: NginxSettings, facts: NginxFacts, layout: ServiceLayout
) -> Wanted:
    """Return all that should be installed for *view*."""
    view = served_view(view, facts)
    mail = tuple(mail_files(view, facts, layout))
    if not settings.urls:
        return Wanted(files=mail, certificates=bundles_of(view.sites[0]))
    values = template_context(view, settings, facts, layout)
    return Wanted(
        files=(Rendered("nginx/proxygen.conf.j2", "proxygen.conf", values), *mail),
        certificates=distinct_bundles(view),
        readers=facts.user if on_demand(view, settings) else None,
        additions=additions_of(view, facts),
        addresses=resolved_addresses(view, facts.addresses),
    )


def mail_files(view: WebView, facts: NginxFacts, layout: ServiceLayout) -> Iterator[Rendered]:
    """Yield the file to include in ``mail {}``, if any server there speaks TLS."""
    if facts.mail.servers:
        shown = bundles_of(view.sites[0])
        files = tuple(layout.own.certificate(each.owner, each.digest) for each in shown)
        context = {"certificates": files, "theirs": tuple(sorted(facts.mail.settings))}
        yield Rendered(f"nginx/{FILE}.j2", FILE, context)


def template_context(
    view: WebView, settings: NginxSettings, facts: NginxFacts, layout: ServiceLayout
) -> dict[str, object]:
    """Return what the template is given."""
    live = layout.own
    late = on_demand(view, settings)
    https = https_sockets(settings, facts)
    return {
        "http": http_sockets(settings, facts),
        "https": https,
        "https_port": usual_port(https),
        "http2_directive": facts.version >= HTTP2_DIRECTIVE,
        "keepalive_by_default": facts.version >= KEEPALIVE_BY_DEFAULT,
        "proxies": settings.proxy_protocol.sources if settings.proxy_protocol else (),
        "strangers": unknown_names(view, settings, facts),
        "hsts": settings.hsts,
        "post_quantum": facts.openssl >= POST_QUANTUM_OPENSSL,
        "challenges": layout.challenges,
        "without": sorted(facts.without),
        "waiting": waiting_log(layout, facts),
        "local": layout.etc / "nginx.d",
        "additions": additions_folder(EVERYWHERE, facts, live),
        "on_demand": late,
        "certificate_cache": late and facts.version >= CERTIFICATE_CACHE,
        "maps": certificate_maps(view, live) if late else (),
        "owners": owner_lines(view),
        "wildcard_owners": wildcard_owners(view),
        "below": BELOW,
        "any_name": ANY_NAME,
        "foreign_headers": FOREIGN,
        "upstreams": upstreams(view, facts.addresses),
        "blocks": server_blocks(view, live, facts, late),
    }


def check(facts: NginxFacts, settings: NginxSettings, main: Path) -> tuple[Command, ...]:  # noqa: ARG001
    """Return the command that checks the complete configuration whose main file is *main*."""
    return (Command((facts.program, "-t", "-q", "-c", str(main), "-e", "stderr")),)


STAMP = re.compile(r"^\d{4}/\d\d/\d\d [\d:]{8} (\[\w+\]) \d+#\d+: ", re.MULTILINE)
"""What a line of nginx's log begins with: when, how grave, in which process and thread."""


def refused(answers: Iterable[Answer]) -> str | None:
    """Return nginx's words if one of the answers of ``check`` is a refusal.

    As it says them on a terminal, without moment and process: the same ones for the same refusal.
    """
    for answer in answers:
        if answer.code != 0:
            lines = answer.words.splitlines()
            errors = [line for line in lines if "[warn]" not in line and "[notice]" not in line]
            return (
                STAMP.sub(r"nginx: \1 ", "\n".join(errors)) or f"nginx -t ended with {answer.code}"
            )
    return None


def reload(facts: NginxFacts, settings: NginxSettings) -> None:
    """Return None: SIGHUP makes the master read its configuration again (nginx(8)).

    `nginx -s reload` sends it as well, but reads the whole configuration before, once more.
    """


def endpoints(
    service: str, view: WebView, settings: NginxSettings, facts: NginxFacts
) -> Iterator[Endpoint]:
    """Yield the mail servers; the global name on every socket, one that is nobody's, all others.

    For addresses: no name, likewise on every socket.
    """
    view = served_view(view, facts)
    main = view.sites[0]
    yield from mail_endpoints(service, main, facts.mail)
    if settings.urls:
        yield from web_endpoints(service, view, settings, facts)


def web_endpoints(
    service: str, view: WebView, settings: NginxSettings, facts: NginxFacts
) -> Iterator[Endpoint]:
    """Yield where clients meet the URLs; *view* is what is served."""
    https = https_sockets(settings, facts)
    first = next((socket for socket in https if not socket.startswith("[")), https[0])
    main, unknown = view.sites[0], unknown_names(view, settings, facts)
    unnamed = unknown in (UnknownNames.REFUSE_NAMES, UnknownNames.MISDIRECT)
    for socket in dict.fromkeys((first, *https)):
        yield endpoint_maker(service, socket, settings, facts)(main.names[0], main)
        if unnamed:
            yield endpoint_maker(service, socket, settings, facts)("", main)
    meet = endpoint_maker(service, first, settings, facts)
    if port_of(first) not in facts.default_ports:
        refused = unknown in (UnknownNames.REFUSE, UnknownNames.REFUSE_NAMES)
        yield meet(UNKNOWN, None if refused else main)
    yield from (meet(name, site) for name, site in asked_for(view))


def asked_for(view: WebView) -> Iterator[tuple[str, WebSite]]:
    """Yield every name that clients tell, but for the global one, with whose it is.

    A wildcard is asked for by one of its names, unless just that one is somebody's.
    """
    names = [(name, site) for site in view.sites for name in site.names]
    every = frozenset(name for name, _ in names)
    for name, site in names[1:]:
        if not is_address(name) and not (is_wildcard(name) and example_of(name) in every):
            yield name, site


def endpoint_maker(
    service: str, socket: str, settings: NginxSettings, facts: NginxFacts
) -> Callable[[str, WebSite | None], Endpoint]:
    """Return what gives the place at which a client meets a site's certificates; None: none."""
    address, port = client_address(socket), port_of(socket)
    proxied = settings.proxy_protocol is not None or as_nginx_names(socket) in facts.proxied

    def meet(name: str, site: WebSite | None) -> Endpoint:
        shown, beside = (site.bundle, site.beside) if site else (None, None)
        return Endpoint(service, address, port, name, shown, None, proxied, beside)

    return meet


SERVICE = ServiceKind(
    role=Role.WEB,
    programs=PROGRAMS,
    workers=True,
    settings_type=NginxSettings,
    facts_type=NginxFacts,
    view_type=WebView,
    main_file=main_file,
    questions=questions,
    facts=facts,
    certificate_questions=certificate_questions,
    configured=configured,
    mail_certificates=mail_certificates,
    pointer=pointer,
    wanted=wanted,
    check=check,
    refused=refused,
    reload=reload,
    endpoints=endpoints,
    challenges=challenge_listener,
)

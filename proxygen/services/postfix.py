"""postfix: the global certificate on 25, 465 and 587; it has no include, so parameters are set."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from proxygen.model.instances import MOST_SERVICES
from proxygen.model.layout import Layout, ServiceLayout
from proxygen.model.site import Role
from proxygen.model.views import MailView
from proxygen.services import (
    Answer,
    Command,
    Configured,
    Listener,
    MailCertificate,
    ParameterFacts,
    Question,
    Reading,
    Rendered,
    ServiceSettings,
    Wanted,
    main_cf,
)
from proxygen.services.cipher_lists import OF_POSTFIX, CipherList, of_postfix
from proxygen.services.mail_endpoints import endpoints
from proxygen.services.main_cf import LEVEL, OURS
from proxygen.services.postfix_others import (
    MasterService,
    Overrides,
    PostfixFiles,
    foreign_certificates,
)
from proxygen.services.service_answers import too_old, understand_answer, version_in
from proxygen.services.service_kind import ServiceKind

PROGRAMS = ("/usr/sbin/postfix", "postfix")

LINK, BESIDE = "global.pem", "global-beside.pem"

CHAIN_FILES_SINCE = (3, 4)
COMPARISONS_SINCE = (3, 6)
"""The version from which ``>=TLSv1.2`` is understood."""

ENFORCE = "smtpd_enforce_tls"
"""How TLS was made mandatory before postfix 2.3; it counts while LEVEL is empty."""

INSTANCES = "multi_instance_directories"
"""The folders of further instances (postmulti(1)), set in the first one alone."""
DISCARDED, WRAPPED = "smtpd_discard_ehlo_keywords", "smtpd_tls_wrappermode"
PROXIED = ("smtpd_upstream_proxy_protocol", "postscreen_upstream_proxy_protocol")
HOW_REACHED = (
    *("queue_directory", "inet_interfaces", "inet_protocols"),
    *(DISCARDED, WRAPPED, *PROXIED, INSTANCES),
)

PORTS = {
    "smtp": 25,
    "mail": 25,
    "smtps": 465,
    "submissions": 465,
    "urd": 465,
    "ssmtp": 465,
    "submission": 587,
}
"""The services of /etc/services that mail is accepted on."""

CHAIN_FILES, SNI_MAPS = "smtpd_tls_chain_files", "tls_server_sni_maps"
OF_SERVER, OF_PROXY, TO_SERVERS = "smtpd_tls", "tlsproxy_tls", ("smtp_tls", "lmtp_tls")
"""What begins the names of the parameters for clients, for those of postscreen, and for servers."""
PAIRS = (("eccert_file", "eckey_file"), ("cert_file", "key_file"), ("dcert_file", "dkey_file"))
FILES = ("chain_files", *(name for pair in PAIRS for name in pair))
MOST_CHAIN_FILES, LONGEST_CHAIN = 8, 4
MAP = re.compile(r"(?:hash|btree|lmdb|cdb|texthash):(/[^\s,]+)")
"""A table whose source is a text file of that name (DATABASE_README)."""
HARMLESS = re.compile(r"support for parameter \S+ will be removed|overriding earlier entry: ")
UNUSED = re.compile(r"(unused parameter: \w+)=.*")
COMPLAINT = re.compile(r"\b(warning|error|fatal|panic):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PostfixFacts(ParameterFacts):
    """The facts of postfix; *listeners* are the places that a client may connect to."""

    listeners: tuple[Listener, ...] = ()


def questions(program: str, settings: ServiceSettings, layout: Layout) -> Mapping[str, Question]:
    """Return the commands and files whose answers ``facts`` needs."""
    main = main_file(settings, layout)
    postconf = (sibling_postconf(program), "-c", folder_of(main))
    return {
        "version": Command((*postconf, "-d", "-h", "mail_version")),
        "parameters": Command((*postconf, "-n")),
        "expanded": Command((*postconf, "-x", *HOW_REACHED, *OF_POSTFIX)),
        "services": Command((*postconf, "-M")),
        "overrides": Command((*postconf, "-x", "-P")),
        "main.cf": Reading(main),
        "master.cf": Reading(master_file(main)),
    }


def sibling_postconf(program: str) -> str:
    """Return the ``postconf`` that belongs to the ``postfix`` found."""
    return str(Path(program).with_name("postconf"))


def main_file(settings: ServiceSettings, layout: Layout) -> Path:
    """Return main.cf; ``configuration`` may name it or its folder."""
    if settings.configuration is None:
        return layout.usual_folder("postfix") / "main.cf"
    path = layout.host(settings.configuration)
    return path if path.name == "main.cf" else path / "main.cf"


def master_file(main: Path) -> Path:
    """Return master.cf, which stands beside main.cf."""
    return main.with_name("master.cf")


def facts(
    program: str, settings: ServiceSettings, layout: ServiceLayout, answers: Mapping[str, Answer]
) -> PostfixFacts:
    """Return the facts in *answers*; raise ServiceError if proxygen cannot work with postfix."""
    main = main_file(settings, layout)
    version = version_in(answers["version"], "postfix", "postconf -d mail_version")
    if version < CHAIN_FILES_SINCE:
        raise too_old("postfix-too-old", "postfix", version, CHAIN_FILES_SINCE)
    for name in ("parameters", "expanded", "services", "overrides"):
        understand_answer(answers[name], "postfix", main, f"postconf -c {main.parent} -n")
    present = assignments(answers["parameters"].out)
    expanded = assignments(answers["expanded"].out)
    overrides = overrides_of(answers["overrides"].out)
    listeners, unknown = listeners_of(answers["services"].out, present, expanded, overrides)
    return PostfixFacts(
        program=program,
        version=version,
        main=main,
        pid_file=Path(expanded.get("queue_directory", ""), "pid/master.pid"),
        listeners=listeners,
        parameters=present,
        ciphers=tuple(cipher_lists(answers["services"].out, present, expanded, overrides)),
        warnings=(
            *unknown,
            *foreign_certificates(
                PostfixFiles(main, text_of(answers, "main.cf"), text_of(answers, "master.cf")),
                *(present, overrides, programs_of(answers["services"].out), layout.own.folder),
            ),
        ),
        further=further_instances(expanded.get(INSTANCES, "")),
    )


def further_instances(directories: str) -> dict[str, str]:
    """Return the further instances by name, each with its folder, which has its name."""
    found = dict[str, str]()
    for folder in re.split(r"[\s,]+", directories)[:MOST_SERVICES]:
        if folder.startswith("/"):
            name = Path(folder).name.lower()
            word = re.sub(r"[^a-z0-9_-]+", "-", name.removeprefix("postfix-")).strip("-_")
            found.setdefault(f"postfix-{word[:31] or len(found) + 1}", folder.rstrip("/"))
    return found


def text_of(answers: Mapping[str, Answer], name: str) -> str:
    """Return the text of a file, empty if it cannot be read."""
    answer = answers.get(name)
    return answer.out if answer and not answer.code else ""


def assignments(text: str) -> dict[str, str]:
    """Return postconf's ``name = value`` lines as a mapping."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def overrides_of(text: str) -> Overrides:
    """Return the output of ``postconf -P``: lines such as ``smtps/inet/NAME = value``."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for place, value in assignments(text).items():
        service, _, parameter = place.rpartition("/")
        name, _, kind = service.rpartition("/")
        found.setdefault((name, kind), {})[parameter] = value
    return found


def listeners_of(
    services: str, present: Mapping[str, str], expanded: Mapping[str, str], overrides: Overrides
) -> tuple[tuple[Listener, ...], tuple[str, ...]]:
    """Return where smtpd and postscreen listen, and a warning for each unknown port."""
    found: dict[Listener, None] = {}
    warnings = []
    for name, program in internet_services(services):
        options = {**present, **expanded, **overrides.get((name, "inet"), {})}
        host, _, service = name.rpartition(":")
        port = port_of(service)
        if port is None:
            warnings.append(
                f"master.cf: the port of `{name}` is unknown, so proxygen does not probe it"
            )
        elif offers_tls(program, options, overrides.get((name, "inet"), {})):
            found[listener(program, reached_address(host, expanded), port, options)] = None
    return tuple(found), tuple(warnings)


def port_of(service: str) -> int | None:
    """Return the port of a service's name or number, None if it is unknown."""
    if not re.fullmatch(r"[0-9]{1,5}", service):
        return PORTS.get(service)
    return int(service) if 0 < int(service) < 65536 else None


def internet_services(services: str) -> Iterator[tuple[str, str]]:
    """Return name and program of the services in master.cf that accept mail by network."""
    for line in services.splitlines():
        fields = line.split(None, 8)
        if len(fields) > 7 and fields[1] == "inet" and fields[7] in ("smtpd", "postscreen"):
            yield fields[0], fields[7]


def cipher_lists(
    services: str, present: Mapping[str, str], expanded: Mapping[str, str], overrides: Overrides
) -> Iterator[CipherList]:
    """Yield which ciphers clients are offered with TLS 1.2, those of a service's own apart."""
    yield from of_postfix("main.cf", expanded, mandatory=present.get(LEVEL) == "encrypt")
    for name, _ in internet_services(services):
        own = overrides.get((name, "inet"), {})
        if own.keys() & set(OF_POSTFIX):
            wrapped = own.get("smtpd_tls_wrappermode") == "yes" or own.get(LEVEL) == "encrypt"
            place = f"master.cf: `{name}`"
            yield from of_postfix(place, {**expanded, **own}, mandatory=wrapped)


def programs_of(services: str) -> dict[MasterService, str]:
    """Return the program of each service in master.cf."""
    lines = (line.split(None, 8) for line in services.splitlines())
    return {(fields[0], fields[1]): fields[7] for fields in lines if len(fields) > 7}


def offers_tls(program: str, options: Mapping[str, str], own: Mapping[str, str]) -> bool:
    """Return whether a client is offered TLS once our parameters are set.

    Then only the service's *own* level, or a hidden keyword, can switch it off.
    """
    if program == "postscreen":
        level = options.get("postscreen_tls_security_level", "may")
        level = "may" if LEVEL in level else level  # which is ours
    else:
        level = own.get(LEVEL, "may")
    hidden = re.split(r"[\s,]+", options.get(DISCARDED, "").lower())
    return level not in ("", "none") and "starttls" not in hidden


def listener(program: str, address: str, port: int, options: Mapping[str, str]) -> Listener:
    """Return how a client begins TLS there."""
    wrapped = program == "smtpd" and options.get(WRAPPED, "").lower() == "yes"
    proxied = bool(options.get(f"{program}_upstream_proxy_protocol"))
    return Listener(address, port, None if wrapped else "smtp", proxied)


def reached_address(host: str, expanded: Mapping[str, str]) -> str:
    """Return the address at which this host reaches a service that listens on *host*."""
    families = expanded.get("inet_protocols", "all")
    loopback = "127.0.0.1" if "ipv4" in families or "all" in families else "::1"
    interfaces = (host or expanded.get("inet_interfaces", "all")).replace(",", " ").split()
    if not interfaces or {"all", "loopback-only", "localhost"} & set(interfaces):
        return loopback
    address = interfaces[0].strip("[]")
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)


def certificate_questions(
    facts: PostfixFacts,
    settings: ServiceSettings,  # noqa: ARG001
    layout: Layout,  # noqa: ARG001
    answers: Mapping[str, Answer],
) -> Mapping[str, Question]:
    """Return the commands that tell the files, and the sources of the maps for SNI."""
    postconf = (sibling_postconf(facts.program), "-c", folder_of(facts.main))
    kinds = (OF_SERVER, OF_PROXY, *TO_SERVERS)
    names = (SNI_MAPS, *(f"{kind}_{name}" for kind in kinds for name in FILES))
    asked: dict[str, Question] = {
        "presented": Command((*postconf, "-x", *names)),
        "overrides": Command((*postconf, "-x", "-P")),
    }
    if "presented" in answers:
        maps = assignments(answers["presented"].out).get(SNI_MAPS, "")
        asked |= {f"map {path}": Reading(Path(path)) for path in MAP.findall(maps)}
    if "overrides" in answers:
        own = overrides_of(answers["overrides"].out).values()
        maps = " ".join(options.get(SNI_MAPS, "") for options in own)
        asked |= {f"own map {path}": Reading(Path(path)) for path in MAP.findall(maps)}
    return asked


def configured(
    name: str,
    facts: PostfixFacts,  # noqa: ARG001
    settings: ServiceSettings,  # noqa: ARG001
    answers: Mapping[str, Answer],
) -> Iterator[Configured]:
    """Yield the certificates for that name alone (SNI), for all, and of services in master.cf."""
    for key, answer in answers.items():
        if key.startswith("map ") and not answer.code:
            yield from mapped(name, answer.out)
    yield from presented_pairs(assignments(answers["presented"].out))
    for options in overrides_of(answers["overrides"].out).values():
        yield from presented_pairs(options)


def mail_certificates(answers: Mapping[str, Answer]) -> Iterator[MailCertificate]:
    """Yield those of maps for SNI and of main.cf, and of master.cf's services, which stay.

    Where postscreen's TLS has files of its own as `chain_files`, these stay as well: otherwise they
    give way to ours.
    """
    said = assignments(answers["presented"].out)
    yield from mapped_certificates("map", said.get(SNI_MAPS, ""), answers, stays=False)
    ours = list(presented_pairs(said))
    yield from map(MailCertificate, ours)
    stays = said.get(f"{OF_PROXY}_chain_files", "") not in ("", said.get(CHAIN_FILES, ""))
    proxied = (each for each in presented_pairs(said, OF_PROXY) if each not in ours)
    yield from (MailCertificate(each, stays=stays) for each in proxied)
    for kind in TO_SERVERS:
        sent = presented_pairs(said, kind)
        yield from (MailCertificate(each, stays=True, to_servers=True) for each in sent)
    for options in overrides_of(answers["overrides"].out).values():
        yield from mapped_certificates("own map", options.get(SNI_MAPS, ""), answers, stays=True)
        for kind in (OF_SERVER, OF_PROXY):
            stays = f"{kind}_chain_files" in options  # pairs give way to our files of chains
            yield from (
                MailCertificate(each, stays=stays) for each in presented_pairs(options, kind)
            )
        for kind in TO_SERVERS:
            sent = presented_pairs(options, kind)
            yield from (MailCertificate(each, stays=True, to_servers=True) for each in sent)


def mapped_certificates(
    word: str, maps: str, answers: Mapping[str, Answer], *, stays: bool
) -> Iterator[MailCertificate]:
    """Yield those that tables have for names, and each table that cannot be read."""
    read = {}
    for path in MAP.findall(maps):
        answer = answers.get(f"{word} {path}")
        if answer and not answer.code:
            read[path] = answer.out
    for name, files in (found for text in read.values() for found in map_entries(text)):
        yield from (MailCertificate(each, (name,), stays) for each in chain_files(files))
    left = MAP.sub(lambda found: "" if found[1] in read else found[0], maps)
    if unread := left.replace("proxy:", "").strip(", \t"):
        yield MailCertificate(stays=stays, unread=f"{SNI_MAPS} = {unread}")


def map_entries(text: str) -> Iterator[tuple[str, str]]:
    """Yield the names in the source of a map, in lower case, each with what it has."""
    lines = (line.split(None, 1) for line in text.splitlines() if not line.startswith("#"))
    yield from ((line[0].lower(), line[1]) for line in lines if len(line) > 1)


def mapped(name: str, text: str) -> Iterator[Configured]:
    """Yield the certificates that a map for SNI has for a name, or its parent (postmap -F)."""
    found = dict(map_entries(text))
    for key in (name, f".{name.partition('.')[2]}"):
        yield from chain_files(found.get(key, ""))


def presented_pairs(parameters: Mapping[str, str], kind: str = OF_SERVER) -> Iterator[Configured]:
    """Yield the certificates that parameters name; files of chains come first."""
    if files := parameters.get(f"{kind}_chain_files"):
        yield from chain_files(files)
        return
    for names in PAIRS:
        certificate, key = (parameters.get(f"{kind}_{name}", "") for name in names)
        paths = certificate, key or certificate
        if all(path.startswith("/") for path in paths):
            yield Configured(tuple(dict.fromkeys(map(Path, paths))))


def chain_files(text: str) -> Iterator[Configured]:
    """Yield what of a list may be a key with its chain: each file, and with those that follow it.

    A key stands before its chain (postconf(5), "smtpd_tls_chain_files"), which may be in files of
    its own; which of them go together is told by what they hold.
    """
    files = [Path(word) for word in re.split(r"[\s,]+", text) if word.startswith("/")]
    files = files[:MOST_CHAIN_FILES]
    for index in range(len(files)):
        for length in range(1, min(LONGEST_CHAIN, len(files) - index) + 1):
            yield Configured(tuple(files[index : index + length]))


def wanted(
    view: MailView,
    settings: ServiceSettings,  # noqa: ARG001
    facts: PostfixFacts,
    layout: ServiceLayout,
) -> Wanted:
    """Return the links to the certificates, and the parameters, which hardly ever change."""
    links = {LINK: view.bundle} | ({BESIDE: view.beside} if view.beside else {})
    context = {
        "chains": tuple(layout.own.current / name for name in links),
        "level": security_level(facts.parameters),
        "comparisons": facts.version >= COMPARISONS_SINCE,
    }
    return Wanted(
        links=links,
        certificates=tuple(links.values()),
        parameters=Rendered("postfix/main.cf.j2", "main.cf", context),
    )


def security_level(present: Mapping[str, str]) -> str | None:
    """Return the security level: what the administrator chose, unless that is no TLS.

    None leaves a value alone that is not a plain word, such as ``$our_level``.
    """
    chosen = present.get(LEVEL, "")
    if not chosen and present.get(ENFORCE) == "yes":
        return "encrypt"
    if chosen in ("", "none"):
        return "may"
    return chosen if chosen.isalpha() else None


def pointer(main: Path) -> None:
    """Return None: main.cf has no includes."""


def folder_of(main: Path) -> str:
    """Return the folder for the option ``-c``."""
    return str(main.parent.absolute())


def check(facts: PostfixFacts, settings: ServiceSettings, main: Path) -> tuple[Command, ...]:  # noqa: ARG001
    """Return the commands that read the configuration whose main file is *main*, and master.cf.

    `postfix check` refuses no more than these do, but searches the whole queue as well.
    """
    postconf = (sibling_postconf(facts.program), "-c", folder_of(main))
    return Command((*postconf, "-n")), Command((*postconf, "-M"))


def refused(answers: Iterable[Answer]) -> str | None:
    """Return postfix's words if one of the answers to ``check`` is a refusal.

    Both commands exit 0 in cases that break mail, so what they say about our parameters counts as
    well; what they say about others is the administrator's business.
    """
    for answer in answers:
        ours = [line for line in answer.err.splitlines() if about_ours(line)]
        if answer.code:
            return answer.err.strip() or f"exit code {answer.code}"
        if ours:
            return "\n".join(ours)
    return None


def about_ours(line: str) -> bool:
    """Return whether *line* complains about a parameter that we set.

    postfix 3.9 and later name ours as what to write instead of one that will be removed. One that
    main.cf sets twice has its last value, and where one of others is unused, its value is no
    complaint.
    """
    complains = COMPLAINT.search(line) and not HARMLESS.search(line)
    words = set(re.findall(r"\w+", UNUSED.sub(r"\1", line)))
    return bool(complains) and not words.isdisjoint(OURS)


def reload(facts: PostfixFacts, settings: ServiceSettings) -> None:
    """Return None: SIGHUP makes the master read its configuration again (master(8)).

    `postfix reload` searches the whole queue first, as the user who owns it; a unit that may switch
    to any user is no sandbox.
    """


SERVICE = ServiceKind(
    role=Role.MAIL,
    programs=PROGRAMS,
    workers=False,  # smtpd processes end and begin with the mail, so new ones prove nothing
    settings_type=ServiceSettings,
    facts_type=PostfixFacts,
    view_type=MailView,
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
    parameters=main_cf,
)

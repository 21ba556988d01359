"""dovecot: the global certificate on IMAP, POP3, ManageSieve, submission and LMTP."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from proxygen.model.layout import Layout, ServiceLayout
from proxygen.model.site import Role
from proxygen.model.views import MailView
from proxygen.services import (
    Answer,
    Command,
    Configured,
    Facts,
    FileOrder,
    Listener,
    MailCertificate,
    Pointer,
    Question,
    Reading,
    Rendered,
    ServiceSettings,
    Wanted,
)
from proxygen.services.dovecot_blocks import DovecotBlock, parse_doveconf
from proxygen.services.dovecot_files import FILTERS, SERVER, TLS, read_files
from proxygen.services.dovecot_others import (
    foreign_filters,
    later_settings,
    ours_left_out,
    overridden_certificate,
)
from proxygen.services.mail_endpoints import endpoints
from proxygen.services.service_answers import too_old, understand_answer, version_in
from proxygen.services.service_includes import matched_by
from proxygen.services.service_kind import ServiceKind

PROGRAMS = ("/usr/sbin/dovecot", "dovecot")

LINK, CHAIN, FILE = "global.pem", "global-chain.pem", "tls.conf"
BESIDE, CHAIN_BESIDE = "global-beside.pem", "global-beside-chain.pem"

OLDEST, RENAMED = (2, 3), (2, 4)
CURVES = "X25519:prime256v1:secp384r1"
HYBRID, HYBRID_SINCE = "X25519MLKEM768", (3, 5)

LOGINS = {
    "imap-login": ("imap", "imap"),
    "pop3-login": ("pop3", "pop3"),
    "managesieve-login": ("sieve", "sieve"),
    "submission-login": ("submission", "smtp"),
    "lmtp": ("lmtp", "lmtp"),
}
"""The services that clients meet: the protocol that must be enabled, and what is spoken."""

INCLUDES = matched_by(r"(?m)^[ \t]*!include(?:_try)?[ \t]+(?P<mask>[^\r\n#]*[^\s#])")
"""A comment starts with another character, and strings do not stand at a line's beginning."""

LISTENING = ("protocols", "listen", "base_dir", "service")
"""What 2.4 is asked for by name, as ``-a`` prints it without the defaults."""

SWITCHED_ON = re.compile(r"(?m)^ssl = yes$")


@dataclass(frozen=True, slots=True)
class DovecotFacts(Facts):
    """The facts of dovecot.

    *openssl* is the version of the host's OpenSSL, empty if unknown. *listeners* are the places
    that a client may connect to. *ssl* is the administrator's setting of that name.
    """

    openssl: tuple[int, ...] = ()
    listeners: tuple[Listener, ...] = ()
    ssl: str = "yes"


def questions(
    program: str, settings: ServiceSettings, layout: ServiceLayout
) -> Mapping[str, Question]:
    """Return the commands and the files whose answers ``facts`` needs."""
    main = main_file(settings, layout)
    doveconf = (program_beside(program, "doveconf"), "-c", str(main))
    return {
        "version": Command((program, "--version")),
        "openssl": Command(("openssl", "version")),
        "settings": Command((*doveconf, "-a")),
        "listeners": Command((*doveconf, *LISTENING)),
        "pointer": Reading(pointer(main).path),
        "ours": Reading(layout.own.current / FILE),
        "files": FileOrder(main, pointer(main)),
    }


def program_beside(program: str, name: str) -> str:
    """Return ``bin/doveconf`` for ``sbin/dovecot``, as every package installs both."""
    path = Path(program)
    return str(path.parent.parent / "bin" / name) if path.is_absolute() else name


def main_file(settings: ServiceSettings, layout: Layout) -> Path:
    """Return dovecot.conf."""
    if settings.configuration is None:
        return layout.usual_folder("dovecot") / "dovecot.conf"
    return layout.host(settings.configuration)


def facts(
    program: str, settings: ServiceSettings, layout: ServiceLayout, answers: Mapping[str, Answer]
) -> DovecotFacts:
    """Return the facts in *answers*; raise ServiceError if proxygen cannot work with dovecot."""
    main = main_file(settings, layout)
    version = version_in(answers["version"], "dovecot", "dovecot --version")
    if version < OLDEST:
        raise too_old("too-old", "dovecot", version, OLDEST)
    command = f"doveconf -c {main} -n"
    root = parse_doveconf(understand_answer(answers["settings"], "dovecot", main, command))
    asked = root
    if version >= RENAMED:
        asked = parse_doveconf(understand_answer(answers["listeners"], "dovecot", main, command))
    ours = text_of(answers.get("ours"))
    included = ours if text_of(answers.get("pointer")) else ""
    files = read_files(answers["files"].parts if "files" in answers else ())
    return DovecotFacts(
        program=program,
        version=version,
        main=main,
        openssl=openssl_of(answers.get("openssl")),
        pid_file=Path(asked.settings.get("base_dir", "/run/dovecot"), "master.pid"),
        listeners=tuple(dict.fromkeys(listeners(asked, protocols_without_tls(root)))),
        ssl=ssl_without_us(root, ours),
        warnings=(
            *ours_left_out(files, pointer(main), main),
            *(
                later_settings(files, pointer(main), layout.own.folder)
                or overridden_certificate(root, included, layout.own.folder)
            ),
            *foreign_filters(root, files),
        ),
    )


def text_of(answer: Answer | None) -> str:
    """Return the text of a file that was read, empty if there is none."""
    return answer.out if answer and not answer.code else ""


def openssl_of(answer: Answer | None) -> tuple[int, ...]:
    """Return the version of the host's OpenSSL, empty if unknown."""
    found = re.match(r"OpenSSL (\d+)\.(\d+)\.(\d+)", answer.out) if answer else None
    return tuple(map(int, found.groups())) if found else ()


def ssl_without_us(root: DovecotBlock, ours: str) -> str:
    """Return the administrator's setting ``ssl``.

    Ours is written only if theirs is ``no``: ours is read last, so repeating it always would undo a
    later ``ssl = required`` of theirs.
    """
    if SWITCHED_ON.search(ours):
        return "no"
    return root.settings.get("ssl", "yes")


def protocols_without_tls(root: DovecotBlock) -> frozenset[str]:
    """Return the protocols for which the administrator has switched TLS off."""
    return frozenset(
        block.name for block in root.named("protocol") if block.settings.get(TLS) == "no"
    )


def listeners(root: DovecotBlock, off: Collection[str]) -> Iterator[Listener]:
    """Return what clients connect to, for the protocols that are enabled and have TLS not *off*."""
    enabled = [word for word in root.words("protocols") if word not in off]
    for service in root.named("service"):
        protocol, spoken = LOGINS.get(service.name, ("", ""))
        if protocol in enabled:
            for inet in service.named("inet_listener"):
                yield from listeners_of(inet, spoken, root.words("listen"))


def listeners_of(inet: DovecotBlock, spoken: str, everywhere: list[str]) -> Iterator[Listener]:
    """Yield one listener, none if it is switched off or for trusted proxies only."""
    port = port_of(inet.settings.get("port", ""))
    if port is None or inet.settings.get("haproxy") == "yes":
        return
    addresses = inet.words("address") or inet.words("listen") or everywhere
    wrapped = inet.settings.get("ssl") == "yes"
    yield Listener(reached_address(addresses), port, None if wrapped else spoken)


def port_of(text: str) -> int | None:
    """Return the port; None for 0, which switches a listener off, and for anything odd."""
    port = int(text) if re.fullmatch(r"[0-9]{1,5}", text) else 0
    return port if 0 < port < 65536 else None


def reached_address(addresses: list[str]) -> str:
    """Return the address at which this host reaches what listens on *addresses*."""
    address = addresses[0].strip("[]") if addresses else "*"
    return {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)


def certificate_questions(
    facts: DovecotFacts,
    settings: ServiceSettings,  # noqa: ARG001
    layout: Layout,  # noqa: ARG001
    answers: Mapping[str, Answer],  # noqa: ARG001
) -> Mapping[str, Question]:
    """Return the command that prints where the keys are, which only ``-P`` does, and the files."""
    doveconf = (program_beside(facts.program, "doveconf"), "-c", str(facts.main))
    order = FileOrder(facts.main, pointer(facts.main))
    return {"presented": Command((*doveconf, "-P", "-n")), "files": order}


def configured(
    name: str,
    facts: DovecotFacts,  # noqa: ARG001
    settings: ServiceSettings,  # noqa: ARG001
    answers: Mapping[str, Answer],
) -> Iterator[Configured]:
    """Yield the certificates for that name (``local_name``), for all, and of other filters."""
    answer = answers["presented"]
    root = DovecotBlock() if answer.code else parse_doveconf(answer.out)
    found = list(filtered_blocks(root))
    for mine in (True, False):
        for names, settings_there in found:
            if (name in names) is mine and (mine or not names):
                yield from certificate_pairs(settings_there)


def mail_certificates(answers: Mapping[str, Answer]) -> Iterator[MailCertificate]:
    """Yield those of all, and of filters, which stay, as do those that are read after ours."""
    answer = answers["presented"]
    root = DovecotBlock() if answer.code else parse_doveconf(answer.out)
    files = read_files(answers["files"].parts if "files" in answers else ())
    later = {each.value.removeprefix("<").strip() for each in files.later()}
    for each in shown_by(root):
        certificate = str(each.configured.paths[0])
        yield replace(each, stays=each.stays or certificate in later)


def shown_by(
    block: DovecotBlock, names: tuple[str, ...] = (), *, stays: bool = False
) -> Iterator[MailCertificate]:
    """Yield what a block presents, and what the filters in it do."""
    yield from (MailCertificate(each, names, stays) for each in certificate_pairs(block))
    for inner in block.blocks:
        if inner.kind in (*FILTERS, SERVER):
            own = tuple(inner.name.lower().split()) if inner.kind == "local_name" else names
            yield from shown_by(inner, own, stays=stays or inner.kind in FILTERS)


def filtered_blocks(
    block: DovecotBlock, names: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], DovecotBlock]]:
    """Yield a block and the filters in it, each with the names that it applies to."""
    yield names, block
    for inner in block.blocks:
        if inner.kind in (*FILTERS, SERVER):
            local = inner.kind == "local_name"
            yield from filtered_blocks(inner, tuple(inner.name.lower().split()) if local else names)


def certificate_pairs(block: DovecotBlock) -> Iterator[Configured]:
    """Yield the certificates of a block; in 2.3 a path begins with ``<``, in 2.4 it does not."""
    for alternative in ("", "alt_"):
        for prefix, suffix in (("ssl_", ""), ("ssl_server_", "_file"), ("", "_file")):
            keys = (f"{prefix}{alternative}{what}{suffix}" for what in ("cert", "key"))
            paths = [block.settings.get(key, "").removeprefix("<").strip() for key in keys]
            if all(path.startswith("/") for path in paths):
                yield Configured(tuple(map(Path, paths)))


def pointer(main: Path) -> Pointer:
    """Return our file in ``conf.d``, which is read last.

    It says ``!include_try``: delivery agents read the configuration as the mail user, who may not
    enter our folder, and a missing generation must not stop dovecot from starting. The probe proves
    that the certificate is served.
    """
    path = main.parent / "conf.d" / "99-proxygen.conf"
    return Pointer(path, "!include_try {}".format, INCLUDES, relative_to_main=False)


def wanted(
    view: MailView,
    settings: ServiceSettings,  # noqa: ARG001
    facts: DovecotFacts,
    layout: Layout,  # noqa: ARG001
) -> Wanted:
    """Return the file with the TLS settings; the rest of dovecot is the administrator's."""
    syntax = "2.4" if facts.version >= RENAMED else "2.3"
    context = {
        "switch_on": facts.ssl == "no",
        "curves": known_groups(facts.openssl),
        "beside": view.beside is not None,
    }
    beside = view.beside
    return Wanted(
        files=(Rendered(f"dovecot/tls-{syntax}.conf.j2", FILE, context),),
        links={LINK: view.bundle} | ({BESIDE: beside} if beside else {}),
        chains={CHAIN: view.bundle} | ({CHAIN_BESIDE: beside} if beside else {}),
        certificates=(view.bundle, beside) if beside else (view.bundle,),
    )


def known_groups(openssl: tuple[int, ...]) -> str:
    """Return the groups that this OpenSSL knows; with an unknown one, every handshake fails."""
    return f"{HYBRID}:{CURVES}" if openssl >= HYBRID_SINCE else CURVES


def check(facts: DovecotFacts, settings: ServiceSettings, main: Path) -> tuple[Command, ...]:  # noqa: ARG001
    """Return the command that checks the complete configuration whose main file is *main*.

    ``-x`` makes it open the certificate files as well.
    """
    return (Command((program_beside(facts.program, "doveconf"), "-c", str(main), "-x", "-n")),)


def refused(answers: Iterable[Answer]) -> str | None:
    """Return dovecot's words if one of the answers to ``check`` is a refusal.

    Its standard output is never shown, as it holds the whole configuration.
    """
    for answer in answers:
        if answer.code:
            return answer.err.strip() or f"exit code {answer.code}"
    return None


def reload(facts: DovecotFacts, settings: ServiceSettings) -> Command:  # noqa: ARG001
    """Return the command that makes the running dovecot read its configuration again."""
    return Command((program_beside(facts.program, "doveadm"), "-c", str(facts.main), "reload"))


SERVICE = ServiceKind(
    role=Role.MAIL,
    programs=PROGRAMS,
    workers=False,  # login processes come and go with the connections, so new ones prove nothing
    settings_type=ServiceSettings,
    facts_type=DovecotFacts,
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
)

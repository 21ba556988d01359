"""Small services for tests: a script and a few files each, below a root; their facts are given.

``web`` is handed the web's view and includes our files, ``post`` is handed mail's and has
parameters set. Whoever asks them is told what their configuration holds, and nothing else.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from socket import socket

from proxygen import assemble
from proxygen.apply.rendering import render_services
from proxygen.apply.service import LiveService, SwitchTarget
from proxygen.model.layout import Layout, ServiceLayout
from proxygen.model.site import Role, Site
from proxygen.model.views import MailView, WebView
from proxygen.observe.site import observe
from proxygen.plan.observed import Observed
from proxygen.plan.render import Template, Templates
from proxygen.plan.rendering import Rendering
from proxygen.services import (
    Answer,
    Command,
    Configured,
    Endpoint,
    ParameterFacts,
    Pointer,
    Question,
    Reading,
    Rendered,
    ServiceSettings,
    Wanted,
    WebFacts,
    main_cf,
)
from proxygen.services.nginx_blocks import served_view
from proxygen.services.service_includes import matched_by
from proxygen.services.service_kind import Service, ServiceKind

LINK = "global.pem"
THEIRS = "# theirs"
"""A line of the main file that is the administrator's."""
VERSION = (1, 2)
INCLUDES = matched_by(r"(?m)^include (?P<mask>\S+)")
TEMPLATES = {
    "web/sites.conf.j2": "{% for each in sites %}\nserve {{ each.name }} {{ each.file }}\n"
    "{% endfor %}\n",
    "post/main.cf.j2": "smtpd_tls_chain_files = {{ chain }}\n",
}

PROGRAM = """\
#!/bin/sh
# check FILE: say what the service refuses in its configuration; reload: serve what that says.
cd "$(dirname "$0")" || exit 2
whole() {
    for file in "$@"; do cat "$file"; for below in $(sed -n 's/^include //p' "$file"); do
        whole "$below"; done; done
}
of() { whole "$1" | grep -q -f "$2"; }
case $1 in
check)
    echo check >>said
    if of "$2" refuses; then echo "web: [emerg] unknown word in $2:1" >&2; exit 1; fi ;;
reload)
    echo "reload $(readlink live/current)" >>said
    if of web.conf does-not-reload; then echo "web: [emerg] bind() failed" >&2; exit 1; fi
    whole web.conf | sed -n 's/^serve //p' >serves
    rm -f served/*
    while read -r name file; do
        if echo "$name $file" | grep -q -f mixes-up; then file=other.pem; fi
        cp "$file" "served/$name"
    done <serves ;;
run)
    cat ;;
esac
"""


class Small:
    """Both services below *root*, with proxygen's own parts; *port* is where ``web`` serves.

    What ``web`` does is told by words: it *refuses* a configuration that holds one, does not
    reload with it, or shows another certificate for a name in whose line it stands.
    """

    def __init__(self, root: Path, now: datetime, port: int = 443) -> None:
        self.root, self.port = root, port
        self.layout = Layout(root, root / "etc/proxygen/proxygen.yaml")
        self.folder = root / "etc/web"
        (self.folder / "conf.d").mkdir(parents=True)
        (self.folder / "served").mkdir()
        (self.folder / "live").symlink_to(self.layout.live("web").folder)
        self.main.write_text(f"{THEIRS}\ninclude conf.d/*.conf\n")
        (root / "etc/post").mkdir()
        (root / "etc/post/main.cf").write_text("myhostname = mail.example.net\n")
        for word in ("refuses", "does-not-reload", "mixes-up"):
            self.tell(word)
        for path in (self.program, root / "etc/post/post"):
            path.write_text(PROGRAM)
            path.chmod(0o755)
        parts = assemble.build_installation(self.layout, lambda: now)
        templates = Templates({name: Template(text, name) for name, text in TEMPLATES.items()})
        self.parts = replace(parts, services=services(root, port), templates=templates)

    @property
    def main(self) -> Path:
        """The main configuration file of ``web``."""
        return self.folder / "web.conf"

    @property
    def program(self) -> Path:
        """The program of ``web``."""
        return self.folder / "web"

    @property
    def pointer(self) -> Path:
        """The one file of ours in the configuration of ``web``."""
        return self.folder / "conf.d/00-proxygen.conf"

    @property
    def said(self) -> list[str]:
        """What ``web`` was told to do, in order, and by whom it was asked for a certificate."""
        path = self.folder / "said"
        return path.read_text().splitlines() if path.exists() else []

    def note(self, line: str) -> None:
        """Note a line among these."""
        with (self.folder / "said").open("a") as file:
            file.write(f"{line}\n")

    def tell(self, what: str, *words: str) -> None:
        """Have ``web`` do *what* (a file's name) wherever one of the words stands."""
        (self.folder / what).write_text("".join(f"{word}\n" for word in words))

    def shake(self, connection: socket) -> None:
        """Answer one connection as ``web``: with what it read when it was told to reload."""

        def chosen(secured: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
            self.note(f"asked for {name}")
            file = self.folder / "served" / (name or "")
            if not file.is_file():
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            secured.context = presenting(file)
            return None

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = chosen
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)

    def set_up(self, site: Site) -> dict[str, Rendering]:
        """Give both services what a site wants, and return that; nobody is asked or reloaded."""
        observed = observe(site, self.parts)
        wanted = self.wanted(site, observed)
        for name, each in wanted.items():
            service = LiveService(observed.services[name], self.parts)
            service.switch(
                SwitchTarget(service.generations.build(each, self.parts.bundles), each.parameters)
            )
        return wanted

    def wanted(self, site: Site, observed: Observed) -> dict[str, Rendering]:
        """Return what both services should have."""
        wanted, failures = render_services(site, self.parts, observed)
        assert not failures
        return wanted


def presenting(path: Path) -> ssl.SSLContext:
    """Return a context that presents the certificate in a file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def services(root: Path, port: int) -> dict[str, Service]:
    """Return both services by name."""
    return {"web": web(root, port).named("web", "web"), "post": post(root).named("post", "post")}


@dataclass(frozen=True, slots=True)
class Served:
    """A name that is served, and the file of its certificate."""

    name: str
    file: str


def web(root: Path, port: int) -> ServiceKind[ServiceSettings, WebFacts, WebView]:
    """Return a web server with includes, at a port."""
    main = root / "etc/web/web.conf"
    program = str(root / "etc/web/web")

    def facts(*_: object) -> WebFacts:
        return WebFacts(program, VERSION, main, pid_file=root / "run/web.pid")

    def wanted(view: WebView, _: ServiceSettings, facts: WebFacts, layout: ServiceLayout) -> Wanted:
        there = served_view(view, facts).sites
        found = [
            Served(name, str(layout.own.certificate(each.bundle.owner, each.bundle.digest)))
            for each in there
            for name in each.names
        ]
        return Wanted(
            files=(Rendered("web/sites.conf.j2", "sites.conf", {"sites": found}),),
            links={LINK: there[0].bundle},
            certificates=tuple(each.bundle for each in there),
            additions={**facts.additions, **dict.fromkeys(facts.closed)},
        )

    def places(
        service: str, view: WebView, _: ServiceSettings, facts: WebFacts
    ) -> Iterator[Endpoint]:
        for each in served_view(view, facts).sites:
            for name in each.names:
                yield Endpoint(service, "127.0.0.1", port, name, each.bundle)

    return ServiceKind(
        role=Role.WEB,
        programs=(program,),
        workers=False,
        settings_type=ServiceSettings,
        facts_type=WebFacts,
        view_type=WebView,
        main_file=lambda _, __: main,
        questions=no_questions,
        facts=facts,
        certificate_questions=no_questions,
        configured=nothing_configured,
        pointer=lambda main: Pointer(
            main.parent / "conf.d/00-proxygen.conf", "include {}".format, INCLUDES
        ),
        wanted=wanted,
        check=lambda facts, _, main: (Command((facts.program, "check", str(main))),),
        refused=refused,
        reload=lambda facts, _: Command((facts.program, "reload")),
        endpoints=places,
    )


def post(root: Path) -> ServiceKind[ServiceSettings, ParameterFacts, MailView]:
    """Return a mail server with parameters."""
    main = root / "etc/post/main.cf"

    def facts(
        program: str, _: ServiceSettings, __: ServiceLayout, answers: Mapping[str, Answer]
    ) -> ParameterFacts:
        present = main_cf.parameters_in(answers["main"].out)
        parameters = {name: value or "" for name, value in present.items()}
        return ParameterFacts(program, VERSION, main, parameters=parameters)

    def wanted(
        view: MailView, _: ServiceSettings, __: ParameterFacts, layout: ServiceLayout
    ) -> Wanted:
        chain = str(layout.own.current / LINK)
        return Wanted(
            links={LINK: view.bundle},
            certificates=(view.bundle,),
            parameters=Rendered("post/main.cf.j2", "main.cf", {"chain": chain}),
        )

    def places(
        service: str, view: MailView, _: ServiceSettings, __: ParameterFacts
    ) -> Iterator[Endpoint]:
        yield Endpoint(service, "127.0.0.1", 25, view.host, view.bundle, "smtp")

    return ServiceKind(
        role=Role.MAIL,
        programs=(str(root / "etc/post/post"),),
        workers=False,
        settings_type=ServiceSettings,
        facts_type=ParameterFacts,
        view_type=MailView,
        main_file=lambda _, __: main,
        questions=lambda *_: {"main": Reading(main)},
        facts=facts,
        certificate_questions=no_questions,
        configured=nothing_configured,
        pointer=lambda _: None,
        wanted=wanted,
        check=lambda facts, _, main: (Command((facts.program, "check", str(main))),),
        refused=refused,
        reload=lambda facts, _: Command((facts.program, "reload")),
        endpoints=places,
        parameters=main_cf,
    )


def no_questions(*_: object) -> Mapping[str, Question]:
    """Return that there is nothing to ask."""
    return {}


def nothing_configured(*_: object) -> Iterable[Configured]:
    """Return that nobody else configured a certificate."""
    return ()


def refused(answers: Iterable[Answer]) -> str | None:
    """Return the words of a check that failed."""
    return next((each.words for each in answers if each.code), None)

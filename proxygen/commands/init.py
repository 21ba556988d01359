"""init: a few questions, a look at the host, and a first commented model."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import click

from proxygen import DOCUMENTS, SCHEMA, registry
from proxygen.errors import UsageError
from proxygen.host import files, processes
from proxygen.host.suffixes import registered_domain
from proxygen.importing.finding import lineages
from proxygen.model.hosts import BadName, host_name, is_placeholder, mail_address, url_host
from proxygen.model.layout import Layout
from proxygen.services.main_cf import parameters_in
from proxygen.services.postfix import INSTANCES, further_instances

MODEL = """\
# The model of this installation: what proxygen makes nginx, postfix and dovecot serve.
# `proxygen validate` tells every mistake, `proxygen plan` what would be done,
# `proxygen apply` does it. Every field: {documents}/model.md; for editors: `proxygen schema`.

contact: {contact}    # ACME account contact, and who is warned

global:               # its certificate is what postfix and dovecot present, always
  url: https://{host}
  extra_names: []     # other names of this host: [smtp.{domain}, imap.{domain}]
  certificate: {certificate}    # acme, selfsigned, or file: {{certificate: PATH, key: PATH}}
{backend_line}
domains:
#  customer.example:                              # reached through the global URL, or:
#    url: https://webmail.customer.example        # a URL of its own
#    extra_names: [autodiscover.customer.example]
#    certificate: acme                            # without it the global certificate serves

{backends}
acme:
  directory: {directory}
  terms_of_service_agreed: {agreed}

# Found on this host: {found}. Without `services:` every one that is found is used.
{services}
include: [domains.d/*.yaml]    # each file holds a `domains:` mapping
"""

FOR_EDITORS = "# yaml-language-server: $schema={}\n"
"""The first line, by which an editor knows the fields."""

BACKENDS = """\
backends:
  groupware:
    application: {application}
    upstreams: {{{upstreams}}}
"""

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.@+_-]*")
"""What YAML reads as it is typed; a mail address may begin with much that it does not."""

UPSTREAMS = {
    "bluemind": (
        'web: ["http://127.0.0.1:8080"], core: ["http://127.0.0.1:8090"], '
        'mapi: ["http://127.0.0.1:5001"], eas: ["http://127.0.0.1:8082"]'
    ),
    "generic": 'web: ["http://127.0.0.1:8080"]',
}


@click.command
@click.option("--url", metavar="URL", help="The global URL.")
@click.option(
    "--contact",
    metavar="ADDRESS",
    help="The mail address that receives alerts, and contact of the ACME account.",
)
@click.option(
    "--certificate",
    type=click.Choice(["acme", "selfsigned"]),
    help="The source of the global certificate.",
)
@click.option(
    "--agree-to-terms/--no-agree-to-terms",
    default=None,
    help="Whether you agree to the terms of service of Let's Encrypt.",
)
@click.option(
    "--application",
    type=click.Choice(["generic", "bluemind", "none"]),
    help="The application behind the global URL.",
)
@click.pass_obj
def command(
    layout: Layout,
    url: str | None,
    contact: str | None,
    certificate: str | None,
    agree_to_terms: bool | None,
    application: str | None,
) -> int:
    """Write a first model file.

    Asks on the terminal for what you do not give as an option. Never overwrites a model file.
    """
    path = layout.config
    if path.exists():
        raise UsageError(f"{path} is there already", remedy="edit it, or move it away first")
    if rather_import(layout):
        click.echo("run `proxygen import`: it writes a model from them")
        return 0
    require_terminal(
        {
            "--url": url,
            "--contact": contact,
            "--certificate": certificate,
            AGREE: False if certificate == "selfsigned" else agree_to_terms,
            "--application": application,
        }
    )
    host = ask_checked("The global URL", url, url_host, own_url(), "https://mail.example.net")
    domain = domain_of(host)
    usual = "" if is_placeholder(domain) else f"hostmaster@{domain}"
    address = ask_checked("Contact", contact, mail_address, usual, "hostmaster@example.net")
    kind = certificate or click.prompt(
        "Global certificate", type=click.Choice(["acme", "selfsigned"]), default="acme"
    )
    agreed = kind == "acme" and (
        agree_to_terms
        if agree_to_terms is not None
        else click.confirm("Let's Encrypt's terms of service (letsencrypt.org/repository): agree?")
    )
    serves = application or click.prompt(
        "Application behind the URL",
        type=click.Choice(["generic", "bluemind", "none"]),
        default="bluemind" if layout.host("/etc/bm").is_dir() else "generic",
    )
    further = further_services(layout)
    text = model_text(host, domain, address, kind, serves, further, agreed=agreed)
    write_new_model(path, text)
    click.echo(f"wrote {path}; next: look through it, then `proxygen plan`")
    if any(map(is_placeholder, (host, address.rpartition("@")[2]))):
        words = "note: it has names for examples and tests, for which no public authority issues"
        click.echo(words, err=True)
    return 0


def rather_import(layout: Layout) -> bool:
    """Return whether a person, told what other ACME clients have here, wants it imported.

    Where nobody can be asked it is a note, and a first model is written as asked.
    """
    counted = Counter(each.client for each in lineages(layout, ()).lineages)
    if not counted:
        return False
    what = ", ".join(f"{count} of {client}" for client, count in counted.items())
    if sys.stdin and sys.stdin.isatty():
        return click.confirm(f"There are certificates here: {what}. Import them?", default=True)
    note = f"note: there are certificates here: {what}; `proxygen import` writes a model from them"
    click.echo(note, err=True)
    return False


AGREE = "--agree-to-terms or --no-agree-to-terms"


def require_terminal(given: Mapping[str, object]) -> None:
    """Raise UsageError that names the options left open, where nobody can be asked for them."""
    missing = [option for option, value in given.items() if value is None]
    if missing and not (sys.stdin and sys.stdin.isatty()):
        what = "there is no terminal on which questions could be asked"
        raise UsageError(what, remedy=f"give {', '.join(missing)}")


def ask_checked(question: str, given: str | None, check: object, default: str, such: str) -> str:
    """Return an answer that *check* accepts; ask again until it does, unless it was given.

    Without a *default* something must be typed; then *such* is told, which nobody gets by Enter.
    """
    shown = question if default else f"{question} (such as {such})"
    while True:
        answer = given or click.prompt(shown, default=default or None)
        try:
            return str(check(answer))  # type: ignore[operator]
        except BadName as error:
            if given:
                raise UsageError(f"{question}: {error.reason}", remedy=error.remedy) from error
            click.echo(f"{error.reason}; {error.remedy}")


def own_url() -> str:
    """Return the URL of this host's full name, empty where it has none that is its own."""
    try:
        name = host_name(socket.getfqdn())
    except BadName:
        return ""
    return "" if is_placeholder(name) else f"https://{name}"


def domain_of(host: str) -> str:
    """Return the domain that mail for the hostmaster of *host* goes to."""
    return host if registered_domain(host) == host else host.partition(".")[2]


def model_text(
    host: str,
    domain: str,
    contact: str,
    certificate: str,
    application: str,
    further: Mapping[str, str],
    *,
    agreed: bool,
) -> str:
    """Return the text of a first model; *further* are services that do not count by themselves."""
    found = [
        word
        for word, service in registry.services().items()
        if processes.find_program((service.kind, *service.programs))
    ]
    served = application in UPSTREAMS
    text = MODEL.format(
        documents=DOCUMENTS,
        contact=contact if PLAIN.fullmatch(contact) else json.dumps(contact),
        host=host,
        domain=domain,
        certificate=certificate,
        backend_line="  backend: groupware\n\ndefaults:\n  backend: groupware\n" if served else "",
        backends=BACKENDS.format(application=application, upstreams=UPSTREAMS[application])
        if served
        else "# backends: where requests go; without one a URL answers 404 to all but challenges\n",
        directory="letsencrypt",
        agreed=str(agreed).lower(),
        found=", ".join(found) or "none of nginx, postfix, dovecot",
        services="".join(service_lines(found, further)) if further else "",
    )
    return FOR_EDITORS.format(SCHEMA) + text if Path(SCHEMA).is_file() else text


def further_services(layout: Layout) -> dict[str, str]:
    """Return the further instances of postfix by name, each with its folder; none if unknown."""
    try:
        text = files.text(layout.host("/etc/postfix/main.cf")) or ""
    except OSError:
        return {}
    return further_instances(parameters_in(text).get(INSTANCES) or "")


def service_lines(found: Iterable[str], further: Mapping[str, str]) -> Iterator[str]:
    """Yield the services of a host on which there are further ones."""
    yield "services:\n"
    yield from (f"  {word}: {{}}\n" for word in found)
    for name, folder in further.items():
        usual = folder == f"/etc/{name}"
        yield f"  {name}: " + ("{}\n" if usual else f"{{configuration: {json.dumps(folder)}}}\n")


def write_new_model(path: Path, text: str) -> None:
    """Write the model file, readable by all as it holds no secret."""
    try:
        for folder in (path.parent, path.parent / "domains.d"):
            if not folder.is_dir():  # one that is there stays as it is, be it /tmp
                files.folder(folder)
        files.write(path, text.encode(), 0o644)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", remedy="run it as root, or with --config"
        ) from error

"""Every example is read, and rendered to the letter as it was looked at and committed.

``GOLDEN=update pytest tests/golden`` writes the files anew; look at the difference.
"""

from __future__ import annotations

import os
import string
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxygen import assemble, registry
from proxygen.host import templates
from proxygen.model.layout import Layout
from proxygen.model.reading import read_model
from proxygen.model.site import Site
from proxygen.model.sources import Source
from proxygen.model.views import VIEWS
from proxygen.observe.services import chosen_settings
from proxygen.plan.rendering import Rendering, rendering_of
from proxygen.services import Facts, Listener
from proxygen.services.dovecot import DovecotFacts
from proxygen.services.nginx_facts import NginxFacts
from proxygen.services.postfix import PostfixFacts
from tests.models import bundles

HOUSE = Path(__file__).parents[2]
EXAMPLES = {
    "quickstart": "quickstart/proxygen.yaml",
    "first-server": "first-server.yaml",
    "bluemind": "bluemind.yaml",
    "many-domains": "many-domains/proxygen.yaml",
}
LAYOUT = Layout(Path("/"), Path("/etc/proxygen/proxygen.yaml"))
TEMPLATES = templates.load(Path("/nonexistent"))
MAIN = {
    "nginx": Path("/etc/nginx/nginx.conf"),
    "postfix": Path("/etc/postfix/main.cf"),
    "dovecot": Path("/etc/dovecot/dovecot.conf"),
}
KNOWN = {
    "nginx-1.22": ("nginx", (1, 22, 1), (3, 0, 17)),
    "nginx-1.31": ("nginx", (1, 31, 3), (3, 5, 0)),
    "postfix-3.7": ("postfix", (3, 7, 11), (3, 0, 17)),
    "dovecot-2.3": ("dovecot", (2, 3, 19), (3, 0, 17)),
    "dovecot-2.4": ("dovecot", (2, 4, 1), (3, 5, 0)),
}
LISTENERS = {
    "postfix": (
        *(Listener("127.0.0.1", 25, "smtp"), Listener("127.0.0.1", 587, "smtp")),
        Listener("127.0.0.1", 465, None),
    ),
    "dovecot": (Listener("127.0.0.1", 143, "imap"), Listener("127.0.0.1", 993, None)),
}
WORDS: defaultdict[str, str] = defaultdict(
    lambda: "8080",
    DIRECTORY="https://127.0.0.1:14000/dir",
    AUTHORITY_ROOT="/etc/ssl/pebble.pem",
    HTTP="5080",
    HTTPS="5443",
)


def source(path: Path) -> Source:
    """Return a file of an example, with the words that a run fills in."""
    text = path.read_text(encoding="utf-8")
    if "$" in text:
        text = string.Template(text).substitute(WORDS)
    return Source(path.name, Path("/etc/proxygen"), text.encode())


def site(example: str) -> Site:
    """Return what an example describes."""
    path = HOUSE / "examples" / EXAMPLES[example]
    find = assemble.include_reader(Layout(Path("/"), path))
    main = source(path)
    return read_model(main, find, registry.settings(), registry.applications())


def wanted(of: Site, kind: str) -> Rendering:
    """Return what a service of that kind should have."""
    name, version, openssl = KNOWN[kind]
    service = registry.services()[name]
    settings = chosen_settings(service, (of.services or {}).get(name))
    facts = facts_of(name, version, openssl)
    view = VIEWS[service.role](of, bundles(of))
    return rendering_of(
        name,
        service.wanted(view, settings, facts, LAYOUT.of(name)),
        service.pointer(facts.main),
        service.endpoints(name, view, settings, facts),
        TEMPLATES,
        LAYOUT.live(name),
    )


def facts_of(name: str, version: tuple[int, ...], openssl: tuple[int, ...]) -> Facts:
    """Return what is found out about a service of that version."""
    known = f"/usr/sbin/{name}", version, MAIN[name]
    if name == "nginx":
        return NginxFacts(*known, openssl=openssl, user="www-data")
    if name == "postfix":
        return PostfixFacts(*known, listeners=LISTENERS[name])
    return DovecotFacts(*known, openssl=openssl, listeners=LISTENERS[name])


def told(found: Rendering) -> str:
    """Return all of an installation as one text."""
    return "\n".join(parts(found))


def parts(found: Rendering) -> Iterator[str]:
    """Yield what a service has, part by part."""
    if found.pointer:
        yield f"==> {found.pointer.path}\n{found.pointer_text}"
    for name, text in sorted(found.files.items()):
        yield f"==> {found.live.current / name}\n{text}"
    if found.parameters:
        yield "==> parameters"
        yield from (f"{name} = {value}" for name, value in sorted(found.parameters.items()))
        yield ""
    yield "==> certificates, for " + (found.readers or "nobody but root")
    yield from sorted(found.certificates)
    yield from (f"{name} -> {target}" for name, target in sorted(found.links.items()))
    yield "\n==> seen from outside"
    for each in found.endpoints:
        yield f"{each}: {each.bundle.owner if each.bundle else 'refused'}"
    yield ""


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_rendered_as_it_was_committed(example: str, kind: str) -> None:
    golden = Path(__file__).parent / example / f"{kind}.txt"
    text = told(wanted(site(example), kind))
    if os.environ.get("GOLDEN") == "update":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_every_example_is_compared() -> None:
    models = {
        path.relative_to(HOUSE / "examples").as_posix()
        for path in (HOUSE / "examples").rglob("*.yaml")
        if "global:" in path.read_text(encoding="utf-8")
    }
    assert models == set(EXAMPLES.values())

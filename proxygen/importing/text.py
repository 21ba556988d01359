"""A draft as text: the model file, a file for each domain, and what to switch off."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from proxygen.credentials import HIDDEN, concealed_words
from proxygen.importing.judge import JudgedPair
from proxygen.importing.owners import Draft, DraftOwner
from proxygen.importing.proxied_locations import ProxiedLocation
from proxygen.model.schema import DIRECTORIES

FOUND = "# Found by `proxygen import` on {:%Y-%m-%d}: read it, correct it.\n"
LONGEST_COMMENT = 300
SECRET = re.compile(r"(?i)(\b\w{0,40}(?:token|key|pass|secret|pwd)\w{0,40}=)[^\s;&|]+")
"""A variable or an option of a command that may be one, by its name."""


def comment_line(words: str) -> str:
    """Return words of others as a comment that is not too long."""
    return one_line(words)[:LONGEST_COMMENT]


def one_line(words: str) -> str:
    """Return words of others without secrets, and as one line: nothing in it ends the line."""
    text = hidden(words)
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def hidden(words: str) -> str:
    """Return what others have run, without what may be a secret in it."""
    return SECRET.sub(rf"\1{HIDDEN}", concealed_words(words))


def quote_yaml(value: str) -> str:
    """Return a value as YAML has it in double quotes."""
    return json.dumps(value, ensure_ascii=not value.isprintable())


def yaml_list(values: Iterable[str]) -> str:
    """Return a list in one line."""
    return f"[{', '.join(map(quote_yaml, values))}]"


def owner_lines(entry: DraftOwner) -> Iterator[str]:
    """Yield the fields of an owner."""
    yield from (f"# {comment_line(each)}" for each in entry.comments)
    yield f"url: https://{entry.url}"
    if entry.extra_names:
        yield f"extra_names: {yaml_list(entry.extra_names)}"
    pair = entry.pair
    if entry.certificate == "file" and pair:
        yield "certificate:"
        yield "  file:"
        yield from (f"    {each}" for each in pair_lines(pair))
        if pair.chain:
            yield f"    chain: {quote_yaml(str(pair.chain))}"
    else:
        yield f"certificate: {entry.certificate}"
    if entry.adopts and pair:
        yield "adopt:"
        yield from (f"  {each}" for each in pair_lines(pair))
    if entry.backend:
        yield f"backend: {entry.backend}"
    else:
        yield "# backend: nothing is known of one; without it requests get 404"


def pair_lines(pair: JudgedPair) -> Iterator[str]:
    """Yield the files of a certificate and its key."""
    yield f"certificate: {quote_yaml(str(pair.certificate))}"
    yield f"key: {quote_yaml(str(pair.key))}"


def domain_text(entry: DraftOwner, now: datetime) -> str:
    """Return the file of one domain."""
    lines = [f"  {entry.key}:", *(f"    {each}" for each in owner_lines(entry))]
    if entry.idle:
        why = [f"# Not taken over: {comment_line(entry.idle)}", "# To have it, take away the `#`."]
        lines = [*why, *(f"#{each}" for each in lines)]
    return "\n".join([FOUND.format(now).rstrip(), "domains:", *lines, ""])


def main_text(draft: Draft, main: DraftOwner, now: datetime, *, agreed: bool) -> str:
    """Return the model file."""
    lines = [FOUND.format(now).rstrip()]
    lines += ["# Then: `proxygen validate`, `proxygen plan`, `proxygen apply`.", ""]
    if draft.contact:
        lines.append(f"contact: {quote_yaml(draft.contact)}")
    else:
        lines.append("# contact: hostmaster@…    # who is warned, and told to the authority")
    lines += ["", "global:", *(f"  {each}" for each in owner_lines(main)), ""]
    if draft.backends:
        lines += ["backends:", *backend_lines(draft.backends), ""]
    lines += ["acme:", *(f"  {each}" for each in acme_lines(draft, agreed=agreed)), ""]
    further = any("-" in name for name in draft.services)
    if draft.listen or draft.left_out or draft.unknown_names or draft.first or further:
        lines += [*service_lines(draft), ""]
    lines += ["include: [domains.d/*.yaml]    # a file each domain", ""]
    return "\n".join(lines)


def service_lines(draft: Draft) -> Iterator[str]:
    """Yield the services, where nginx listens, and those that are left out for now."""
    later = {*draft.left_out, *(["nginx"] if draft.first else [])}
    kept = [name for name in draft.services if name not in later]
    yield "services:    # those found on this host" if kept else "services: {}"
    for name in kept:
        lines = [*nginx_lines(draft)] if name == "nginx" else []
        if (folder := draft.services[name]) and folder != f"/etc/{name}":
            lines.append(f"    configuration: {quote_yaml(folder)}")
        yield from ([f"  {name}:", *lines] if lines else [f"  {name}: {{}}"])
    if draft.first:
        yield "#  nginx:    # take it in once `default_server` is written into the `listen` of"
        yield f"#    # {comment_line(draft.first)}"
        yield from (f"#{line}" for line in nginx_lines(draft))
    for name, names in draft.left_out.items():
        yield f"#  {name}: {{}}    # it shows another certificate; take it in once the global one"
        yield f"#      (`proxygen status`) has these names: {comment_line(', '.join(names[:5]))}"


def nginx_lines(draft: Draft) -> Iterator[str]:
    """Yield how nginx goes on to do what proxygen would do otherwise."""
    if draft.listen:
        yield "    listen:    # as it does now"
        yield from (f"      {word}: {yaml_list(found)}" for word, found in draft.listen.items())
    if draft.unknown_names:
        yield f"    unknown_names: {draft.unknown_names}    # as now: with that certificate"


def acme_lines(draft: Draft, *, agreed: bool) -> Iterator[str]:
    """Yield what is said of the authority."""
    words = {url: word for word, url in DIRECTORIES.items()}
    yield f"directory: {words.get(draft.directory) or quote_yaml(draft.directory)}"
    if not agreed:
        yield "# Say true once you agree to the authority's terms of service:"
    yield f"terms_of_service_agreed: {str(agreed).lower()}"
    if draft.account:
        yield f"account:    # of {draft.account.client}"
        yield f"  key: {quote_yaml(f'file:{draft.account.key}')}"


def backend_lines(backends: dict[str, tuple[ProxiedLocation, ...]]) -> Iterator[str]:
    """Yield the backends, each below its name."""
    for name, passed in backends.items():
        groups = list(dict.fromkeys(each.servers for each in passed))
        words = {servers: "web" if not at else f"web{at + 1}" for at, servers in enumerate(groups)}
        yield f"  {name}:"
        yield "    upstreams:"
        yield from (f"      {words[each]}: {yaml_list(each)}" for each in groups)
        yield "    locations:"
        for each in passed:
            fields = ", ".join(location_fields(each, words[each.servers]))
            yield f"      {quote_yaml(each.path)}: {{{fields}}}"


def location_fields(passed: ProxiedLocation, upstream: str) -> Iterator[str]:
    """Yield what is said of a location."""
    yield f"upstream: {upstream}"
    yield from ["exact: true"] * passed.exact + ["websocket: true"] * passed.websocket
    for name in ("rewrite", "host"):
        if value := getattr(passed, name):
            yield f"{name}: {quote_yaml(value)}"
    for name in (*QUANTITIES, "buffering", "request_buffering"):
        if value := getattr(passed, name):
            yield f"{name}: {value}"


QUANTITIES = ("body_size", "read_timeout", "send_timeout", "connect_timeout")

"""names: how every name stands, with evidence; a text to forward about one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime

import click

from proxygen import assemble
from proxygen.assemble import Parts
from proxygen.errors import UsageError, did_you_mean, nearest
from proxygen.host import languages
from proxygen.languages.lines import visible
from proxygen.model.certificate import GLOBAL
from proxygen.model.hosts import BadName, extra_name, readable
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.names.states import State
from proxygen.plan.renewal import SHORT
from proxygen.reports.by_cause import causes_in_short
from proxygen.reports.document import document
from proxygen.reports.names import OTHER, NamesReport, checked_now, name_json, names_report, word
from proxygen.terminal import completion
from proxygen.terminal.arguments import JSON, VERBOSE
from proxygen.terminal.bar import lasting
from proxygen.terminal.printing import echo, print_line
from proxygen.terminal.progress import progress
from proxygen.terminal.tables import table
from proxygen.texts.names import NOT_ANSWERED, OTHERS, WEB_SERVER, WORDS, Named, records

MOST_NEAR, ALIKE = 3, 0.7
"""Names that are told for one that is unknown; most end alike."""


@click.command
@click.argument("chosen", nargs=-1, metavar="[NAME|DOMAIN]...", shell_complete=completion.names)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([*(each.value for each in State), OTHER]),
    help="Only names in this state; may be given several times.",
)
@click.option("--check", is_flag=True, help="Check the names now; the result is not stored.")
@click.option(
    "--explain",
    metavar="NAME",
    shell_complete=completion.names,
    help="Print a text about NAME to forward to whoever manages its DNS.",
)
@click.option(
    "--language",
    type=click.Choice(languages.known()),
    help="The language of that text (default: that of the domain).",
)
@VERBOSE
@JSON
@click.pass_obj
def command(
    layout: Layout,
    chosen: tuple[str, ...],
    states: tuple[str, ...],
    check: bool,
    explain: str | None,
    language: str | None,
    verbose: bool,
    as_json: bool,
) -> int:
    """Show the state of every name, names with problems first.

    Shows one line for each name, from its last check; with --check, the names are checked now.
    For a NAME, and with --verbose for all of them, also what the check found. --explain prints a
    text to forward to the customer: what was found, which records are needed, and how to verify
    them. The exit code is 0 whatever the states are.
    """
    if language and not explain:
        raise UsageError("--language is for --explain only", remedy="add --explain NAME")
    site = assemble.site(layout)
    now = datetime.now(UTC)
    parts = assemble.parts(layout, lambda: now)
    every = {each.name: each for each in names_report(site, parts).names}
    found = [meant(explain, every)] if explain else selected(chosen, every)
    if check:
        with progress(quiet=as_json) as shown:
            found = checked_now(found, site, parts, shown.count)
    if explain:
        return explained(found[0], site, parts, language, as_json=as_json)
    found = [each for each in found if not states or word(each) in states]
    found.sort(key=lambda each: each.rank)
    if as_json:
        click.echo(document(NamesReport(now, tuple(found)).as_json()))
        return 0
    asked = {plain(typed) for typed in chosen}
    lines = iter(table(HEADINGS, (cells(each, now) for each in found)))
    click.echo(next(lines))
    for line, each in zip(lines, found, strict=True):
        click.echo(line)
        for below in told_below(each, now) if verbose or each.name in asked else ():
            print_line(f"    {below}")
    for line in summary(found):
        print_line(line)
    return 0


def selected(chosen: Iterable[str], every: Mapping[str, Named]) -> list[Named]:
    """Return the names that were typed, or those of the owners; all where nothing was."""
    if not chosen:
        return list(every.values())
    owners = {each.owner.key for each in every.values()}
    found: dict[str, Named] = {}
    for typed in chosen:
        name = plain(typed)
        if name in owners:
            found |= {each.name: each for each in every.values() if each.owner.key == name}
        else:
            found[name] = meant(typed, every)
    return list(found.values())


def plain(typed: str) -> str:
    """Return a name, or an owner, as it is compared; raise UsageError for what is none."""
    if typed == GLOBAL:
        return typed
    try:
        return extra_name(typed)
    except BadName as error:
        near = did_you_mean(typed, (GLOBAL,), error.remedy)
        raise UsageError(f"{typed}: {error.reason}", remedy=near) from error


def meant(typed: str, every: Mapping[str, Named]) -> Named:
    """Return the name that was typed; raise UsageError, with those that are near, for another."""
    name = plain(typed)
    if name in every:
        return every[name]
    owners = {each.owner.key for each in every.values()}
    if name in owners:
        first = next(each for each in every.values() if each.owner.key == name)
        remedy = f"that is a domain; its names: `proxygen names {name}`, such as {first.name}"
        raise UsageError(f"the model has no name {typed}", remedy=remedy)
    near = nearest(name, (*every, *owners), MOST_NEAR, ALIKE)
    remedy = f"near it: {', '.join(map(readable, near))}" if near else "see `proxygen names`"
    raise UsageError(f"the model has no name {typed}", remedy=remedy)


def explained(one: Named, site: Site, parts: Parts, language: str | None, *, as_json: bool) -> int:
    """Print the text about one name."""
    from proxygen.reports.dns import publishing
    from proxygen.texts.explanations import explanation

    chosen = language or one.owner.language
    text = explanation(one, site, publishing(site, parts), languages.load(chosen), parts.now())
    if as_json:
        told = name_json(one, parts.now()) | {"language": chosen, "text": text}
        click.echo(document(told))
        return 0
    click.echo(visible(text), nl=False)
    if one.is_silent:
        echo(f"note: not for the customer: {readable(one.name)}: {NOT_ANSWERED}", err=True)
    return 0


HEADINGS = ("NAME", "OWNER", "STATE", "FOR", "")


def cells(each: Named, now: datetime) -> tuple[str, ...]:
    """Return the columns of one name."""
    return (
        readable(each.name),
        readable(each.owner.key),
        each.title,
        lasting((now - each.since).total_seconds()) if each.since else "",
        noted(each, now),
    )


def noted(each: Named, now: datetime) -> str:
    """Return what there is to say beside the state."""
    if each.is_troubled:
        again = f"; {next_check(each, now)}" if each.next_look else ""
        return f"{each.words}{again}"
    if each.state is State.ISSUED and each.bundle and each.bundle.lifetime >= SHORT:
        return f"until {each.bundle.not_after:%Y-%m-%d}"
    return each.words


def next_check(each: Named, now: datetime) -> str:
    """Return when a name is checked, or ordered, again."""
    again = "next order" if each.is_unchecked else "next check"
    if each.next_look is None or each.next_look <= now:
        return f"{again} at the next run"
    return f"{again} in {lasting((each.next_look - now).total_seconds())}"


def told_below(each: Named, now: datetime) -> Iterator[str]:
    """Yield the evidence about a name with problems, one line for each thing."""
    if not each.is_troubled:
        return
    if each.is_at_risk:
        yield "cannot be proven now"
    if when := ", ".join(filter(None, (since(each), left_out(each), again_at(each, now)))):
        yield when
    yield from each.reasons
    if each.known and each.known.evidence and (found := records(each.name, each.known.evidence)):
        yield f"found: {found}"


def since(each: Named) -> str:
    """Return since when something is wrong with a name."""
    return f"since {each.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if each.since else ""


def left_out(each: Named) -> str:
    """Return since when a certificate does without a name that moved away."""
    dropped = each.known.dropped if each.known and each.state is State.MOVED else None
    return f"left out since {dropped:%Y-%m-%d}" if dropped else ""


def again_at(each: Named, now: datetime) -> str:
    """Return when a name is checked again, to the minute."""
    at = each.next_look
    if at is None or at <= now:
        return next_check(each, now) if at else ""
    return f"next check {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def summary(found: Collection[Named]) -> Iterator[str]:
    """Yield how many names stand how, and how many have which problem."""
    counts = Counter(each.title for each in found)
    order = [*WORDS.values(), WEB_SERVER, *dict.fromkeys(OTHERS.values())]
    parts = [f"{counts[title]:,} {title}" for title in order if counts[title]]
    if unseen := sum(each.is_unseen for each in found):
        parts.append(f"{unseen:,} of those that are ready not checked")
    total = f"{len(found):,} {'name' if len(found) == 1 else 'names'}"
    yield f"{total}: {', '.join(parts)}" if parts else total
    troubled = [each for each in found if each.is_troubled]
    if len(troubled) > 1:
        yield f"problems: {causes_in_short(troubled)}"

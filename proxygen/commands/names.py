"""names: how every name stands, with evidence; a text to forward about one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime

import click

from proxygen import assemble
from proxygen.assemble import Installation
from proxygen.errors import UsageError, did_you_mean, nearest_words
from proxygen.host import languages
from proxygen.languages.lines import terminal_text
from proxygen.model.certificate import GLOBAL
from proxygen.model.hosts import BadName, extra_name, readable_name
from proxygen.model.layout import Layout
from proxygen.model.site import Site
from proxygen.names.states import State
from proxygen.plan.renewal import SHORT
from proxygen.reports.by_cause import causes_in_short
from proxygen.reports.document import json_document
from proxygen.reports.names import (
    OTHER,
    NamesReport,
    checked_now,
    name_json,
    names_report,
    state_word,
)
from proxygen.terminal import completion
from proxygen.terminal.arguments import JSON, VERBOSE
from proxygen.terminal.bar import duration_words
from proxygen.terminal.printing import print_line, print_text
from proxygen.terminal.progress import show_progress
from proxygen.terminal.tables import table_lines
from proxygen.texts.names import NOT_ANSWERED, OTHERS, WEB_SERVER, WORDS, ModelName, found_records

MOST_NEAR, ALIKE = 3, 0.7
"""Names that are told for one that is unknown; most end alike."""


@click.command
@click.argument(
    "chosen", nargs=-1, metavar="[NAME|DOMAIN]...", shell_complete=completion.complete_names
)
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
    shell_complete=completion.complete_names,
    help="Print a text about NAME to forward to whoever manages its DNS.",
)
@click.option(
    "--language",
    type=click.Choice(languages.known_codes()),
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
    site = assemble.read_site(layout)
    now = datetime.now(UTC)
    installation = assemble.build_installation(layout, lambda: now)
    every = {each.name: each for each in names_report(site, installation).names}
    found = [typed_name(explain, every)] if explain else selected_names(chosen, every)
    if check:
        with show_progress(quiet=as_json) as shown:
            found = checked_now(found, site, installation, shown.count)
    if explain:
        return print_explanation(found[0], site, installation, language, as_json=as_json)
    found = [each for each in found if not states or state_word(each) in states]
    found.sort(key=lambda each: each.rank)
    if as_json:
        click.echo(json_document(NamesReport(now, tuple(found)).as_json()))
        return 0
    asked = {plain_typed(typed) for typed in chosen}
    lines = iter(table_lines(HEADINGS, (name_cells(each, now) for each in found)))
    click.echo(next(lines))
    for line, each in zip(lines, found, strict=True):
        click.echo(line)
        for below in told_below(each, now) if verbose or each.name in asked else ():
            print_line(f"    {below}")
    for line in names_summary(found):
        print_line(line)
    return 0


def selected_names(chosen: Iterable[str], every: Mapping[str, ModelName]) -> list[ModelName]:
    """Return the names that were typed, or those of the owners; all where nothing was."""
    if not chosen:
        return list(every.values())
    owners = {each.owner.key for each in every.values()}
    found: dict[str, ModelName] = {}
    for typed in chosen:
        name = plain_typed(typed)
        if name in owners:
            found |= {each.name: each for each in every.values() if each.owner.key == name}
        else:
            found[name] = typed_name(typed, every)
    return list(found.values())


def plain_typed(typed: str) -> str:
    """Return a name, or an owner, as it is compared; raise UsageError for what is none."""
    if typed == GLOBAL:
        return typed
    try:
        return extra_name(typed)
    except BadName as error:
        near = did_you_mean(typed, (GLOBAL,), error.remedy)
        raise UsageError(f"{typed}: {error.reason}", remedy=near) from error


def typed_name(typed: str, every: Mapping[str, ModelName]) -> ModelName:
    """Return the name that was typed; raise UsageError, with those that are near, for another."""
    name = plain_typed(typed)
    if name in every:
        return every[name]
    owners = {each.owner.key for each in every.values()}
    if name in owners:
        first = next(each for each in every.values() if each.owner.key == name)
        remedy = f"that is a domain; its names: `proxygen names {name}`, such as {first.name}"
        raise UsageError(f"the model has no name {typed}", remedy=remedy)
    near = nearest_words(name, (*every, *owners), MOST_NEAR, ALIKE)
    remedy = f"near it: {', '.join(map(readable_name, near))}" if near else "see `proxygen names`"
    raise UsageError(f"the model has no name {typed}", remedy=remedy)


def print_explanation(
    one: ModelName, site: Site, installation: Installation, language: str | None, *, as_json: bool
) -> int:
    """Print the text about one name."""
    from proxygen.reports.dns import publishing_facts
    from proxygen.texts.explanations import explanation

    chosen = language or one.owner.language
    text = explanation(
        one, site, publishing_facts(site, installation), languages.load(chosen), installation.now()
    )
    if as_json:
        told = name_json(one, installation.now()) | {"language": chosen, "text": text}
        click.echo(json_document(told))
        return 0
    click.echo(terminal_text(text), nl=False)
    if one.is_silent:
        print_text(
            f"note: not for the customer: {readable_name(one.name)}: {NOT_ANSWERED}", err=True
        )
    return 0


HEADINGS = ("NAME", "OWNER", "STATE", "FOR", "")


def name_cells(each: ModelName, now: datetime) -> tuple[str, ...]:
    """Return the columns of one name."""
    return (
        readable_name(each.name),
        readable_name(each.owner.key),
        each.title,
        duration_words((now - each.since).total_seconds()) if each.since else "",
        name_notes(each, now),
    )


def name_notes(each: ModelName, now: datetime) -> str:
    """Return what there is to say beside the state."""
    if each.needs_attention:
        again = f"; {next_check(each, now)}" if each.next_check else ""
        return f"{each.words}{again}"
    if each.state is State.ISSUED and each.bundle and each.bundle.lifetime >= SHORT:
        return f"until {each.bundle.not_after:%Y-%m-%d}"
    return each.words


def next_check(each: ModelName, now: datetime) -> str:
    """Return when a name is checked, or ordered, again."""
    again = "next order" if each.is_unchecked else "next check"
    if each.next_check is None or each.next_check <= now:
        return f"{again} at the next run"
    return f"{again} in {duration_words((each.next_check - now).total_seconds())}"


def told_below(each: ModelName, now: datetime) -> Iterator[str]:
    """Yield the evidence about a name with problems, one line for each thing."""
    if not each.needs_attention:
        return
    if each.is_at_risk:
        yield "cannot be proven now"
    if when := ", ".join(filter(None, (since_words(each), left_out(each), again_at(each, now)))):
        yield when
    yield from each.reasons
    if (
        each.name_state
        and each.name_state.evidence
        and (found := found_records(each.name, each.name_state.evidence))
    ):
        yield f"found: {found}"


def since_words(each: ModelName) -> str:
    """Return since when something is wrong with a name."""
    return f"since {each.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if each.since else ""


def left_out(each: ModelName) -> str:
    """Return since when a certificate does without a name that moved away."""
    dropped = each.name_state.dropped if each.name_state and each.state is State.MOVED else None
    return f"left out since {dropped:%Y-%m-%d}" if dropped else ""


def again_at(each: ModelName, now: datetime) -> str:
    """Return when a name is checked again, to the minute."""
    at = each.next_check
    if at is None or at <= now:
        return next_check(each, now) if at else ""
    return f"next check {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def names_summary(found: Collection[ModelName]) -> Iterator[str]:
    """Yield how many names stand how, and how many have which problem."""
    counts = Counter(each.title for each in found)
    order = [*WORDS.values(), WEB_SERVER, *dict.fromkeys(OTHERS.values())]
    parts = [f"{counts[title]:,} {title}" for title in order if counts[title]]
    if unseen := sum(each.is_unseen for each in found):
        parts.append(f"{unseen:,} of those that are ready not checked")
    total = f"{len(found):,} {'name' if len(found) == 1 else 'names'}"
    yield f"{total}: {', '.join(parts)}" if parts else total
    troubled = [each for each in found if each.needs_attention]
    if len(troubled) > 1:
        yield f"problems: {causes_in_short(troubled)}"

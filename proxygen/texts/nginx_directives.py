"""The administrator's directives that have another effect than they seem to have."""

from __future__ import annotations

from collections.abc import Iterator

from proxygen.model.hosts import readable_name
from proxygen.model.site import Location, Owner, Site
from proxygen.services import EVERYWHERE, WebFacts
from proxygen.services.nginx_additions import WrittenLocation, written_locations
from proxygen.services.nginx_facts import NginxFacts
from proxygen.services.nginx_lexer import parse_configuration

VERIFYING = "ssl_verify_client"


def directive_warnings(site: Site, facts: WebFacts) -> Iterator[str]:
    """Yield warnings about what is written in nginx.d, and about what it could correct."""
    for scope, additions in facts.additions.items():
        locations = tuple(written_locations(additions))
        yield from map(not_for_challenges, (each for each in locations if each.is_of_challenges))
        for owner in site.owners:
            if owner.names and scope in (EVERYWHERE, owner.key):
                yield from passwords_gone(owner, site, locations)
    if isinstance(facts, NginxFacts) and facts.client_certificates:
        yield from certificates_of_clients(site, facts)


def not_for_challenges(location: WrittenLocation) -> str:
    """Return the warning about a location that is meant for challenges."""
    return (
        f"{location.where}: `{location}` has no effect: proxygen answers ACME challenges before it;"
        " remove it"
    )


def passwords_gone(
    owner: Owner, site: Site, locations: tuple[WrittenLocation, ...]
) -> Iterator[str]:
    """Yield a warning for each location in place of one of the model that asks for a password."""
    behind = site.backends[owner.backend].locations if owner.backend else ()
    protected = {key_of(each) for each in behind if each.password}
    for each in locations:
        if each.taken in protected:
            yield (
                f"{each.where}: `{each}` takes the place of the one for {readable_name(owner.key)}"
                " that asks for a password; write `auth_basic` and `auth_basic_user_file` into it"
                " if it should do so, too"
            )


def key_of(location: Location) -> tuple[str, bool]:
    """Return the path of a location, and whether it is exact."""
    return location.path, location.exact


def certificates_of_clients(site: Site, facts: NginxFacts) -> Iterator[str]:
    """Yield a warning where nginx refuses all clients that have no certificate of their own."""
    said = {
        scope
        for scope, each in facts.additions.items()
        if any(parse_configuration(text).all(VERIFYING) for _, text in each.files)
    }
    owners = [owner for owner in site.owners if owner.names and owner.key not in said]
    if EVERYWHERE not in said and owners:
        folder = f"nginx.d/{owners[0].key}" if len(owners) == 1 else "nginx.d"
        yield (
            f"{facts.client_certificates}: `{VERIFYING} on` in the `http` block holds for the URLs"
            " of the model as well, and clients without a certificate get status 400; if that is"
            f" not meant, write `{VERIFYING} off;` into /etc/proxygen/{folder}/clients.conf"
        )

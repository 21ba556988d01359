"""The part of the site that each role gets; mail gets the global certificate alone (rule 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.model.site import Backend, Owner, Role, Site


@dataclass(frozen=True, slots=True)
class WebSite:
    """One owner's names as the web serves them; *bundle* is what clients get by SNI.

    *beside* has another algorithm, for clients that cannot do with the first one; None for none.
    """

    owner: str
    names: tuple[str, ...]
    bundle: Bundle
    backend: Backend | None
    beside: Bundle | None = None


@dataclass(frozen=True, slots=True)
class WebView:
    """The view of a web server: every site, the global one first."""

    sites: tuple[WebSite, ...]


@dataclass(frozen=True, slots=True)
class MailView:
    """The view of a mail server: the global host and the global certificate, nothing of a domain.

    *host* is the name of the global URL; *beside* is as in ``WebSite``.
    """

    host: str
    bundle: Bundle
    beside: Bundle | None = None


def mail_view(site: Site, bundles: Mapping[str, Bundle]) -> MailView:
    """Return the view of mail services; *bundles* by owner must have the global one."""
    served = served_certificates(site.main, bundles)
    return MailView(site.main.names[0], served[0], served[1] if len(served) > 1 else None)


def web_view(site: Site, bundles: Mapping[str, Bundle]) -> WebView:
    """Return the view of web services; *bundles* by owner must have the global one.

    A domain's own bundle serves only while the model wants one; otherwise the global one does (rule
    3).
    """
    return WebView(tuple(web_sites(site, bundles)))


View = WebView | MailView
"""The view of a service, by its role."""

VIEWS: Mapping[Role, Callable[[Site, Mapping[str, Bundle]], View]] = {
    Role.WEB: web_view,
    Role.MAIL: mail_view,
}


def web_sites(site: Site, bundles: Mapping[str, Bundle]) -> list[WebSite]:
    """Return each owner that has names with the bundle that serves it."""
    fallback = served_certificates(site.main, bundles)
    return [
        web_site(owner, site, served_certificates(owner, bundles) or fallback)
        for owner in site.owners
        if owner.names
    ]


def web_site(owner: Owner, site: Site, served: tuple[Bundle, ...]) -> WebSite:
    """Return one owner's names with the certificates that serve it, the first and one beside."""
    first, *others = served
    return WebSite(owner.key, owner.names, first, backend_of(owner, site), next(iter(others), None))


def served_certificates(owner: Owner, bundles: Mapping[str, Bundle]) -> tuple[Bundle, ...]:
    """Return what an owner is served with: nothing, one, or one of each of two algorithms.

    One that is there is served alone until the other is. A stand-in has nothing beside it, and
    gives way to it; that of the global URL is there in any case.
    """
    first = bundles[GLOBAL] if owner.key == GLOBAL else serving_bundle(owner, bundles)
    second = bundles.get(owner.beside.owner) if owner.beside else None
    if second is None or not owner.host or not second.covers(owner.host):
        return (first,) if first else ()
    if first is None or first.stand_in:
        return (second,)
    if first.algorithm == second.algorithm:
        return (max(first, second, key=lambda each: each.not_after),)
    return first, second


def serving_bundle(owner: Owner, bundles: Mapping[str, Bundle]) -> Bundle | None:
    """Return the owner's own bundle if the model wants one and the stored one covers its URL."""
    bundle = bundles.get(owner.key) if owner.certificate else None
    return bundle if bundle and owner.host and bundle.covers(owner.host) else None


def backend_of(owner: Owner, site: Site) -> Backend | None:
    """Return the backend of an owner's requests; None: 404 to all but challenges."""
    return site.backends[owner.backend] if owner.backend else None

"""The part of the site that each role gets; mail gets the global certificate alone (rule 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from proxygen.model.certificate import GLOBAL, Bundle
from proxygen.model.site import Backend, Owner, Role, Site


@dataclass(frozen=True, slots=True)
class WebSite:
    """One owner's names as the web serves them; *bundle* is what clients get by SNI."""

    owner: str
    names: tuple[str, ...]
    bundle: Bundle
    backend: Backend | None


@dataclass(frozen=True, slots=True)
class WebView:
    """The view of a web server: every site, the global one first."""

    sites: tuple[WebSite, ...]


@dataclass(frozen=True, slots=True)
class MailView:
    """The view of a mail server: the global host and the global certificate, nothing of a domain.

    *host* is the name of the global URL.
    """

    host: str
    bundle: Bundle


def mail_view(site: Site, bundles: Mapping[str, Bundle]) -> MailView:
    """Return the view of mail services; *bundles* by owner must have the global one."""
    return MailView(site.main.names[0], bundles[GLOBAL])


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
    fallback = bundles[GLOBAL]
    return [
        WebSite(
            owner.key,
            owner.names,
            serving_bundle(owner, bundles) or fallback,
            backend_of(owner, site),
        )
        for owner in site.owners
        if owner.names
    ]


def serving_bundle(owner: Owner, bundles: Mapping[str, Bundle]) -> Bundle | None:
    """Return the owner's own bundle if the model wants one and the stored one covers its URL."""
    bundle = bundles.get(owner.key) if owner.certificate else None
    return bundle if bundle and owner.host and bundle.covers(owner.host) else None


def backend_of(owner: Owner, site: Site) -> Backend | None:
    """Return the backend of an owner's requests; None: 404 to all but challenges."""
    return site.backends[owner.backend] if owner.backend else None

"""Host names in the administrator's nginx directives that nginx looks up itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from proxygen.services import Additions
from proxygen.services.nginx_lookups import names_passed_to


def names_nginx_resolves(additions: Mapping[str, Additions]) -> Iterator[str]:
    """Yield a warning about each host name that nginx looks up when it starts."""
    for scope, each in additions.items():
        for name, text in each.files:
            place = f"nginx.d/{scope}/{name}" if scope else f"nginx.d/{name}"
            for line, host in names_passed_to(text):
                yield (
                    f"{place}:{line}: nginx looks up {host} when it starts, and does not start at "
                    "all while this fails, for example after a reboot without DNS; write the "
                    "address instead, make it a backend of the model, or have it looked up later: "
                    f"`resolver`, `set $to {host};`, and `$to` in its place"
                )

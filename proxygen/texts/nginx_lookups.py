"""Names in the administrator's directives for nginx that it looks up itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from proxygen.services import Additions
from proxygen.services.nginx_lookups import looked_up


def looked_up_at_the_start(additions: Mapping[str, Additions]) -> Iterator[str]:
    """A name in the administrator's directives that nginx itself looks up."""
    for scope, each in additions.items():
        for name, text in each.files:
            place = f"nginx.d/{scope}/{name}" if scope else f"nginx.d/{name}"
            for line, host in looked_up(text):
                yield (
                    f"{place}:{line}: nginx looks up {host} when it starts, and does not start for "
                    "anybody while that fails, as after a reboot without the DNS; write its "
                    "address, make it a backend of the model, or have it looked up later: "
                    f"`resolver`, `set $to {host};`, and `$to` in its place"
                )

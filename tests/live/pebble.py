"""Pebble: an ACME authority for tests, with the DNS server it asks."""

from __future__ import annotations

import json
import re
import socket
import ssl
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

from cryptography import x509

from tests.live.authority import Authority, write_private
from tests.live.needs import path_of
from tests.live.processes import Program, environment, made

LOCALHOST = "127.0.0.1"
DNS_QUESTION = b"\0\1\1\0\0\1\0\0\0\0\0\0\5ready\4test\0\0\1\0\1"


@dataclass(frozen=True, slots=True)
class Manners:
    """How the authority behaves; every number is what Pebble's own setting of it means.

    *nonces_rejected* and *authorizations_reused* are percentages, *validity* is seconds,
    *sleep* the most seconds that a validation waits (0: not at all). *external_accounts* maps
    key identifiers to base64url MAC keys; with any, a new account needs one of them.
    """

    nonces_rejected: int = 0
    authorizations_reused: int = 0
    validity: int = 90 * 86_400
    sleep: int = 0
    alternate_roots: int = 0
    external_accounts: Mapping[str, str] = field(default_factory=dict)


class Resolver(Program):
    """The DNS server: every name has the address 127.0.0.1 and no IPv6 address."""

    name = "pebble-challtestsrv"

    @property
    def dns(self) -> int:
        """The port of DNS, over UDP and TCP."""
        return self.ports[0]

    def configure(self) -> None:
        """Choose ports; it has no file."""
        self.reserve(2)

    def argv(self) -> Sequence[str]:
        """Return the command; its challenge servers stay off, as nginx answers challenges."""
        return (
            path_of(self.name),
            *("-dns01", f"{LOCALHOST}:{self.dns}"),
            *("-management", f"{LOCALHOST}:{self.ports[1]}"),
            *("-http01", "", "-https01", "", "-tlsalpn01", ""),
            *("-defaultIPv4", LOCALHOST, "-defaultIPv6", ""),
        )

    def answers(self) -> bool:
        """Return whether it answers a question."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.5)
            client.connect((LOCALHOST, self.dns))
            client.send(DNS_QUESTION)
            return bool(client.recv(512))

    def ask(self, command: str, body: Mapping[str, object]) -> None:
        """POST *body* to one of its management commands."""
        request = urllib.request.Request(
            f"http://{LOCALHOST}:{self.ports[1]}/{command}", data=json.dumps(body).encode()
        )
        direct.open(request, timeout=5).close()

    def set_servfail(self, name: str) -> None:
        """Answer every question about *name* with SERVFAIL."""
        self.ask("set-servfail", {"host": f"{name}."})

    def clear_servfail(self, name: str) -> None:
        """Answer questions about *name* again."""
        self.ask("clear-servfail", {"host": f"{name}."})

    def add_a(self, name: str, *addresses: str) -> None:
        """Give *name* addresses of its own, such as 127.0.0.2 for another host."""
        self.ask("add-a", {"host": f"{name}.", "addresses": list(addresses)})

    def clear_a(self, name: str) -> None:
        """Take the addresses of *name* back: it has the default again."""
        self.ask("clear-a", {"host": f"{name}."})


class Pebble(Program):
    """The authority; it validates http-01 at *http_port* and forgets all when it stops.

    It asks the name server *dnsserver* (ADDRESS:PORT), by default one of its own.
    """

    name = "pebble"

    def __init__(
        self,
        root: Path,
        *,
        http_port: int,
        manners: Manners | None = None,
        outlives: bool = False,
        dnsserver: str = "",
    ) -> None:
        super().__init__(root, outlives=outlives)
        self.http_port = http_port
        self.dnsserver = dnsserver
        self.manners = manners or Manners()
        self.dns = Resolver(root, outlives=outlives)

    @property
    def directory(self) -> str:
        """The URL of its ACME directory."""
        return f"https://{LOCALHOST}:{self.ports[0]}/dir"

    @property
    def trusted_root(self) -> Path:
        """The root of the certificate of its own HTTPS: ``acme.trusted_roots`` names it."""
        return self.folder / "api-root.pem"

    @property
    def folder(self) -> Path:
        """Where its configuration lies."""
        return self.root / "etc/pebble"

    @property
    def new_orders(self) -> int:
        """How many requests for a new order it saw."""
        return self.requests("order-plz")

    @property
    def new_accounts(self) -> int:
        """How many requests for a new account it saw."""
        return self.requests("sign-me-up")

    def requests(self, path: str) -> int:
        """Count the POST requests for *path* in its log."""
        return len(re.findall(rf"POST /{path} -> calling handler", self.log))

    @cached_property
    def issuing_root(self) -> bytes:
        """The root of what it issues, as PEM; another one after each start."""
        return self.managed("roots/0")

    @cached_property
    def issuing_intermediate(self) -> x509.Certificate:
        """The intermediate that signs what it issues."""
        return x509.load_pem_x509_certificate(self.managed("intermediates/0"))

    def managed(self, path: str) -> bytes:
        """GET *path* of its management interface."""
        url = f"https://{LOCALHOST}:{self.ports[1]}/{path}"
        with self.client.open(url, timeout=5) as reply:
            return bytes(reply.read())

    @property
    def client(self) -> urllib.request.OpenerDirector:
        """What speaks HTTPS with it, whatever the environment says of CAs and proxies."""
        context = ssl.create_default_context(cafile=str(self.trusted_root))
        return opener(urllib.request.HTTPSHandler(context=context))

    def configure(self) -> None:
        """Choose ports; write ``pebble.json`` and the certificate of its own HTTPS."""
        self.reserve(2)
        made(self.folder)
        if not self.trusted_root.exists():
            authority = Authority("Pebble API")
            issued = authority.issue("localhost", LOCALHOST)
            write_private(self.folder / "api.key", issued.key)
            (self.folder / "api.pem").write_bytes(issued.fullchain)
            self.trusted_root.write_bytes(authority.root_pem)
        (self.folder / "pebble.json").write_text(json.dumps({"pebble": self.settings()}))

    def settings(self) -> dict[str, object]:
        """Return what ``pebble.json`` says."""
        accounts = dict(self.manners.external_accounts)
        return {
            "listenAddress": f"{LOCALHOST}:{self.ports[0]}",
            "managementListenAddress": f"{LOCALHOST}:{self.ports[1]}",
            "certificate": str(self.folder / "api.pem"),
            "privateKey": str(self.folder / "api.key"),
            "httpPort": self.http_port,
            "tlsPort": 1,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": bool(accounts),
            "externalAccountMACKeys": accounts,
            "certificateValidityPeriod": self.manners.validity,
        }

    def argv(self) -> Sequence[str]:
        """Return the command."""
        return (
            path_of("pebble"),
            *("-config", str(self.folder / "pebble.json")),
            *("-dnsserver", self.dnsserver or f"{LOCALHOST}:{self.dns.dns}"),
        )

    def env(self) -> dict[str, str]:
        """Return its environment, where most of its manners are set."""
        sleep = self.manners.sleep
        return environment(
            PEBBLE_WFE_NONCEREJECT=str(self.manners.nonces_rejected),
            PEBBLE_AUTHZREUSE=str(self.manners.authorizations_reused),
            PEBBLE_ALTERNATE_ROOTS=str(self.manners.alternate_roots),
            **({"PEBBLE_VA_SLEEPTIME": str(sleep)} if sleep else {"PEBBLE_VA_NOSLEEP": "1"}),
        )

    def answers(self) -> bool:
        """Return whether it shows its directory."""
        with self.client.open(self.directory, timeout=5) as reply:
            return "newOrder" in json.load(reply)

    def stop(self) -> None:
        """End it, and forget the roots it made; the DNS server stays."""
        super().stop()
        for made_at_start in ("issuing_root", "issuing_intermediate"):
            self.__dict__.pop(made_at_start, None)

    def __enter__(self) -> Self:
        self.dns.__enter__()
        try:
            return super().__enter__()
        except BaseException:
            self.dns.__exit__()
            raise

    def __exit__(self, *exception: object) -> None:
        try:
            super().__exit__()
        finally:
            self.dns.__exit__()


def opener(*handlers: urllib.request.BaseHandler) -> urllib.request.OpenerDirector:
    """Return an opener that no proxy of the environment comes between."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), *handlers)


direct = opener()

"""What the model may say about nginx."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from proxygen.model.hosts import BadName
from proxygen.model.instances import ServiceClaim
from proxygen.model.types import validator_of
from proxygen.services import ServiceSettings
from proxygen.services.socket_spelling import Socket, distinct_values

AT_START_AT_MOST = 200
"""Certificates that nginx loads at its start; more are loaded on demand."""

NETWORK = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:/[0-9]{1,3})?")
NETWORK_REMEDY = (
    "write ADDRESS or ADDRESS/BITS with the first address of the network, such as 192.0.2.0/24"
)


def spell_network(value: str) -> str:
    """Return a network, such as 192.0.2.0/24, or one address."""
    try:
        if NETWORK.fullmatch(value):
            return str(ipaddress.ip_network(value))
    except ValueError:
        pass
    raise BadName("{} is not a network", NETWORK_REMEDY, value)


Sockets = Annotated[
    tuple[Socket, ...],
    Field(strict=False, min_length=1, max_length=64),
    validator_of(distinct_values),
]
Network = Annotated[
    str,
    validator_of(spell_network),
    WithJsonSchema({"type": "string", "pattern": f"^{NETWORK.pattern}$"}),
]
Networks = Annotated[tuple[Network, ...], Field(strict=False, min_length=1, max_length=256)]


class NginxPart(BaseModel):
    """A mapping below the settings of nginx."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class Listen(NginxPart):
    """Where nginx listens: `443`, `192.0.2.1:443` or `[2001:db8::1]:443`."""

    http: Sockets | None = Field(
        None, description="PORT, IPV4:PORT or [IPV6]:PORT; default: port 80 on IPv4 and IPv6."
    )
    https: Sockets | None = Field(
        None, description="PORT, IPV4:PORT or [IPV6]:PORT; default: port 443 on IPv4 and IPv6."
    )


class ProxyProtocol(NginxPart):
    """Every connection begins with a PROXY protocol header, as a load balancer sends it."""

    sources: Networks = Field(
        alias="from", description="Addresses or networks whose PROXY header is trusted."
    )


def socket_words(address: str, port: str) -> str:
    """Return a socket as messages call it."""
    return f"port {port} at {address or 'every IPv4 address'}"


class NginxSettings(ServiceSettings):
    """Where nginx listens, and how it serves the URLs."""

    urls: bool = Field(True, description="Whether it serves the URLs; false: only its `mail {}`.")
    challenges: bool = Field(
        True, description="Whether requests of ACME authorities arrive at it; of several the first."
    )

    listen: Listen = Field(Listen(), description="Where nginx listens.")
    unknown_names: Literal["reject", "global"] = Field(
        "reject", description="`global`: unknown names are served like the global URL."
    )
    hsts: Annotated[int, Field(ge=0, le=315_360_000)] = Field(
        63_072_000, description="Seconds of Strict-Transport-Security; 0: nginx sends none."
    )
    proxy_protocol: ProxyProtocol | None = Field(
        None, description="Every connection begins with a PROXY protocol header."
    )
    certificates: Literal["auto", "at_start", "on_demand"] = Field(
        "auto",
        description=f"When nginx loads certificates; `auto`: on demand above {AT_START_AT_MOST}.",
    )

    def claims(self, name: str, kind: str) -> Iterator[ServiceClaim]:
        """Yield what no other service may have: its folder, and where it listens for the URLs."""
        yield from super().claims(name, kind)
        listens = (("http", self.listen.http, 80), ("https", self.listen.https, 443))
        for word, said, usual in listens if self.urls else ():
            for index, socket in enumerate(said or (str(usual), f"[::]:{usual}")):
                address, _, port = socket.rpartition(":")
                family = 6 if address.startswith("[") else 4
                path = ("listen", word, *((index,) if said else ()))
                every = "" if address == "[::]" else address
                yield ServiceClaim(
                    path, f"port {port} IPv{family}", every, socket_words(address, port)
                )

"""An address and port as the model writes it: PORT, IPV4:PORT or [IPV6]:PORT."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from proxygen.model.hosts import BadName
from proxygen.model.types import reporting_bad_names

SOCKET = re.compile(r"(?:(\[[0-9A-Fa-f:.]+\]|[0-9.]+|\*):)?([0-9]{1,5})")
SOCKET_REMEDY = "write PORT, IPV4:PORT or '[IPV6]:PORT', with a port from 1 to 65535"


def spell_socket(value: object) -> str:
    """Return an address and port in one spelling; PORT alone is every IPv4 address."""
    wrong = BadName("{} is not an address and port", SOCKET_REMEDY, value)
    match = None if isinstance(value, bool) else SOCKET.fullmatch(str(value))
    if not match or not 1 <= int(match[2]) <= 65535:
        raise wrong
    if match[1] in {None, "*", "0.0.0.0"}:
        return str(int(match[2]))
    try:
        address = ipaddress.ip_address(match[1].strip("[]"))
    except ValueError:
        raise wrong from None
    if (address.version == 6) != match[1].startswith("["):
        raise wrong
    host = f"[{address}]" if address.version == 6 else str(address)
    return f"{host}:{int(match[2])}"


def distinct_values(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return *values*; none may be there twice."""
    again = [value for index, value in enumerate(values) if value in values[:index]]
    if again:
        raise BadName(f"{again[0]} is listed twice", "keep one of the two")
    return values


def socket_schema() -> WithJsonSchema:
    """Return how editors are told of an address and port."""
    port = {"type": "integer", "minimum": 1, "maximum": 65535}
    return WithJsonSchema({"anyOf": [port, {"type": "string", "pattern": f"^{SOCKET.pattern}$"}]})


Socket = Annotated[str, BeforeValidator(reporting_bad_names(spell_socket)), socket_schema()]

"""Which places of a service are verified: all, but for those that the model leaves out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from proxygen.model.types import validator_of
from proxygen.services.socket_spelling import Socket, distinct_values

LeftOut = Annotated[
    tuple[Socket, ...], Field(strict=False, max_length=64), validator_of(distinct_values)
]


class Verification(BaseModel):
    """What is not verified: a listener that refuses this host, or that it cannot reach."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)

    left_out: LeftOut = Field(
        (),
        alias="except",
        description="Listeners that proxygen does not connect to: PORT, IPV4:PORT or [IPV6]:PORT.",
    )

    def covers(self, address: str, port: int) -> bool:
        """Return whether what listens there is verified."""
        return not any(is_at(each, address, port) for each in self.left_out)


def is_at(socket: str, address: str, port: int) -> bool:
    """Return whether an item of the model means that place; PORT alone is each with that port."""
    host, _, ending = socket.rpartition(":")
    if int(ending) != port:
        return False
    return host in ("", address, f"[{address}]") or (host == "[::]" and ":" in address)


def place_words(address: str, port: int) -> str:
    """Return a place as the model may write it."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def matching_nothing(verify: Verification, places: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """Return the items of the model that mean none of the places."""
    there = tuple(places)
    return tuple(
        each for each in verify.left_out if not any(is_at(each, *place) for place in there)
    )

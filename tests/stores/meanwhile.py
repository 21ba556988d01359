"""A store to which another process writes in the very moment before we do."""

from __future__ import annotations

from collections.abc import Callable

from proxygen.stores import Store, Values
from tests.standins import MemoryStore


class Meanwhile(MemoryStore):
    """Has the *other* process do something once, right before the next change of ours."""

    other: Callable[[Store], object] | None = None

    def put_if(self, former: Values, values: Values) -> bool:
        """Let the other one write first."""
        other, self.other = self.other, None
        if other:
            other(self)
        return super().put_if(former, values)

"""What stays is spared by the garbage collector, but not for ever."""

from __future__ import annotations

import gc
import weakref

from proxygen.host import memory


class Node:
    """Refers to itself."""

    def __init__(self) -> None:
        self.own = self


def test_garbage_that_was_spared_while_it_was_none_is_collected_the_next_time() -> None:
    node = Node()
    gone = weakref.ref(node)
    try:
        memory.settle_memory()
        assert gc.get_freeze_count()
        del node
        assert gone() is not None
        memory.settle_memory()
        assert gone() is None
    finally:
        gc.unfreeze()

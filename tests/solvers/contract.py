"""What every writer owes (``proxygen.solvers``); a new one adds one class to test_writers.py."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from proxygen.solvers import Writer
from tests.solvers.zones import APEX, TARGETS, Zones

numbers = itertools.count(1)
FIRST, SECOND = (
    "b2Ei7ZpRCtZz-GAnUQEzRHsgWIKUjT3dDFAfwZcFZCM",
    "_8cTvIjkPqV0O_N3MDMBLPDVtq4n8XgXzMdVHzHnXzY",
)


class Contract:
    """The suite; a subclass has a fixture ``writer`` for the zones that run.

    Aliases may lead into TARGETS, by what it is told.
    """

    @pytest.fixture
    def name(self) -> str:
        """A name that no other test has."""
        return f"_acme-challenge.n{next(numbers)}.{APEX}"

    def test_a_value_is_added_and_removed(self, writer: Writer, zones: Zones, name: str) -> None:
        writer.add(name, FIRST)
        assert zones.values(name) == {FIRST}
        writer.remove(name, FIRST)
        assert zones.values(name) == set()

    def test_both_may_be_done_twice(self, writer: Writer, zones: Zones, name: str) -> None:
        writer.add(name, FIRST)
        writer.add(name, FIRST)
        assert zones.values(name) == {FIRST}
        writer.remove(name, FIRST)
        writer.remove(name, FIRST)
        assert zones.values(name) == set()

    def test_values_stay_beside_each_other(self, writer: Writer, zones: Zones, name: str) -> None:
        zones.server.set(name, "TXT", '"of somebody else"')
        writer.add(name, FIRST)
        writer.add(name, SECOND)
        assert zones.values(name) == {"of somebody else", FIRST, SECOND}
        writer.remove(name, FIRST)
        assert zones.values(name) == {"of somebody else", SECOND}

    def test_many_threads_add_at_one_name(self, writer: Writer, zones: Zones, name: str) -> None:
        values = {f"{FIRST[:-2]}{number:02}" for number in range(12)}
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda value: writer.add(name, value), values))
        assert zones.values(name) == values

    def test_another_zone_is_found(self, writer: Writer, zones: Zones) -> None:
        name = f"deep.below.n{next(numbers)}.{TARGETS}"
        writer.add(name, FIRST)
        assert zones.values(name) == {FIRST}

    def test_it_says_how_long_servers_may_take(self, writer: Writer) -> None:
        assert writer.patience == 120

    def test_it_says_where_aliases_may_lead(self, writer: Writer) -> None:
        assert writer.delegated == (TARGETS,)

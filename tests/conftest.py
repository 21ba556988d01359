"""Fixtures for all tests, and what happens to those whose program is missing."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import pytest

from proxygen.stores import Values
from proxygen.stores.filesystem import FileStore
from tests.live import nameserver, ports
from tests.live.machine import PROGRAMS, Machine, temporary_root
from tests.live.needs import missing
from tests.standins import refuse_sentences


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "needs(*programs): real programs that the test runs")
    config.addinivalue_line("markers", "apart: may run beside the other tests of its file")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file together, as they share programs, but for those that are apart."""
    for item in items:
        group = item.nodeid if item.get_closest_marker("apart") else item.location[0]
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose program is missing; fail it where CI is set, which has them all."""
    require(name for mark in item.iter_markers("needs") for name in mark.args)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that is skipped where CI is set: what is promised there was not shown."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which is a failure where CI is set: {report.longrepr}"
    return report


def require(programs: Iterable[str]) -> None:
    """Skip, or fail under CI, unless all *programs* can be run."""
    reasons = [reason for name in programs if (reason := missing(name))]
    if reasons and os.environ.get("CI"):
        pytest.fail("; ".join(reasons), pytrace=False)
    if reasons:
        pytest.skip("; ".join(reasons))


@pytest.fixture(autouse=True, scope="session")
def no_sentence_is_stored() -> Iterator[None]:
    """Fail whoever stores a failure with its sentences instead of a code."""
    put = FileStore.put_if

    def put_if(self: FileStore, former: Values, values: Values) -> bool:
        refuse_sentences(values)
        return put(self, former, values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileStore, "put_if", put_if)
        yield


@pytest.fixture
def root() -> Iterator[Path]:
    """Return an empty folder for ``--root``: short, and open to the services' users."""
    with temporary_root() as folder:
        yield folder


@pytest.fixture
def machine(root: Path) -> Iterator[Machine]:
    """Return a machine on which nginx, postfix, dovecot and Pebble run privately."""
    require(PROGRAMS)
    with Machine(root) as running:
        yield running


@pytest.fixture
def network() -> Iterator[str]:
    """Return a part of 127/8 of one's own, as ``127.A.B.``."""
    with nameserver.network() as prefix:
        yield prefix


@pytest.fixture
def port() -> Iterator[int]:
    """Return a port of one's own."""
    chosen = ports.reserve()
    yield chosen
    ports.release(chosen)

"""The command lines of the documents do what they are for, beside a real nginx and authority."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.live.machine import Machine, temporary_root
from tests.live.needs import needs
from tests.test_docs import PLACEHOLDERS, command_lines

ELSEWHERE = {
    "watch": "tests/integration/test_watch.py",
    "install-service": "tests/commands/test_install_service.py",
    "init": "tests/commands/test_cli.py",
}
"""Commands that do not end, change systemd or want no model there, and what runs them."""

ENDS: Mapping[str, frozenset[int]] = {
    "check": frozenset({0, 1, 2}),  # of monitoring; a name server tells what it likes
    "hook": frozenset({2}),  # no client's environment tells of a certificate
    "hook --certificate": frozenset({5}),  # the files are not there
    "uninstall postfix-out": frozenset({2}),  # there is only one postfix here
    "uninstall --purge": frozenset({2}),  # there is no terminal to ask on
}
"""What command lines end with other than 0: the first words decide."""

LAST = ("rollback", "uninstall")
"""What would leave nothing for others to be tried on."""

LINES = [each for each in command_lines() if each[0] not in ELSEWHERE]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Return a machine with the domain of the placeholders, changed once since it was set up."""
    with temporary_root() as root, Machine(root, ("nginx", "pebble")) as found:
        name = PLACEHOLDERS["NAME"]
        domain = {"url": f"https://{name}", "certificate": "acme"}
        found.model(
            {PLACEHOLDERS["DOMAIN"]: domain},
            resolvers=[f"127.0.0.1:{found.pebble.dns.dns}"],
            addresses=["127.0.0.1"],
        )
        for arguments in (("apply",), ("renew", "--replace", "global")):
            run = found.proxygen(*arguments)
            assert run.returncode == 0, run.stdout + run.stderr
        found.proxygen("account", "--export", str(root / "account"))
        yield found


def ends_with(line: tuple[str, ...]) -> frozenset[int]:
    """Return what a command line may end with: the most words that are known decide."""
    if "--yes" in line:
        return frozenset({0})
    beginnings = (" ".join(line[:count]) for count in range(len(line), 0, -1))
    return next((ENDS[each] for each in beginnings if each in ENDS), frozenset({0}))


@needs("nginx", "pebble")
@pytest.mark.parametrize(
    "line", sorted(LINES, key=lambda line: (line[0] in LAST, "--yes" in line, line)), ids=" ".join
)
def test_a_command_line_of_the_documents_ends_well(
    machine: Machine, line: tuple[str, ...], tmp_path: Path
) -> None:
    kept = machine.root / "account" if "--check" in line else tmp_path / "new"
    run = machine.proxygen(*(str(kept) if word == "FILE" else word for word in line))
    assert run.returncode in ends_with(line), run.stdout + run.stderr


@pytest.mark.parametrize("path", ELSEWHERE.values())
def test_what_is_not_run_here_is_run_elsewhere(path: str) -> None:
    command = next(key for key, value in ELSEWHERE.items() if value == path)
    assert f'"{command}"' in (Path(__file__).parents[2] / path).read_text()

"""Outage: who is told when proxygen cannot run is noted once, and the end of it, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxygen.host import outage
from proxygen.model.layout import Layout

CONTACT = "hostmaster@example.net"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Return a layout below an empty root."""
    return Layout(tmp_path, tmp_path / "etc/proxygen/proxygen.yaml")


def test_the_contact_is_noted_for_root_alone(layout: Layout) -> None:
    outage.note_contact(layout, CONTACT)
    noted = layout.outage / "contact"
    assert noted.read_text() == f"{CONTACT}\n"
    assert noted.stat().st_mode & 0o777 == 0o600
    assert layout.outage.stat().st_mode & 0o777 == 0o700


def test_a_contact_that_is_known_is_not_written_again(layout: Layout) -> None:
    outage.note_contact(layout, CONTACT)
    before = (layout.outage / "contact").stat()
    outage.note_contact(layout, CONTACT)
    after = (layout.outage / "contact").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_without_a_contact_nothing_is_made_and_a_former_one_is_forgotten(layout: Layout) -> None:
    outage.note_contact(layout, None)
    assert not layout.outage.exists()
    outage.note_contact(layout, CONTACT)
    outage.note_contact(layout, None)
    assert not (layout.outage / "contact").exists()


@pytest.mark.parametrize(
    "contact", ["o'neil@example.net", "a!b@example.net", "a%b@example.net", "-f@example.net"]
)
def test_an_address_that_the_script_would_not_take_is_not_noted(
    layout: Layout, contact: str
) -> None:
    outage.note_contact(layout, contact)
    assert not layout.outage.exists()


def test_a_disk_that_takes_nothing_is_no_reason_to_fail(layout: Layout) -> None:
    layout.var.parent.mkdir(parents=True)
    layout.var.write_text("in the way")
    outage.note_contact(layout, CONTACT)
    outage.note_end(layout)


def test_an_outage_that_is_over_is_told_no_more(layout: Layout) -> None:
    outage.note_end(layout)
    layout.outage.mkdir(parents=True)
    (layout.outage / "told").touch()
    outage.note_end(layout)
    assert not (layout.outage / "told").exists()


def test_whatever_stands_for_a_mail_that_was_sent_goes(layout: Layout) -> None:
    (layout.outage / "told/by").mkdir(parents=True)
    outage.note_end(layout)
    assert not (layout.outage / "told").exists()

"""The loop, driven by hand: what is a reason for a round, what is not, and what goes wrong."""

from __future__ import annotations

import os
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import chain, repeat
from pathlib import Path

import pytest

from proxygen import assemble
from proxygen.daemon.loop import SILENCE
from proxygen.host import lock
from proxygen.host.systemd import Manager
from proxygen.stores import applied_model
from proxygen.stores.filesystem import FileStore
from proxygen.stores.outbox import Outbox
from tests.certificates import NOON
from tests.daemon.surroundings import HandedClock, Trial, events
from tests.live import ports

A = {"a.example": {"url": "https://www.a.example", "certificate": "selfsigned"}}
B = {"b.example": {"url": "https://www.b.example", "certificate": "selfsigned"}}


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    with events() as kept:
        made = Trial(tmp_path, kept)
        yield made
        made.watching.close()


@pytest.fixture
def running(trial: Trial) -> Trial:
    """Return a loop after its first round, with one domain."""
    trial.model(A)
    trial.watch.step()
    assert trial.events.reasons == [("start",)]
    assert trial.owners == {"global", "a.example"}
    trial.events.all.clear()
    return trial


# An outage that people were told of.


def told(trial: Trial) -> Path:
    """Return the note that people were told that proxygen cannot run."""
    path = trial.layout.outage / "told"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_a_first_step_that_was_done_ends_an_outage(trial: Trial) -> None:
    note = told(trial)
    trial.model(A)
    trial.watch.step()
    assert not note.exists()


def test_a_wrong_model_is_no_outage(trial: Trial) -> None:
    note = told(trial)
    trial.layout.config.write_text("global: {url: a}\n")
    trial.watch.step()
    assert not note.exists()


class Unheard(Manager):
    """A service manager whom telling anything fails."""

    def ready(self) -> None:
        """Fail as what was half replaced does."""
        raise ImportError("No module named 'select'")


def test_an_outage_lasts_until_then(trial: Trial) -> None:
    note = told(trial)
    trial.model(A)
    trial.made(manager=Unheard()).safely()
    assert note.exists()


def test_who_is_told_of_an_outage_is_noted_by_the_daemon(trial: Trial) -> None:
    trial.model(A, contact="hostmaster@example.net")
    trial.watch.step()
    assert (trial.layout.outage / "contact").read_text() == "hostmaster@example.net\n"


# What is a reason, and what is none.


def test_a_changed_model_is_followed(running: Trial) -> None:
    running.model(A | B)
    running.changed()
    assert running.events.reasons == [("model",)]
    assert "b.example" in running.owners


def test_an_event_without_a_change_costs_no_round(running: Trial) -> None:
    os.utime(running.layout.config)
    running.layout.config.read_text()
    running.model(A)  # the same again
    for _ in range(10):
        running.changed()
    assert running.events.all == []


def test_our_own_writes_are_no_reason(running: Trial) -> None:
    running.model(A | B)
    running.changed()
    running.changed()
    running.go(30)
    assert len(running.events.reasons) == 1


def test_a_file_that_is_included_or_is_no_more_is_a_reason(trial: Trial) -> None:
    trial.model(A, include=["domains.d/*.yaml"])
    trial.watch.step()
    folder = trial.layout.etc / "domains.d"
    folder.mkdir()
    (folder / "b.yaml").write_text("domains: {b.example: {url: www.b.example}}")
    trial.changed()
    assert trial.watch.following.site
    assert len(trial.watch.following.site.domains) == 2
    (folder / "b.yaml").unlink()
    trial.changed()
    assert len(trial.watch.following.site.domains) == 1
    assert trial.events.reasons == [("start",), ("model",), ("model",)]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("templates/nginx/names.conf.j2", "template"),
        ("nginx.d/all.conf", "directives"),
        ("nginx.d/a.example/one.conf", "directives"),
        ("nginx.d/a.example", "directives"),
    ],
)
def test_the_administrators_own_files_are_reasons(running: Trial, path: str, reason: str) -> None:
    place = running.layout.etc / path
    if place.suffix in (".conf", ".j2"):
        place.parent.mkdir(parents=True)
        place.write_text("# mine\n")
    else:
        place.mkdir(parents=True)
    running.changed()
    assert running.events.reasons == [(reason,)]
    running.changed()
    assert len(running.events.reasons) == 1


def test_a_supplied_certificate_is_a_reason_when_it_comes_and_when_it_changes(
    trial: Trial,
) -> None:
    supplied = {"file": {"certificate": "d/chain.pem", "key": "d/key.pem"}}
    trial.model({"a.example": {"url": "https://www.a.example", "certificate": supplied}})
    trial.watch.step()
    folder = trial.layout.etc / "d"
    folder.mkdir()
    (folder / "chain.pem").write_text("half")
    trial.changed()
    (folder / "chain.pem").write_text("half and half")
    trial.changed()
    assert trial.events.reasons == [("start",), ("certificate file",), ("certificate file",)]


def test_sighup_is_a_reason_though_nothing_changed(running: Trial) -> None:
    running.watch.ask()
    assert running.watch.wait() == 0.0
    running.watch.step()
    assert running.events.reasons == [("asked",)]


def test_what_is_due_is_renewed_at_a_minute_of_chance(running: Trial) -> None:
    first = running.events
    running.leap(59.5)
    assert not first.of("certificate_obtained")
    running.go(86400)
    renewed = first.of("certificate_obtained")
    assert {each["owner"] for each in renewed} == {"global", "a.example"}
    assert {each["reason"] for each in renewed} == {"due"}


def test_where_the_kernel_tells_nothing_files_are_read_now_and_then(running: Trial) -> None:
    running.watching.blind = True
    running.go(1)
    running.model(A | B)
    running.go(301)
    running.model(A)
    running.go(11)
    assert running.events.reasons == [("model",), ("model",)]


def test_a_clock_that_jumps_is_noticed_within_a_minute(running: Trial) -> None:
    running.clock.jump(70 * 86400)
    running.go(60)
    assert running.events.of("clock_jumped")
    assert {each["reason"] for each in running.events.of("certificate_obtained")} == {"due"}


def test_while_nothing_happens_it_wakes_a_few_times_a_minute_and_no_more(running: Trial) -> None:
    running.go(1)
    steps, end = 0, running.clock.passed + 600
    while running.clock.passed < end:
        running.clock.go(max(running.watch.step(), 0.001))
        steps += 1
    assert steps <= 45
    assert running.events.all == []


def test_files_that_say_the_same_in_other_words_cost_no_round(running: Trial) -> None:
    path = running.layout.config
    for number in range(3):
        running.model(A)
        path.write_text(f"{path.read_text()}  # {number}")
        running.changed()
    assert len(running.events.of("model_read")) == 3
    assert running.events.reasons == []
    running.model(A | B)
    running.changed()
    assert running.events.reasons == [("model",)]


class Costly(HandedClock):
    """A clock by which every look, and every round, costs half a second of a core."""

    used = 0.0

    def spent(self) -> float:
        """Return a quarter of a second more each time."""
        self.used += 0.25
        return self.used


def test_a_file_that_changes_all_the_time_takes_a_small_share_of_a_core(trial: Trial) -> None:
    trial.clock = Costly()
    trial.watch = trial.made()
    trial.model(A)
    trial.watch.step()
    trial.watch.step()
    trial.go(60)
    trial.events.all.clear()
    trial.model(A | B)
    trial.changed()
    assert trial.events.reasons == [("model",)]  # the first one at once
    for number in range(3000):
        trial.model({"a.example": A["a.example"] | {"extra_names": [f"n{number}.a.example"]}})
        trial.watch.bell.ring()
        trial.clock.go(0.1)
        trial.watch.step()
    assert 10 < len(trial.events.of("model_read")) < 40  # of 3,000 changes in 5 minutes
    assert 10 < len(trial.events.of("round_begun")) < 40
    trial.go(21)
    trial.model(A | B | {"c.example": {"url": "www.c.example", "certificate": "selfsigned"}})
    trial.changed()
    assert "c.example" in trial.owners


# What customers may put into their folders.


def test_links_that_lead_back_up_harm_nothing(trial: Trial) -> None:
    folder = trial.layout.etc / "customers/b"
    folder.mkdir(parents=True)
    for name in ("l1", "l2"):
        (folder / name).symlink_to(".")
    (folder / "b.yaml").write_text("domains: {b.example: {url: www.b.example}}")
    trial.model(A, include=["customers/**/*.yaml"])
    trial.watch.step()
    assert trial.events.of("model_read")[0]["domains"] == 2


def test_folders_that_nobody_can_look_through_are_set_aside(trial: Trial) -> None:
    folder = trial.layout.etc / "customers"
    folder.mkdir()
    (folder / "b.yaml").write_text("domains: {b.example: {url: www.b.example}}")
    trial.model(A, include=["*.yml", "customers/*/*/*.yaml", "customers/*.yaml"])
    trial.watch.step()
    for number in range(600):
        (folder / f"l{number}").symlink_to(".")
    trial.changed()
    (told,) = trial.events.of("file_set_aside")
    assert told["field"] == "include[1]"
    assert (
        "*/*.yaml cannot be read: the folders that it searches hold more than 250,000 names"
        in told["what"]
    )
    assert trial.watch.following.site
    assert len(trial.watch.following.site.domains) == 2
    for number in range(600):
        (folder / f"l{number}").unlink()
    trial.changed()
    assert trial.events.of("file_right_again")


# A model that is wrong.


def test_each_mistake_is_told_once_and_the_last_right_model_goes_on(running: Trial) -> None:
    running.model(A | {"c.example": {"url": "not a name"}, "d.example": {"nope": 1}})
    running.changed()
    running.changed()
    assert len(running.events.of("model_mistake")) == 2
    assert len(running.events.of("model_wrong")) == 1
    running.model(A | {"c.example": {"url": "not a name"}})
    running.changed()
    assert len(running.events.of("model_mistake")) == 2
    assert running.events.reasons == []
    running.leap(61)
    running.go(60)
    assert {each["owner"] for each in running.events.of("certificate_obtained")} == {
        "global",
        "a.example",
    }
    assert "the model is wrong (1 mistake)" in running.watch.words()
    running.model(A | B)
    running.changed()
    assert running.events.of("model_read")[-1]["was_wrong"]
    assert "b.example" in running.owners
    assert "wrong" not in running.watch.words()


def test_a_vanished_model_file_is_a_wrong_model(running: Trial) -> None:
    running.layout.config.unlink()
    running.changed()
    assert "the model file" in running.events.of("model_mistake")[0]["what"]
    running.model(A | B)
    running.changed()
    assert running.events.reasons == [("model",)]


def test_a_model_file_that_goes_with_one_that_it_includes_is_a_wrong_model(trial: Trial) -> None:
    folder = trial.layout.etc / "domains.d"
    folder.mkdir(parents=True)
    (folder / "b.yaml").write_text("domains: {b.example: {url: www.b.example}}")
    trial.model(A, include=["domains.d/*.yaml"])
    trial.watch.step()
    trial.layout.config.unlink()
    (folder / "b.yaml").unlink()
    trial.changed()
    assert trial.events.of("model_wrong")
    assert trial.events.reasons == [("start",)]


def test_the_last_right_model_survives_a_restart_with_a_wrong_one(running: Trial) -> None:
    running.layout.config.write_text("global: [")
    running.watch = running.made()
    running.watch.step()
    (told,) = running.events.of("model_wrong")
    assert told["goes_on_with"] == "the last right version"
    assert running.events.reasons == [("start",)]
    running.leap(61)
    running.go(60)
    assert "a.example" in {each["owner"] for each in running.events.of("certificate_obtained")}


def test_what_is_kept_of_the_model_is_for_its_owner_alone(running: Trial) -> None:
    kept = running.layout.store / "model/main"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "kept", [b"", b"[]", b'{"main": 1}', b"\xff{[", b'{"main":["a","b","{"]}', b"[" * 100_000]
)
def test_without_any_right_model_it_waits_for_one(trial: Trial, kept: bytes) -> None:
    trial.layout.watch.mkdir(parents=True)
    (trial.layout.store / "model").mkdir(parents=True)
    (trial.layout.store / "model/serial").write_bytes(b"1")
    (trial.layout.store / "model/main").write_bytes(kept)
    trial.layout.config.write_text("global: [")
    trial.watch.step()
    trial.go(7200)
    assert trial.events.reasons == []
    assert "waiting until the model is corrected" in trial.watch.words()
    trial.model(A)
    trial.changed()
    assert trial.owners == {"global", "a.example"}


# What is held back, and what is set aside.

MANY = {f"d{n}.example": {"url": f"https://www.d{n}.example"} for n in range(30)}


def domains(trial: Trial) -> set[str]:
    """Return the domains that are followed."""
    assert trial.watch.following.site
    return {each.key for each in trial.watch.following.site.domains}


def test_a_model_that_loses_many_domains_is_held_back_for_good(trial: Trial) -> None:
    trial.model(MANY)
    trial.watch.step()
    trial.model({"new.example": {}})
    trial.changed()
    (told,) = trial.events.of("removal_held_back")
    assert (told["domains"], told["why"]) == (30, "many")
    assert "a removal is held back" in trial.watch.words()
    trial.go(7200)
    assert domains(trial) == {*MANY, "new.example"}
    trial.watch = trial.made()  # a restart
    trial.watch.step()
    assert domains(trial) == {*MANY, "new.example"}
    trial.model({**MANY, "new.example": {}})
    trial.changed()
    assert trial.events.of("removal_settled")
    assert "held back" not in trial.watch.words()


def test_what_is_held_back_stays_so_while_it_comes_back_in_portions(trial: Trial) -> None:
    trial.model(MANY)
    trial.watch.step()
    trial.model({})
    trial.changed()
    for count in (10, 28, 29):
        trial.model(dict(list(MANY.items())[:count]))
        trial.changed()
        assert domains(trial) == set(MANY)


def test_a_removal_that_another_run_confirmed_is_followed(trial: Trial) -> None:
    trial.model(MANY)
    trial.watch.step()
    trial.model({})
    trial.changed()
    site = assemble.read_site(trial.layout, confirmed=True)
    applied_model.keep_model(assemble.shared_store(trial.layout), site)
    trial.changed()
    assert domains(trial) == set()
    assert trial.events.of("removal_settled")


def test_people_are_told_only_of_what_lasts(trial: Trial) -> None:
    trial.model(MANY, contact="hostmaster@example.net")
    trial.watch.step()
    trial.model({}, contact="hostmaster@example.net")
    trial.changed()
    assert trial.watch.memory.since
    assert not waiting_mails(trial)
    trial.go(15)
    assert waiting_mails(trial) == ["A removal of domains is held back"]


def waiting_mails(trial: Trial) -> list[str]:
    """Return what the letters that wait are about."""
    return [each.mail.subject for each in Outbox(FileStore(trial.layout.store)).waiting().values()]


def included(trial: Trial, **texts: str) -> Path:
    """Write a model that includes files of these texts; return their folder."""
    folder = trial.layout.etc / "domains.d"
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    trial.model(A, include=["domains.d/*.yaml"])
    return folder


def test_a_wrong_file_is_set_aside_and_all_else_goes_on(trial: Trial) -> None:
    folder = included(trial, b="domains: {b.example: {url: www.b.example}}")
    trial.watch.step()
    (folder / "b.yaml").write_text("domains: {")
    (folder / "c.yaml").write_text("domains: {c.example: {}}")
    trial.changed()
    (told,) = trial.events.of("file_set_aside")
    assert told["file"] == str(folder / "b.yaml")
    assert domains(trial) == {"a.example", "b.example", "c.example"}
    trial.changed()
    assert len(trial.events.of("file_set_aside")) == 1
    (folder / "b.yaml").write_text("domains: {b.example: {url: mail.b.example}}")
    trial.changed()
    (again,) = trial.events.of("file_right_again")
    assert again["file"] == str(folder / "b.yaml")


def test_what_was_right_last_is_not_written_again(trial: Trial) -> None:
    folder = included(trial, b="domains: {b.example: {}}", c="domains: {c.example: {}}")
    trial.watch.step()
    kept = trial.layout.store / "model"
    before = {each: each.stat().st_mtime_ns for each in kept.rglob("*") if each.is_file()}
    trial.watch.ask()
    trial.watch.step()
    assert before == {each: each.stat().st_mtime_ns for each in kept.rglob("*") if each.is_file()}
    (folder / "b.yaml").write_text("domains: {b.example: {url: www.b.example}}")
    trial.changed()
    after = {each: each.stat().st_mtime_ns for each in kept.rglob("*") if each.is_file()}
    assert len({each for each in after if after[each] != before[each]}) == 2  # and the serial


# What goes wrong in a round.


def test_an_exception_in_a_round_is_told_with_its_traceback_and_the_next_one_comes(
    trial: Trial,
) -> None:
    draws = chain((0, 0), repeat(2))

    def draw() -> float:
        return 1 / next(draws)

    trial.watch = trial.made(draw=draw)
    trial.model(A)
    trial.watch.step()
    (failed,) = trial.events.of("round_failed")
    assert failed["what"] == "ZeroDivisionError('division by zero')"
    assert failed["exc"]
    trial.go(5)
    assert len(trial.events.of("round_failed")) == 2
    trial.go(5)
    assert len(trial.events.reasons) == 2
    trial.go(5)
    assert trial.events.reasons == [("start",), ("again",), ("again",)]
    assert trial.events.of("round_ended")


def test_what_cannot_be_read_holds_no_traceback(running: Trial) -> None:
    place = running.layout.store / "certificates"
    kept = place.rename(place.with_name("kept"))
    place.symlink_to(place)
    running.model(A | B)
    running.changed()
    for failed in running.events.of("round_failed"):
        assert "Too many levels of symbolic links" in failed["what"]
        assert not failed["exc"]
    assert len(running.events.of("round_failed")) == 2  # neither half can read it
    place.unlink()
    kept.rename(place)
    running.model(A)
    running.changed()  # what a person changes waits for no pause
    assert running.events.all[-1]["event"] == "round_ended"


def test_a_template_that_cannot_be_read_and_nobody_uses_is_in_nobodys_way(running: Trial) -> None:
    (running.layout.etc / "templates/nginx/x.j2").mkdir(parents=True)
    running.changed()
    assert not running.events.of("round_failed")
    assert running.events.all[-1]["event"] == "round_ended"


def test_while_another_run_is_at_work_a_round_waits_its_turn(running: Trial) -> None:
    with lock.hold(running.layout.lock):
        running.model(A | B)
        running.changed()
        running.go(20)
        assert len(running.events.of("waiting_for_lock")) == 1
        assert "b.example" not in running.owners
    running.go(1)
    assert "b.example" in running.owners
    assert running.events.reasons == [("model",)]


def test_a_round_that_makes_no_progress_is_no_sign_of_life(running: Trial) -> None:
    assert running.watch.lively()
    running.clock.go(SILENCE - 1)
    assert running.watch.lively()
    running.clock.go(2)
    assert not running.watch.lively()
    running.watch.step()
    assert running.watch.lively()


def test_told_to_stop_it_begins_no_round(running: Trial) -> None:
    running.model(A | B)
    running.watch.bell.ring()
    running.clock.go(0.3)
    running.watch.stop()
    running.watch.run()
    assert running.events.reasons == []


def test_what_goes_wrong_outside_a_round_ends_nothing(trial: Trial) -> None:
    trial.model(A, include=["*" * 300 + "/[/*.yaml"])
    trial.layout.store.mkdir(parents=True)
    (trial.layout.store / "model").write_text("no folder")  # nor can the model be kept
    trial.watch.safely()
    assert trial.events.of("cannot_write")
    assert trial.owners == {"global", "a.example"}


class Forgetful(HandedClock):
    """A clock that cannot be read at times."""

    broken = False

    def spent(self) -> float:
        """Return nothing, or raise."""
        if self.broken:
            raise OSError(24, "Too many open files")
        return 0.0


def test_an_exception_between_rounds_is_survived(running: Trial) -> None:
    clock = Forgetful()
    running.clock = clock
    running.watch = running.made()
    running.watch.safely()
    running.events.all.clear()
    clock.broken = True
    running.model(A | B)
    running.watch.bell.ring()
    clock.go(0.3)
    assert running.watch.safely() == 1
    clock.go(1)
    assert running.watch.safely() == 10
    assert len(running.events.of("round_failed")) == 2
    clock.broken = False
    clock.go(10)
    running.watch.safely()
    assert "b.example" in running.owners


# Who is told.


def test_people_are_told_of_a_model_that_stays_wrong(running: Trial) -> None:
    running.layout.config.write_text("global: [")
    running.changed()
    first = running.watch.memory.wrong
    assert first
    assert first.since == running.clock.now()
    running.go(60)
    running.layout.config.write_text("global: {")
    running.changed()
    assert running.watch.memory.wrong
    assert running.watch.memory.wrong.since == first.since
    running.model(A)
    running.changed()
    assert running.watch.memory.wrong is None
    assert running.events.reasons == [("model",)]  # in which people are told that it is solved


def figures(port: int) -> str:
    """Return what is answered to Prometheus."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


def test_figures_are_answered_where_the_model_says(running: Trial) -> None:
    first, second = ports.reserve(), ports.reserve()
    try:
        running.model(A, metrics={"listen": f"127.0.0.1:{first}"})
        running.changed()
        assert "proxygen_model_right 1.0" in figures(first)
        running.layout.config.write_text("global: [")
        running.changed()
        assert "proxygen_model_right 0.0" in figures(first)
        running.model(A | B, metrics={"listen": f"127.0.0.1:{second}"})
        running.changed()
        assert "proxygen_certificates 3.0" in figures(second)
        with pytest.raises(urllib.error.URLError):
            figures(first)
        running.model(A)
        running.changed()
        with pytest.raises(urllib.error.URLError):
            figures(second)
    finally:
        ports.release(first, second)


def test_a_port_that_is_taken_is_told_once_and_harms_nothing(running: Trial) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        running.model(A, metrics={"listen": place})
        running.changed()
        running.watch.ask()
        running.watch.step()
        assert len(running.events.of("figures_not_told")) == 1
    running.watch.ask()
    running.watch.step()
    assert "proxygen_info" in figures(int(place.rpartition(":")[2]))
    running.model(A)
    running.changed()


# While certificates are obtained.


class Held:
    """Work that is begun, and goes on when it is told to."""

    def __init__(self) -> None:
        self.begun: list[Callable[[], None]] = []

    def __call__(self, work: Callable[[], None]) -> None:
        self.begun.append(work)

    def end(self) -> None:
        """Have what was begun last come to its end."""
        self.begun.pop()()


def test_a_changed_model_is_deployed_while_certificates_are_obtained(trial: Trial) -> None:
    held = Held()
    trial.watch = trial.made(start_work=held)
    trial.model(A)
    trial.watch.step()
    assert len(held.begun) == 1
    assert not trial.watch.enough()
    trial.model(A | B)
    trial.changed()
    assert trial.events.reasons == [("start",), ("model",)]
    assert "b.example" in trial.owners
    assert trial.watch.enough()  # what is wanted now is another thing than what is obtained
    trial.go(5)
    assert len(held.begun) == 1  # never two at a time
    held.end()
    trial.go(5)
    assert len(held.begun) == 1
    assert trial.events.reasons == [("start",), ("model",)]
    held.end()
    trial.go(5)
    assert not held.begun


def test_while_certificates_are_obtained_nothing_is_due(trial: Trial) -> None:
    held = Held()
    trial.watch = trial.made(start_work=held)
    trial.model(A)
    trial.watch.step()
    trial.go(300)
    assert trial.events.reasons == [("start",)]


def test_what_goes_wrong_beside_the_loop_is_told_and_tried_again(trial: Trial) -> None:
    held = Held()
    trial.watch = trial.made(start_work=held)
    trial.model(A)
    trial.watch.step()
    in_the_way = trial.layout.obtaining
    in_the_way.unlink(missing_ok=True)
    in_the_way.mkdir()
    held.end()
    trial.watch.step()
    assert trial.events.of("round_failed")
    in_the_way.rmdir()
    trial.go(5)
    held.end()
    trial.go(5)
    assert not held.begun
    assert len(trial.events.of("round_failed")) == 1


def test_certificates_that_wait_to_be_deployed_hold_up_nothing_and_nobody_spins(
    trial: Trial,
) -> None:
    held = Held()
    trial.watch = trial.made(start_work=held)
    trial.model(A)
    trial.watch.step()
    trial.model(A | B)
    trial.changed()
    trial.watch.calendar.lasted = 10.0
    trial.watch.come("c.example")
    trial.watch.step()
    held.end()
    trial.watch.step()
    assert len(held.begun) == 1  # what is wanted now is obtained meanwhile
    assert trial.watch.step() > 1


def test_obtaining_that_fails_as_a_whole_is_tried_ever_less_often(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("proxygen.daemon.round.obtain", fails)
    trial.model({})
    trial.go(115)
    assert trial.events.reasons == [("start",)]
    pauses = [each["again_in"] for each in trial.events.of("round_failed")]
    assert pauses == [1.0, 10.0, 100.0, 600.0]


def test_what_cannot_be_deployed_keeps_nobody_from_renewing(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    held = Held()
    trial.watch = trial.made(start_work=held)
    trial.model(A)
    trial.watch.step()
    held.end()
    trial.watch.step()
    with monkeypatch.context() as broken:
        broken.setattr("proxygen.daemon.round.deploy", fails)
        trial.model(A | B)
        trial.changed()
        assert trial.events.of("round_failed")
        assert len(held.begun) == 1
        held.end()
        trial.go(0.5)
        assert not held.begun  # once for each time that there was reason to
        assert trial.watch.step() > 0
    trial.go(1000)
    assert "b.example" in trial.owners


def test_before_a_first_deployment_nothing_is_obtained(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(5, "Input/output error")

    held = Held()
    trial.watch = trial.made(start_work=held)
    monkeypatch.setattr("proxygen.daemon.round.deploy", fails)
    trial.model(A)
    trial.watch.step()
    trial.go(60)
    assert trial.events.of("round_failed")
    assert not held.begun


def test_figures_know_what_was_deployed_last(trial: Trial) -> None:
    place = trial.layout.root / "var/figures.prom"
    trial.model(A, metrics={"file": str(place)})
    trial.watch.step()
    trial.go(30)
    trial.model(A | B, metrics={"file": str(place)})
    trial.changed()
    (found,) = trial.layout.root.rglob("figures.prom")
    assert any(
        "not_after" in each and "b.example" in each for each in found.read_text().split("\n")
    )


def test_obtaining_that_hangs_is_no_sign_of_life(trial: Trial) -> None:
    trial.watch = trial.made(start_work=Held())
    trial.model({})
    trial.watch.step()
    trial.go(SILENCE - 10)
    assert trial.watch.lively()
    trial.go(20)
    assert not trial.watch.lively()


def test_sighup_forgets_what_the_dns_said(trial: Trial) -> None:
    trial.model({})
    trial.watch.step()
    known = trial.watch.obtaining.installation
    assert known
    known.resolvers["anything"] = None  # type: ignore[assignment]
    trial.watch.ask()
    trial.watch.step()
    assert not known.resolvers


def test_words_tell_how_many_domains_and_when_next(running: Trial) -> None:
    assert running.watch.words().startswith("1 domain; next round: 2026-11-")
    assert running.watch.calendar.wake
    assert running.watch.calendar.wake > NOON + timedelta(hours=20)

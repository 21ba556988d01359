"""Watching: whatever changes what a file is wakes, whatever does not lets us sleep."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxygen.host.watching import Watching, interest_in
from tests.live.needs import needs
from tests.live.processes import environment, until


class Sleeper:
    """Counts what it is woken by."""

    def __init__(self) -> None:
        self.woken = threading.Event()
        self.lost: list[OSError] = []
        self.watching = Watching(self.woken.set, self.lost.append)
        self.files: frozenset[str] = frozenset()
        self.folders: frozenset[str] = frozenset()

    def look_at(self, files: tuple[Path, ...] = (), folders: tuple[Path, ...] = ()) -> None:
        """Watch these."""
        self.files, self.folders = frozenset(map(str, files)), frozenset(map(str, folders))
        self.again()

    def again(self) -> None:
        """Look at the same again, as the loop does after each event."""
        self.watching.watch(self.files, self.folders)

    def wakes(self, act: Callable[[], object]) -> bool:
        """Return whether something wakes; what came before does not count."""
        self.settle()
        act()
        return self.woken.wait(5)

    def sleeps(self, act: Callable[[], object], mark: Path) -> bool:
        """Return whether something wakes nobody; *mark* is a watched file, touched after it."""
        self.settle()
        act()
        assert self.watching.reader
        seen: list[str] = []
        former, self.watching.wake = self.watching.wake, lambda: seen.append("woken")
        try:
            mark.touch()
            until(lambda: seen, "the event of the mark")
        finally:
            self.watching.wake = former
        return not self.woken.is_set()

    def settle(self) -> None:
        """Wait until nothing comes any more."""
        while True:
            self.woken.clear()
            if not self.woken.wait(0.05):
                return


@pytest.fixture
def sleeper() -> Iterator[Sleeper]:
    """Return one who sleeps until a watched file changes."""
    made = Sleeper()
    yield made
    made.watching.close()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a model file in a folder of its own."""
    path = tmp_path / "etc/proxygen/proxygen.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("global: {}\n")
    return path


def written(path: Path) -> None:
    path.write_text("global: {url: x}\n")


def appended(path: Path) -> None:
    with path.open("a") as file:
        file.write("# more\n")


def as_vim(path: Path) -> None:
    """Save as vim does: the old one becomes the backup, the new one is written in its place."""
    backup = path.with_name(f"{path.name}~")
    path.rename(backup)
    path.write_text("global: {url: x}\n")
    backup.unlink()


def as_emacs(path: Path) -> None:
    """Save as editors do that write beside and rename."""
    new = path.with_name(f".#{path.name}.new")
    new.write_text("global: {url: x}\n")
    new.rename(path)


def removed(path: Path) -> None:
    path.unlink()


def moved_away(path: Path) -> None:
    path.rename(path.with_name("elsewhere.yaml"))


def moved_in(path: Path) -> None:
    other = path.parent.parent / "other.yaml"
    other.write_text("global: {url: x}\n")
    other.rename(path)


def made_readable(path: Path) -> None:
    path.chmod(0o600)


WAYS = [written, appended, as_vim, as_emacs, removed, moved_away, moved_in, made_readable]


@pytest.mark.parametrize("change", WAYS, ids=lambda each: each.__name__)
def test_every_way_to_change_a_file_wakes(
    sleeper: Sleeper, model: Path, change: Callable[[Path], None]
) -> None:
    sleeper.look_at((model,))
    assert sleeper.wakes(lambda: change(model))


def test_reading_and_other_files_beside_wake_nobody(sleeper: Sleeper, model: Path) -> None:
    sleeper.look_at((model,))

    def busy() -> None:
        model.read_text()
        list(model.parent.iterdir())
        (model.parent / ".proxygen.yaml.swp").write_text("half")
        (model.parent.parent / "resolv.conf").write_text("x")

    assert sleeper.sleeps(busy, model)


def test_any_new_name_in_a_folder_wakes(sleeper: Sleeper, model: Path) -> None:
    folder = model.parent / "domains.d"
    folder.mkdir()
    sleeper.look_at((model,), (folder,))
    assert sleeper.wakes(lambda: (folder / "a.yaml").write_text("x"))


def test_a_folder_that_is_not_there_yet_is_waited_for(sleeper: Sleeper, model: Path) -> None:
    folder = model.parent / "templates/nginx"
    sleeper.look_at((), (folder,))
    assert sleeper.wakes(lambda: folder.mkdir(parents=True))
    sleeper.again()
    assert sleeper.wakes(lambda: (folder / "names.conf.j2").write_text("x"))


def test_a_folder_that_is_swapped_by_rename_goes_on_being_watched(
    sleeper: Sleeper, model: Path
) -> None:
    folder, new = model.parent / "domains.d", model.parent / "domains.new"
    folder.mkdir()
    new.mkdir()
    sleeper.look_at((), (folder,))

    def swap() -> None:
        folder.rename(model.parent / "domains.old")
        new.rename(folder)

    assert sleeper.wakes(swap)
    sleeper.again()
    assert sleeper.wakes(lambda: (folder / "a.yaml").write_text("x"))
    sleeper.again()
    old = model.parent / "domains.old/b.yaml"
    assert sleeper.sleeps(lambda: old.write_text("x"), folder / "a.yaml")


def test_a_folder_that_is_removed_and_made_again_goes_on_being_watched(
    sleeper: Sleeper, model: Path
) -> None:
    folder = model.parent / "domains.d"
    folder.mkdir()
    sleeper.look_at((), (folder,))

    def replace() -> None:
        folder.rmdir()
        folder.mkdir()

    for _ in range(3):  # file systems give the new folder the number of the old one
        assert sleeper.wakes(replace)
        sleeper.again()
        assert sleeper.wakes(lambda: (folder / "a.yaml").write_text("x"))
        (folder / "a.yaml").unlink()
        sleeper.again()


def test_a_folder_above_that_is_replaced_goes_on_being_watched(
    sleeper: Sleeper, model: Path
) -> None:
    sleeper.look_at((model,))
    above = model.parent.parent

    def replace() -> None:
        above.rename(above.with_name("etc.old"))
        model.parent.mkdir(parents=True)

    assert sleeper.wakes(replace)
    sleeper.again()
    assert sleeper.wakes(lambda: model.write_text("x"))


def test_a_folder_behind_a_link_is_watched_and_so_is_the_link(
    sleeper: Sleeper, model: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "panel/first", tmp_path / "panel/second"
    first.mkdir(parents=True)
    second.mkdir()
    link = model.parent / "domains.d"
    link.symlink_to(first)
    sleeper.look_at((), (link,))
    assert sleeper.wakes(lambda: (first / "a.yaml").write_text("x"))

    def turn() -> None:
        new = link.with_name("new")
        new.symlink_to("../../panel/second")
        new.rename(link)

    assert sleeper.wakes(turn)
    sleeper.again()
    assert sleeper.wakes(lambda: (second / "a.yaml").write_text("x"))


def test_files_behind_a_link_to_data_are_watched_as_kubernetes_has_them(
    sleeper: Sleeper, tmp_path: Path
) -> None:
    for name in ("..2026_1", "..2026_2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "proxygen.yaml").write_text(name)
    (tmp_path / "..data").symlink_to("..2026_1")
    model = tmp_path / "proxygen.yaml"
    model.symlink_to("..data/proxygen.yaml")
    sleeper.look_at((model,))

    def turn() -> None:
        (tmp_path / "..data_tmp").symlink_to("..2026_2")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    assert sleeper.wakes(turn)
    sleeper.again()
    assert sleeper.wakes(lambda: (tmp_path / "..2026_2/proxygen.yaml").write_text("x"))


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    found = interest_in([str(tmp_path / "a/model.yaml")], [])
    assert {"a", "b"} <= (found[str(tmp_path)] or set())


def test_each_folder_is_watched_once_however_many_files_are_in_it(
    sleeper: Sleeper, tmp_path: Path
) -> None:
    sleeper.look_at(tuple(tmp_path / f"{number}.pem" for number in range(1000)))
    assert len(sleeper.watching.descriptors) == len(tmp_path.parents) + 1


def test_after_a_burst_of_thousands_of_events_changes_still_wake(
    sleeper: Sleeper, tmp_path: Path
) -> None:
    folder = tmp_path / "domains.d"
    folder.mkdir()
    sleeper.look_at((), (folder,))

    def burst() -> None:
        for number in range(3000):
            (folder / f"{number}.yaml").write_text("x")

    assert sleeper.wakes(burst)
    sleeper.again()
    assert sleeper.wakes(lambda: (folder / "last.yaml").write_text("x"))


def test_when_the_kernel_forgot_events_everything_is_read(sleeper: Sleeper, model: Path) -> None:
    sleeper.look_at((model,))
    assert sleeper.wakes(sleeper.watching.on_queue_overflow)
    before = dict(sleeper.watching.descriptors)
    sleeper.again()
    assert sleeper.watching.descriptors.keys() == before.keys()
    assert sleeper.wakes(lambda: model.write_text("x"))


def test_what_is_watched_no_more_wakes_nobody(sleeper: Sleeper, model: Path) -> None:
    other = model.parent / "d/key.pem"
    other.parent.mkdir()
    other.write_text("x")
    sleeper.look_at((model, other))
    sleeper.look_at((model,))
    assert sleeper.sleeps(lambda: other.write_text("y"), model)
    assert str(other.parent) not in sleeper.watching.descriptors


def test_a_folder_that_went_away_unheard_is_let_go(sleeper: Sleeper, model: Path) -> None:
    folder = model.parent / "domains.d"
    folder.mkdir()
    sleeper.look_at((model,), (folder,))
    called, held = threading.Event(), threading.Event()

    def hold() -> None:
        called.set()
        held.wait(20)

    sleeper.watching.wake = hold
    model.touch()
    assert called.wait(20)
    folder.rmdir()
    sleeper.look_at((model,))
    held.set()
    sleeper.watching.wake = sleeper.woken.set
    assert str(folder) not in sleeper.watching.descriptors
    assert sleeper.wakes(lambda: model.write_text("x"))


def test_an_overflow_of_the_kernels_queue_has_everything_looked_at(
    sleeper: Sleeper, model: Path
) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    sleeper.look_at((model,))
    other = model.with_name("other.yaml")
    with sleeper.watching.lock:  # the reader stops at the first events, at most a full queue
        for number in range(2 * most + 2):  # the kernel joins events that repeat the one before
            other.touch() if number % 2 else model.touch()
    until(lambda: "/" in sleeper.watching.replaced, "the event of the overflow")
    sleeper.again()
    assert sleeper.wakes(lambda: model.write_text("x"))


def test_closing_ends_the_thread_and_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    watching = Watching(lambda: None, lambda _: None)
    watching.watch(frozenset({str(tmp_path / "model.yaml")}), frozenset())
    reader = watching.reader
    assert reader
    watching.close()
    until(lambda: not reader.is_alive(), "the end of the thread")
    assert set(Path("/proc/self/fd").iterdir()) <= before
    watching.close()
    watching.watch(frozenset({str(tmp_path / "other.yaml")}), frozenset())
    assert not watching.blind


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_reader_that_ends_by_itself_is_told_once(sleeper: Sleeper, model: Path) -> None:
    def fail() -> None:
        raise RuntimeError("nobody wakes")

    sleeper.watching.wake = fail
    reader = sleeper.watching.reader
    assert reader
    sleeper.look_at((model,))
    model.touch()
    until(lambda: not reader.is_alive(), "the end of the thread")
    sleeper.look_at((model.with_name("other.yaml"),))
    assert sleeper.watching.blind
    assert [each.errno for each in sleeper.lost] == [errno.EPIPE]


def program(script: str, *arguments: str, within: tuple[str, ...] = ()) -> str:
    """Return what a Python script prints in a process of its own, started by *within*."""
    command = [*within, sys.executable, "-c", script, *arguments]
    surroundings = environment(PYTHONPATH=os.pathsep.join(sys.path))
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=surroundings)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def apart(preparation: str, *kinds: str) -> tuple[str, ...]:
    """Return how a program is started in namespaces of its own, after some words of sh."""
    within = ("unshare", *kinds, "sh", "-ec", f'{preparation}\nexec "$@"', "sh")
    if subprocess.run([*within, "true"], capture_output=True, check=False).returncode:
        pytest.skip("namespaces are not allowed here")
    return within


TWO_PATHS = """
import sys, threading
from pathlib import Path
from proxygen.host.watching import Watching
first, second = (Path(each, name) for each, name in zip(sys.argv[1:], ("a", "b")))
woken = threading.Event()
watching = Watching(woken.set, lambda _: None)
def wakes(path):
    woken.clear()
    path.touch()
    return woken.wait(5)
watching.watch(frozenset({str(first), str(second)}), frozenset())
both = wakes(first), wakes(second)
watching.watch(frozenset({str(second)}), frozenset())
print(*both, wakes(second))
watching.close()
"""


@needs("unshare")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
@pytest.mark.parametrize("order", [1, -1], ids=["mounted second", "mounted first"])
def test_a_folder_with_two_paths_is_watched_for_the_names_of_both(
    tmp_path: Path, order: int
) -> None:
    folders = [tmp_path / "first", tmp_path / "second"]
    for each in folders:
        each.mkdir()
    there = apart(f"mount --bind {folders[0]} {folders[1]}", "--mount")
    assert program(TWO_PATHS, *map(str, folders[::order]), within=there) == "True True True"


LIMITED = """
import resource, sys
from proxygen.host.watching import Watching
lost = []
if sys.argv[1] == "no descriptors":
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
watching = Watching(lambda: None, lost.append)
watching.watch(frozenset({sys.argv[2]}), frozenset())
print(watching.blind, len(lost), lost and lost[0].errno)
print(*(f"{each.filename}: {each.strerror}" for each in lost))
watching.close()
"""


@pytest.mark.parametrize(
    ("how", "told"), [("no descriptors", f"True 1 {errno.EMFILE}"), ("", "False 0 []")]
)
def test_where_the_kernel_cannot_watch_it_is_told_once(how: str, told: str, tmp_path: Path) -> None:
    assert program(LIMITED, how, str(tmp_path / "model.yaml")).splitlines()[0] == told


@needs("unshare")
@pytest.mark.parametrize(
    ("limit", "told"),
    [
        pytest.param(
            "max_inotify_watches",
            f"True 1 {errno.ENOSPC}\n/tmp: the limit of inotify watches is reached",
            id="watches",
        ),
        pytest.param(
            "max_inotify_instances",
            f"True 1 {errno.EMFILE}\n"
            "None: the limit of inotify instances or of open files is reached",
            id="instances",
        ),
    ],
)
def test_a_limit_of_the_kernel_is_told_by_its_name(limit: str, told: str) -> None:
    amount = {"max_inotify_watches": 1, "max_inotify_instances": 0}[limit]
    there = apart(f"echo {amount} >/proc/sys/user/{limit}", "--user", "--map-root-user")
    assert program(LIMITED, "", "/tmp/a/model.yaml", within=there) == told

"""Programs: run without a shell, watched, bounded in time and in what they say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from proxygen.errors import ServiceError
from proxygen.host import processes
from proxygen.host.processes import LONGEST_ANSWER
from proxygen.services import Answer, Command
from tests.live.processes import until


def python(program: str, *arguments: str) -> Command:
    """Return the command that runs a Python program."""
    return Command((sys.executable, "-c", program, *arguments))


def test_code_output_and_errors_come_back() -> None:
    program = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    assert processes.run(python(program)) == Answer(3, "out\n", "err\n")


def test_no_shell_looks_at_an_argument() -> None:
    evil = "$(id) ; * `id` 'x"
    assert processes.run(python("import sys; print(sys.argv[1])", evil)).out == f"{evil}\n"


def test_the_environment_is_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    for name in ("LD_PRELOAD_X", "MAIL_CONFIG", "OPENSSL_CONF", "PYTHONPATH", "HOME"):
        monkeypatch.setenv(name, "/callers")
    said = processes.run(Command(("/usr/bin/env",))).out.splitlines()
    assert {line.partition("=")[0] for line in said} == {"PATH", "LC_ALL", "HOME"}
    assert "LC_ALL=C" in said
    assert not [line for line in said if "/callers" in line]


def test_nothing_can_be_asked_on_standard_input() -> None:
    assert processes.run(python("import sys; print(len(sys.stdin.read()))")).out == "0\n"


def test_octets_that_are_no_text_are_shown_as_such() -> None:
    answer = processes.run(python("import sys; sys.stdout.buffer.write(b'a\\xff')"))
    assert answer.out == "a\ufffd"


def test_a_missing_program_is_told_with_what_to_do() -> None:
    with pytest.raises(ServiceError, match="cannot be started") as caught:
        processes.run(Command(("/nowhere/nginx", "-t")))
    assert caught.value.remedy


def test_a_null_byte_in_what_a_program_is_told_is_an_error_of_this_program() -> None:
    limits = {"timeout": 9.0, "largest": 9, "stop": lambda: False}
    with pytest.raises(ServiceError, match="null byte"):
        processes.finish(Command(("/bin/true",)), {"TOLD": "\0"}, **limits)  # type: ignore[arg-type]


ENDLESS = "import os\nwhile True: os.write(1, b'x' * 65536); os.write(2, b'y' * 65536)"


def test_a_program_that_prints_endlessly_fills_no_memory_and_is_ended() -> None:
    before = psutil.Process().memory_info().rss
    with pytest.raises(ServiceError, match="did not finish within 1 seconds"):
        processes.run(python(ENDLESS), timeout=1)
    assert psutil.Process().memory_info().rss - before < 8 * LONGEST_ANSWER


def test_of_a_long_answer_the_beginning_is_kept_and_the_end_waited_for() -> None:
    program = f"import os\nfor _ in range({LONGEST_ANSWER // 65536 + 9}): os.write(1, b'x' * 65536)"
    answer = processes.run(python(program + "\nprint('end')"))
    assert answer.code == 0
    assert len(answer.out) == LONGEST_ANSWER
    assert set(answer.out) == {"x"}


def test_a_program_that_closes_its_output_and_goes_on_is_ended_too() -> None:
    with pytest.raises(ServiceError, match="did not finish"):
        processes.run(
            python("import os, time; os.close(1); os.close(2); time.sleep(60)"), timeout=1
        )


FORKS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open(sys.argv[1], "w").write(f"{child.pid}\\n")
if sys.argv[2] == "stay":
    time.sleep(60)
"""


@pytest.mark.parametrize("parent", ["stay", "go"])
def test_the_whole_group_is_ended(tmp_path: Path, parent: str) -> None:
    with pytest.raises(ServiceError, match="did not finish"):
        processes.run(python(FORKS, str(tmp_path / "pid"), parent), timeout=2)
    child = int((tmp_path / "pid").read_text())
    until(lambda: gone(child), "the child to be gone")


def gone(pid: int) -> bool:
    """Return whether a process is no more, or a zombie that nobody waited for yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# An administrator's own program.


def finish(
    program: str,
    *arguments: str,
    timeout: float = 20,
    stop: Callable[[], bool] = lambda: False,
) -> Answer:
    """Run a Python program as an administrator's own."""
    return processes.finish(
        python(program, *arguments),
        {"LC_ALL": "C.UTF-8", "A": "ä b"},
        timeout=timeout,
        largest=1000,
        stop=stop,
    )


def test_the_output_of_an_administrators_program_comes_in_its_order() -> None:
    program = "import os, sys; os.write(1, b'one '); os.write(2, b'two '); os.write(1, b'three')"
    assert finish(program + "; sys.exit(3)") == Answer(3, "one two three", "")


def test_an_administrators_program_gets_the_environment_that_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SECRET", "x")
    said = finish("import os; print(sorted(os.environ), os.environ['A'])").out
    assert said == "['A', 'HOME', 'LC_ALL', 'PATH'] ä b\n"


def test_of_a_long_output_the_end_is_kept() -> None:
    said = finish("import os\nfor _ in range(99): os.write(1, b'x' * 65536)\nprint('end')").out
    assert len(said) == 1000
    assert said.endswith("xend\n")


def test_what_a_program_started_may_stay_when_it_ends_by_itself(tmp_path: Path) -> None:
    assert finish(FORKS, str(tmp_path / "pid"), "go").code == 0
    child = psutil.Process(int((tmp_path / "pid").read_text()))
    assert child.is_running()  # with the output still open
    child.kill()


def test_a_program_that_hangs_is_ended_with_its_group_and_its_words_are_kept(
    tmp_path: Path,
) -> None:
    program = "import sys; print('begun', flush=True)" + FORKS
    with pytest.raises(ServiceError, match="did not finish within 2 seconds") as caught:
        finish(program, str(tmp_path / "pid"), "stay", timeout=2)
    assert caught.value.words == "begun"
    child = int((tmp_path / "pid").read_text())
    until(lambda: gone(child), "the child to be gone")


def test_a_program_is_ended_when_told_to_stop_also_after_its_last_word() -> None:
    start = time.monotonic()
    program = "import os, time; os.close(1); os.close(2); time.sleep(9999)"
    with pytest.raises(processes.ToldToStop):
        finish(program, stop=lambda: time.monotonic() > start + 0.5)


def test_many_run_side_by_side() -> None:
    commands = {str(each): python(f"print({each})") for each in range(5)}
    answers = processes.run_all(commands)
    assert {key: answer.out for key, answer in answers.items()} == {
        str(each): f"{each}\n" for each in range(5)
    }
    assert processes.run_all({}) == {}


def test_no_descriptor_is_left_open() -> None:
    processes.run(python("pass"))
    before = psutil.Process().num_fds()
    processes.run(python("pass"))
    with pytest.raises(ServiceError):
        processes.run(python("import time; time.sleep(60)"), timeout=0.2)
    assert psutil.Process().num_fds() == before


def test_programs_are_found_without_the_callers_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sh").symlink_to("/bin/true")
    (tmp_path / "no-such-program").symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert processes.find_program(("no-such-program", "sh")) in {"/usr/bin/sh", "/bin/sh"}
    assert processes.find_program(("no-such-program",)) is None


# The master process of a pid file.


@pytest.fixture
def sleeper(tmp_path: Path):  # type: ignore[no-untyped-def]
    """Have a process called nginx, and its pid file."""
    program = tmp_path / "nginx"
    program.symlink_to("/usr/bin/sleep")
    process = subprocess.Popen([str(program), "60"])
    (tmp_path / "pid").write_text(f"{process.pid}\n")
    yield process
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_running_master_is_found_by_its_pid_file(tmp_path: Path, sleeper) -> None:  # type: ignore[no-untyped-def]
    assert processes.master(tmp_path / "pid", "/usr/sbin/nginx") == sleeper.pid


def test_a_pid_file_whose_number_is_somebody_elses_is_stale(tmp_path: Path, sleeper) -> None:  # type: ignore[no-untyped-def]
    assert processes.master(tmp_path / "pid", "/usr/sbin/dovecot") is None
    (tmp_path / "pid").write_text(str(os.getpid()))
    assert processes.master(tmp_path / "pid", "/usr/sbin/nginx") is None


def test_a_pid_file_whose_process_is_gone_is_stale(tmp_path: Path, sleeper) -> None:  # type: ignore[no-untyped-def]
    sleeper.kill()
    until(lambda: gone(sleeper.pid), "the process to end")
    assert processes.master(tmp_path / "pid", "nginx") is None  # a zombie serves nobody
    sleeper.wait()
    assert processes.master(tmp_path / "pid", "nginx") is None


@pytest.mark.parametrize(
    "text", [b"", b"\n", b"0", b"-1", b"x", b"\xff", b"1 2", b"9" * 30, b"1" * 10_000, b"4194305"]
)
def test_a_pid_file_with_anything_else_leads_to_nobody(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "pid").write_bytes(text)
    assert processes.master(tmp_path / "pid", "nginx") is None


def test_no_pid_file_is_nobody_and_a_fifo_does_not_wait(tmp_path: Path) -> None:
    assert processes.master(None, "nginx") is None
    assert processes.master(tmp_path / "missing", "nginx") is None
    os.mkfifo(tmp_path / "fifo")
    assert processes.master(tmp_path / "fifo", "nginx") is None

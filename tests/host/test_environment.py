"""What the caller's environment may say: nothing that chooses code, roots, or where names lead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proxygen.host.environment import forget_code, forget_trust
from tests.live.processes import environment

PROGRAM = Path(sys.executable).with_name("proxygen")

CODE = ("LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "OPENSSL_CONF", "GCONV_PATH")
TRUST = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE", "REQUESTS_CA_BUNDLE", "HOSTALIASES"),
    *("http_proxy", "ALL_PROXY", "TMPDIR", "EDITOR", "MAIL_CONFIG", "RES_OPTIONS"),
)
STAYS = ("PATH", "https_proxy", "HTTPS_PROXY", "no_proxy", "LEGO_CERT_PATH", "MY_TSIG_KEY", "LANG")


def test_what_would_load_code_is_taken_away() -> None:
    variables = dict.fromkeys((*CODE, *TRUST, *STAYS), "x")
    forget_code(variables)
    assert set(variables) == {*TRUST, *STAYS}
    forget_trust(variables)
    assert set(variables) == set(STAYS)


def test_below_the_real_root_the_caller_chooses_no_roots_of_trust() -> None:
    program = (
        "import json, os\nfrom proxygen.cli import entry\n"
        "entry.main(['schema'], standalone_mode=False)\n"
        "import sys; json.dump(dict(os.environ), sys.stderr)\n"
    )
    given = environment(**dict.fromkeys((*TRUST, "https_proxy", "MY_TSIG_KEY"), "/callers"))
    run = subprocess.run(
        [sys.executable, "-c", program], env=given, capture_output=True, text=True, check=True
    )
    left = {name for name, value in json.loads(run.stderr).items() if value == "/callers"}
    assert left == {"https_proxy", "MY_TSIG_KEY"}


@pytest.mark.parametrize("module", ["sitecustomize", "click", "proxygen", "json"])
def test_the_program_takes_no_module_from_the_callers_folders(tmp_path: Path, module: str) -> None:
    (tmp_path / f"{module}.py").write_text("print('canary', flush=True)\n")
    given = environment(PYTHONPATH=str(tmp_path), PYTHONHOME="", PYTHONSTARTUP=str(tmp_path))
    for path in (str(tmp_path), os.environ["PATH"]):
        run = subprocess.run(
            [PROGRAM, "--version"],
            env=given | {"PATH": path},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        assert run.stdout == "proxygen 0.1.0\n"


def test_openssl_loads_nothing_that_the_caller_names(tmp_path: Path) -> None:
    """A configuration that it cannot read makes it say so when it begins; ours is not read."""
    (tmp_path / "openssl.cnf").write_text(
        "openssl_conf = a\n[a]\nproviders = b\n[b]\nevil = c\n[c]\nactivate = 1\n"
        f"module = {tmp_path}/evil.so\nconfig_diagnostics = 1\n"
    )
    program = (
        "from proxygen.__main__ import start\nimport os, sys\nsys.argv[1:] = ['--version']\n"
        "assert 'ssl' not in sys.modules and '_hashlib' not in sys.modules\n"
        "try:\n    start()\nfinally:\n    assert 'OPENSSL_CONF' not in os.environ\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(OPENSSL_CONF=str(tmp_path / "openssl.cnf")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, "proxygen 0.1.0\n"), run.stderr


def test_it_is_started_by_a_link_and_by_a_relative_path(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(PROGRAM)
    (tmp_path / "again").symlink_to("link")
    for name in ("./link", str(tmp_path / "again")):
        run = subprocess.run(
            [name, "--version"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (run.returncode, run.stdout) == (0, "proxygen 0.1.0\n"), run.stderr

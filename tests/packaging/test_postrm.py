"""What `apt purge proxygen` removes, and what it keeps since a service still reads it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "packaging/debian/postrm"


def purged(root: Path) -> str:
    """Purge what is below *root* as dpkg does; return what was said."""
    text = SCRIPT.read_text()
    for folder in ("/var/lib/proxygen", "/etc/", "/run/"):
        text = text.replace(folder, f"{root}{folder}")
    script = root / "postrm"
    script.write_text(text)
    run = subprocess.run(["sh", script, "purge"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stderr


def set_up(root: Path, service: str, configuration: Path | None) -> Path:
    """Have a service that proxygen set up; return the folder of what it reads of ours."""
    live = root / "var/lib/proxygen/live" / service
    live.mkdir(parents=True)
    settings = {"program": "/usr/sbin/false", "configuration": configuration and str(configuration)}
    (live / "settings.json").write_text(json.dumps(settings, separators=(",", ":")))
    (root / "var/lib/proxygen/store").mkdir()
    return live


@pytest.mark.parametrize(
    ("service", "configuration", "leads"),
    [
        pytest.param("postfix", None, "etc/postfix/main.cf", id="where Debian has it"),
        pytest.param("postfix", "srv/mx", "srv/mx/main.cf", id="a folder that the model names"),
        pytest.param("postfix", "srv/mx/main.cf", "srv/mx/main.cf", id="the file itself"),
        pytest.param(
            "nginx",
            "opt/nginx/nginx.conf",
            "opt/nginx/conf.d/00-proxygen.conf",
            id="a file beside the one that the model names",
        ),
    ],
)
def test_what_a_service_reads_is_kept_wherever_it_is_configured(
    tmp_path: Path, service: str, configuration: str | None, leads: str
) -> None:
    there = configuration and tmp_path / configuration
    live = set_up(tmp_path, service, there or None)
    path = tmp_path / leads
    path.parent.mkdir(parents=True, exist_ok=True)
    if there and there.suffix and there != path:
        there.write_text("include conf.d/*.conf;\n")
    path.write_text(f"it reads {live}/current\n")
    assert str(path) in purged(tmp_path)
    assert live.is_dir()
    path.unlink()
    purged(tmp_path)
    assert not (tmp_path / "var/lib/proxygen").exists()

"""Purging the package: what a service still reads stays, and so does what may not be ours."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.live.needs import needs

POSTRM = Path(__file__).parents[2] / "packaging/debian/postrm"
VAR = "/var/lib/proxygen"
PLACES = ("/etc", "/var/lib", "/opt", "/srv")

pytestmark = needs("unshare")


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return the root of a host on which proxygen has set up an nginx."""
    for place in PLACES:
        (tmp_path / place[1:]).mkdir(parents=True)
    written(tmp_path, f"{VAR}/live/nginx/current/global.pem")
    written(tmp_path, f"{VAR}/store/bundles/global")
    return tmp_path


def written(host: Path, path: str, text: str = "") -> Path:
    """Write a file of the host."""
    place = host / path[1:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return place


def purged(host: Path, first: str = ":") -> str:
    """Run the script of the package with the folders of the host; return what it says."""
    binds = (f"mount --bind {host}{place} {place}" for place in PLACES)
    script = "\n".join(["set -e", f"cp {POSTRM} {host}/postrm", *binds, first])
    run = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"{script}\nexec sh {host}/postrm purge"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    return run.stderr


def test_what_nothing_reads_goes(host: Path) -> None:
    assert purged(host) == ""
    assert not (host / VAR[1:]).exists()


def test_an_nginx_elsewhere_keeps_what_it_reads(host: Path) -> None:
    written(host, "/opt/nginx/nginx.conf", "http { include conf.d/*.conf; }")
    written(host, "/opt/nginx/conf.d/00-proxygen.conf", f"include {VAR}/live/nginx/current/*;")
    noted = '{"configuration":"/opt/nginx/nginx.conf","program":null}'
    written(host, f"{VAR}/live/nginx/settings.json", noted)
    told = purged(host)
    assert "rm /opt/nginx/conf.d/00-proxygen.conf && nginx -t" in told
    assert (host / VAR[1:] / "live/nginx/current/global.pem").exists()
    assert not (host / VAR[1:] / "store/bundles").exists()


def test_names_are_told_on_one_line_and_are_no_commands(host: Path) -> None:
    written(host, "/etc/nginx/sites/a\n/nginx/conf.d/00-proxygen.conf", f"{VAR}/live")
    written(host, "/etc/nginx/sites/\x1b[31m", f"{VAR}/live")
    written(host, "/etc/postfix/x; id;/main.cf", f"a = {VAR}/live")
    told = purged(host)
    assert "edit /etc/nginx/sites/a?/nginx/conf.d/00-proxygen.conf: remove" in told
    assert "edit /etc/nginx/sites/?[31m: remove" in told
    assert "edit /etc/postfix/x; id;/main.cf: remove" in told
    assert "rm /" not in told


def test_what_lies_elsewhere_stays_and_is_told(host: Path) -> None:
    (host / VAR[1:]).rename(host / "srv/proxygen")
    (host / VAR[1:]).symlink_to("/srv/proxygen")
    assert "rm -r /srv/proxygen" in purged(host)
    assert (host / "srv/proxygen/store/bundles/global").exists()
    assert not (host / VAR[1:]).is_symlink()


def test_what_is_no_file_is_not_waited_for(host: Path) -> None:
    assert purged(host, f"mkfifo {VAR}/live/nginx/settings.json /etc/fifo") == ""


def test_a_mounted_folder_is_emptied(host: Path) -> None:
    assert purged(host, f"mount -t tmpfs none {VAR} && mkdir -p {VAR}/live/nginx") == ""

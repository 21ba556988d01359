"""Hooks: real scripts, told once of each certificate, bounded, and harming nothing."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from proxygen import assemble
from proxygen.apply import hooks
from proxygen.apply.hooks import Hooks, last_runs
from proxygen.assemble import Installation
from proxygen.failure import Scope, failure
from proxygen.model.certificate import Certificate, KeyAndChain
from proxygen.model.layout import Layout
from proxygen.model.x509 import describe_bundle
from proxygen.plan.backoff import RememberedFailure
from proxygen.plan.observed import Observed
from proxygen.services import Endpoint
from tests import certificates
from tests.certificates import DAY, NOON
from tests.failures import NO, not_issued, too_old
from tests.live import ports
from tests.models import site

SITE = site("""\
global: {url: mail.example.net, certificate: selfsigned}
domains:
  a.example: {url: www.a.example, extra_names: [a.example], certificate: hook}
services: {}
""")
GLOBAL_ONE, A = SITE.certificates
CA = certificates.root()


@pytest.fixture
def parts(tmp_path: Path) -> Installation:
    """Return the parts of an installation below a temporary root."""
    layout = Layout(tmp_path, tmp_path / "etc/proxygen/proxygen.yaml")
    layout.config.parent.mkdir(parents=True)
    return assemble.build_installation(layout, lambda: NOON)


def hook(parts: Installation, name: str, text: str, mode: int = 0o755) -> Path:
    """Write a hook such as ``deploy.d/10-x``; what it says goes to a file, by its name."""
    path = parts.layout.hooks / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def writing(parts: Installation, *variables: str) -> str:
    """Return a script that adds a line with these variables to a file."""
    return "#!/bin/sh\necho " + " ".join(f'"${each}"' for each in variables) + f" >>{said(parts)}\n"


def said(parts: Installation) -> Path:
    """Return the file that hooks write to."""
    return parts.layout.root / "said"


def lines(parts: Installation) -> list[str]:
    """Return the lines that hooks wrote."""
    return said(parts).read_text().splitlines() if said(parts).exists() else []


def stored(parts: Installation, wanted: Certificate, days: int = 60) -> KeyAndChain:
    """Store a new certificate."""
    pair = certificates.leaf(CA, *wanted.names, end=NOON + days * DAY).pair(CA)
    parts.bundles.save(pair, describe_bundle(pair, wanted))
    return pair


def a_round(
    parts: Installation,
    *,
    obtain: Iterable[Certificate] = (),
    failures: dict[str, Exception] | None = None,
    attempts: dict[str, RememberedFailure] | None = None,
    endpoints: Iterable[Endpoint] = (),
    **more: object,
) -> Hooks:
    """Do what a round does with hooks: begin, obtain, then tell."""
    told = Hooks(parts, **more)  # type: ignore[arg-type]
    told.begin()
    for wanted in obtain:
        told.before(wanted)
        stored(parts, wanted)
    state = Observed(parts.bundles.all(), {}, {}, failures=attempts or {})
    told.failed_all(SITE, state, tuple((failures or {}).items()))  # type: ignore[arg-type]
    told.deployed_all(SITE, state, lambda: endpoints)
    return told


CERTBOTS = """\
#!/bin/sh
set -e
for domain in $RENEWED_DOMAINS; do
    case $domain in
    *) cat "$RENEWED_LINEAGE/fullchain.pem" "$RENEWED_LINEAGE/privkey.pem" >"{to}/$domain.pem" ;;
    esac
done
cd "$RENEWED_LINEAGE"
cat cert.pem chain.pem | cmp - fullchain.pem
basename "$RENEWED_LINEAGE"
"""


def test_a_deploy_hook_of_certbots_works_unchanged(parts: Installation) -> None:
    to = parts.layout.root / "haproxy"
    to.mkdir()
    hook(parts, "deploy.d/haproxy.sh", CERTBOTS.replace("{to}", str(to)))
    told = a_round(parts, obtain=[A])
    assert not told.warnings
    pair = parts.bundles.material(parts.bundles.all()["a.example"])
    assert pair
    for name in A.names:
        assert (to / f"{name}.pem").read_bytes() == pair.fullchain + pair.key
    assert last_runs(parts.own, "a.example")[-1].words == "www.a.example\n"


def test_hooks_run_in_order_with_the_event_they_are_for(parts: Installation) -> None:
    for event in ("before", "deploy", "failed"):
        for name in ("20", "10"):
            text = writing(parts, "PROXYGEN_EVENT", "PROXYGEN_OWNER").replace(
                "echo", f"echo {name}"
            )
            hook(parts, f"{event}.d/{name}", text)
    a_round(parts, obtain=[A], failures={"global": not_issued()})
    assert lines(parts) == [
        *("10 before a.example", "20 before a.example"),
        *("10 failed global", "20 failed global"),
        *("10 deploy a.example", "20 deploy a.example"),
    ]


def test_each_certificate_is_told_once(parts: Installation) -> None:
    hook(parts, "deploy.d/x", writing(parts, "PROXYGEN_OWNER"))
    a_round(parts, obtain=[A])
    a_round(parts)
    assert lines(parts) == ["a.example"]
    a_round(parts, obtain=[A])
    assert lines(parts) == ["a.example"] * 2


def test_what_served_before_the_first_hook_came_is_not_told(parts: Installation) -> None:
    stored(parts, GLOBAL_ONE)
    stored(parts, A)
    a_round(parts)
    assert not parts.own.has(hooks.SINCE)  # nothing is kept for hooks without any
    hook(parts, "deploy.d/x", writing(parts, "PROXYGEN_OWNER"))
    a_round(parts)
    assert not lines(parts)
    a_round(parts, obtain=[A])
    assert lines(parts) == ["a.example"]


def test_without_hooks_nothing_is_written(parts: Installation) -> None:
    a_round(parts, obtain=[A])
    assert not parts.layout.lineages.exists()
    assert not list(parts.own.keys("hooks"))


def test_a_run_that_was_killed_before_the_note_tells_again(parts: Installation) -> None:
    hook(parts, "deploy.d/x", writing(parts, "PROXYGEN_OWNER"))
    told = Hooks(parts)
    told.begin()
    stored(parts, A)  # and killed
    a_round(parts)
    a_round(parts)
    assert lines(parts) == ["a.example"]


def test_told_to_stop_ends_a_hook_and_the_next_round_runs_it_again(parts: Installation) -> None:
    hook(parts, "deploy.d/x", writing(parts, "PROXYGEN_OWNER") + "sleep 9999\n")
    a_round(parts, obtain=[A], stop=lambda: bool(lines(parts)))
    hook(parts, "deploy.d/x", writing(parts, "PROXYGEN_OWNER"))
    a_round(parts)
    assert lines(parts) == ["a.example"] * 2


def test_the_lineage_switches_as_a_whole_and_is_for_root_alone(parts: Installation) -> None:
    hook(parts, "deploy.d/x", writing(parts, "RENEWED_LINEAGE"))
    a_round(parts, obtain=[A])
    (path,) = lines(parts)
    lineage = Path(path)
    assert lineage == parts.layout.root / "var/lib/proxygen/hooks/live/www.a.example"
    assert stat.S_IMODE(lineage.stat().st_mode) == 0o700
    assert stat.S_IMODE((lineage / "privkey.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(parts.layout.lineages.stat().st_mode) == 0o700
    before = lineage.readlink()
    a_round(parts, obtain=[A])
    assert lineage.readlink() != before
    assert len(list((parts.layout.lineages / "archive/www.a.example").iterdir())) == 1
    assert "PRIVATE KEY" in (lineage / "privkey.pem").read_text()


def test_a_lineage_stays_as_long_as_its_certificate_is_wanted_and_hooks_exist(
    parts: Installation,
) -> None:
    path = hook(parts, "deploy.d/x", writing(parts, "PROXYGEN_OWNER"))
    a_round(parts, obtain=[GLOBAL_ONE, A])
    live = parts.layout.lineages / "live"
    assert {each.name for each in live.iterdir()} == {"mail.example.net", "www.a.example"}
    told = Hooks(parts)
    told.begin()
    alone = replace(SITE, domains=())
    told.deployed_all(alone, Observed(parts.bundles.all(), {}, {}), lambda: ())
    assert [each.name for each in live.iterdir()] == ["mail.example.net"]
    path.unlink()
    a_round(parts)
    assert not parts.layout.lineages.exists()


def test_a_failing_hook_is_a_warning_and_the_next_one_runs(parts: Installation) -> None:
    hook(parts, "deploy.d/10", "#!/bin/sh\necho what went wrong; exit 3\n")
    hook(parts, "deploy.d/20", writing(parts, "PROXYGEN_OWNER"))
    told = a_round(parts, obtain=[GLOBAL_ONE, A])
    assert lines(parts) == ["global", "a.example"]
    assert len(told.warnings) == 2
    assert "hook deploy.d/10: exited with status 3" in told.warnings[0]
    assert told.warnings[0].endswith("for global: what went wrong")
    first, second = last_runs(parts.own, "a.example")
    code = failure("hook-ended", Scope.HOST, status=3)
    assert (first.hook, first.failure, first.words) == ("10", code, "what went wrong\n")
    assert (second.failure, second.at) == (None, NOON)
    assert b"ended with" not in (parts.own.get("hooks/runs/a.example") or b"")
    assert not a_round(parts).warnings  # not repeated


def test_a_hanging_hook_is_killed_once_a_round_and_its_words_are_kept(parts: Installation) -> None:
    hook(parts, "deploy.d/10", "#!/bin/sh\necho begun; sleep 9999\n")
    hook(parts, "deploy.d/20", writing(parts, "PROXYGEN_OWNER"))
    told = a_round(parts, obtain=[GLOBAL_ONE, A], time_limit=0.5)
    assert lines(parts) == ["global", "a.example"]
    assert len(told.warnings) == 1
    assert "did not finish" in told.warnings[0]
    assert last_runs(parts.own, "global")[0].words == "begun"


def test_hooks_that_take_too_long_together_go_on_in_the_next_round(parts: Installation) -> None:
    hook(parts, "deploy.d/x", writing(parts, "PROXYGEN_OWNER"))
    told = a_round(parts, obtain=[GLOBAL_ONE, A], round_limit=0.0001)
    assert lines(parts) == ["global"]
    assert "the next round" in told.warnings[0]
    a_round(parts)
    assert lines(parts) == ["global", "a.example"]


def test_a_script_without_a_first_line_runs_as_certbot_runs_it(parts: Installation) -> None:
    hook(parts, "deploy.d/x", f"echo $PROXYGEN_OWNER >{said(parts)}\n")
    assert not a_round(parts, obtain=[A]).warnings
    assert lines(parts) == ["a.example"]


def test_a_program_that_cannot_be_started_is_a_warning(parts: Installation) -> None:
    hook(parts, "deploy.d/x", "#!/no/such/interpreter\n")
    told = a_round(parts, obtain=[GLOBAL_ONE, A])
    assert len(told.warnings) == 1
    assert "cannot be started" in told.warnings[0]


def test_what_others_may_change_meanwhile_is_not_run(parts: Installation) -> None:
    path = hook(parts, "deploy.d/x", writing(parts, "PROXYGEN_OWNER"))
    told = Hooks(parts)
    told.begin()
    path.chmod(0o777)
    stored(parts, A)
    told.deployed_all(SITE, Observed(parts.bundles.all(), {}, {}), lambda: ())
    assert not lines(parts)
    assert "mode 0777" in told.warnings[0]


def test_the_program_itself_is_run_and_not_the_link_to_it(parts: Installation) -> None:
    own = parts.layout.root / "own.sh"
    own.write_text(f"#!/bin/sh\necho $0 >{said(parts)}\n")
    own.chmod(0o755)
    link = hook(parts, "deploy.d/x", "")
    link.unlink()
    link.symlink_to(own)
    assert not a_round(parts, obtain=[A]).warnings
    assert lines(parts) == [str(own)]
    assert last_runs(parts.own, "a.example")[-1].hook == "x"


def test_before_hooks_that_take_too_long_together_are_skipped_and_told_once(
    parts: Installation,
) -> None:
    hook(parts, "before.d/x", writing(parts, "PROXYGEN_OWNER"))
    told = a_round(parts, obtain=[GLOBAL_ONE, A, GLOBAL_ONE], round_limit=0.0001)
    assert lines(parts) == ["global"]
    assert [
        each
        for each in told.warnings
        if "the before hooks of the other certificates do not run" in each
    ] == told.warnings
    assert len(told.warnings) == 1


def test_a_failing_before_hook_does_not_keep_the_order_from_being_placed(
    parts: Installation,
) -> None:
    hook(parts, "before.d/x", "#!/bin/sh\nexit 1\n")
    told = a_round(parts, obtain=[A])
    assert "a.example" in parts.bundles.all()
    assert "hook before.d/x" in told.warnings[0]


def test_the_key_is_in_no_variable(parts: Installation) -> None:
    hook(parts, "deploy.d/x", f"#!/bin/sh\nenv >{said(parts)}\n")
    a_round(parts, obtain=[A])
    assert "PRIVATE" not in said(parts).read_text()
    names = {line.partition("=")[0] for line in lines(parts)}
    assert {"PATH", "HOME", "LC_ALL"} < names
    rest = {name for name in names if not name.startswith(("PROXYGEN_", "RENEWED_"))}
    assert rest <= {"PATH", "HOME", "LC_ALL", "PWD", "SHLVL", "_", "OLDPWD"}


def test_the_runs_are_kept_for_root_alone_and_only_the_last_ones(parts: Installation) -> None:
    hook(parts, "deploy.d/x", "#!/bin/sh\nhead -c 100000 /dev/zero | tr '\\0' x\n")
    for _ in range(hooks.KEPT_RUNS + 2):
        a_round(parts, obtain=[A])
    kept = last_runs(parts.own, "a.example")
    assert len(kept) == hooks.KEPT_RUNS
    assert {len(each.words) for each in kept} == {hooks.KEPT_OUTPUT}
    path = parts.layout.store / "host/hooks/runs/a.example"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("[{damaged")
    assert last_runs(parts.own, "a.example") == ()


def test_it_is_told_only_once_it_is_served(parts: Installation) -> None:
    hook(parts, "deploy.d/x", writing(parts, "PROXYGEN_OWNER"))
    told = Hooks(parts)
    told.begin()
    stored(parts, A)
    port = ports.reserve()
    nobody = Endpoint("nginx", "127.0.0.1", port, "www.a.example", parts.bundles.all()["a.example"])
    waiting = a_round(parts, endpoints=[nobody])
    assert not lines(parts)
    assert "a.example are postponed until its certificate is served" in waiting.warnings[0]
    a_round(parts)
    assert lines(parts) == ["a.example"]
    ports.release(port)


def remembered_failure(count: int) -> dict[str, RememberedFailure]:
    """Return a failure that is the *count*th in a row."""
    return {"global": RememberedFailure("global", NOON, NOON, count, NOON + DAY, NO)}


def test_a_failure_of_a_service_is_no_failed_certificate(parts: Installation) -> None:
    hook(parts, "failed.d/x", writing(parts, "PROXYGEN_ERROR", "PROXYGEN_NEXT_ATTEMPT"))
    a_round(parts, failures={"nginx": too_old("nginx"), "gone.example": not_issued()})
    assert not lines(parts)
    a_round(parts, failures={"global": not_issued()}, attempts=remembered_failure(1))
    assert lines(parts) == [f"{NO.what} {NOON + DAY:%Y-%m-%dT%H:%M:%SZ}"]


def test_what_every_run_finds_wrong_again_is_told_the_first_time(parts: Installation) -> None:
    hook(parts, "failed.d/x", writing(parts, "PROXYGEN_OWNER"))
    for count in (1, 2, 3):
        a_round(parts, failures={"global": not_issued()}, attempts=remembered_failure(count))
    assert lines(parts) == ["global"]

"""Whatever people read has names in both spellings; what programs read has A-labels alone."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from proxygen.failure import Scope, failure
from proxygen.host import languages
from proxygen.model.certificate import GLOBAL
from proxygen.plan.compare import words_for
from proxygen.plan.observed import Installed, Observed, ServiceState
from proxygen.plan.rendering import Rendering
from proxygen.plan.renewal import Reason, why_issue
from proxygen.plan.steps import Forget, Issue, PostponedOrder, step_json
from proxygen.reports.health import health_findings
from proxygen.services import ServiceSettings, WebFacts
from proxygen.texts.mails import mail_of
from proxygen.texts.warnings import site_warnings
from tests.certificates import DAY, NOON
from tests.commands.test_cli import proxygen
from tests.mails import SENDER, TEMPLATE_OF_OURS, digests, remembered_failure, round_result
from tests.models import bundle, bundles, mistakes, site

OWNER = "xn--bcher-kva.example"
BOTH = f"bücher.example ({OWNER})"
URL = f"www.{OWNER}"
URLS = f"www.bücher.example ({URL})"
MODEL = """\
contact: hostmaster@example.net
global: {url: https://mail.example.net, certificate: selfsigned}
domains:
  bücher.example:
    url: www.bücher.example
    extra_names: ["*.bücher.example"]
    certificate: selfsigned
    contact: it@bücher.example
services: {}
"""
SITE = site(MODEL)
WANTED = list(SITE.certificates)[1]
SERVED = WebFacts(
    "/usr/sbin/nginx", (1, 22, 1), Path("/etc/nginx/nginx.conf"), names=frozenset({URL})
)


def state(**more: object) -> ServiceState:
    """Return an nginx that serves."""
    return replace(ServiceState("nginx", ServiceSettings(), SERVED, pid=1), **more)  # type: ignore[arg-type]


def test_steps_tell_both_and_their_json_the_names_of_the_dns() -> None:
    step = Issue(WANTED, Reason("absent", "nothing is stored"))
    assert str(step).startswith(f"issue the certificate of {BOTH} (selfsigned)")
    assert str(Forget(bundle(WANTED), Reason("gone", "it has ended"))).startswith(
        f"forget the certificate of {BOTH}:"
    )
    waiting = PostponedOrder(WANTED, NOON, "failed", failure("order-not-placed", Scope.OWNER))
    assert str(waiting).startswith(f"{BOTH} is postponed until ")
    said = step_json(step)
    assert (said["owner"], said["names"]) == (OWNER, [URL, f"*.{OWNER}"])
    assert waiting.as_json()["owner"] == OWNER


def test_reasons_tell_both() -> None:
    issued = replace(bundle(WANTED), names=(URL,))
    reason = why_issue(WANTED, issued, "", NOON)
    assert reason
    assert reason.words == f"it does not cover *.bücher.example (*.{OWNER})"
    after = {"endpoints": [["127.0.0.1", 443, URL, None, False, "0" * 64]]}

    class Shown(Rendering):
        manifest = after

    new = Shown.__new__(Shown)
    assert words_for(new, state(installed=Installed())) == f"added names: {URLS}"


def test_warnings_tell_both() -> None:
    kept = {GLOBAL: bundles(SITE)[GLOBAL]}
    told = "\n".join(site_warnings(SITE, Observed(kept, {"nginx": state()}, {}), NOON))
    assert (
        f"{BOTH}: the global certificate is used for {URLS}, *.bücher.example (*.{OWNER})" in told
    )
    assert f"a server block of your own also has the name {URLS}" in told
    issued = bundles(SITE) | {OWNER: bundle(WANTED, ends=NOON - DAY)}
    told = "\n".join(site_warnings(SITE, Observed(issued, {}, {}), NOON))
    assert f"the certificate of {BOTH} expired" in told


def test_what_monitoring_is_told_has_both() -> None:
    issued = bundles(SITE) | {OWNER: bundle(WANTED, ends=NOON + timedelta(hours=5))}
    found = [each.words for each in health_findings(SITE, Observed(issued, {}, {}), NOON)]
    assert any(words.startswith(f"{BOTH}: expires in") for words in found)
    missing = {GLOBAL: bundles(SITE)[GLOBAL]}
    found = [each.words for each in health_findings(SITE, Observed(missing, {}, {}), NOON)]
    assert f"{BOTH}: no certificate yet" in found


def test_mails_tell_both() -> None:
    wild = '    extra_names: ["*.bücher.example"]\n    certificate: selfsigned'
    acme = MODEL.replace(wild, "    certificate: acme")
    of = site(acme + "acme: {terms_of_service_agreed: true}\n")
    issued = bundles(of) | {OWNER: bundle(list(of.certificates)[1], ends=NOON + 3 * DAY)}
    found = digests(round_result(issued, remembered_failure(OWNER)), of=of)
    for each in found.values():
        text = mail_of(each, languages.load("de"), TEMPLATE_OF_OURS, SENDER, NOON).text
        assert f"https://{URLS}" in text
    assert len(found) == 2


def test_mistakes_tell_both() -> None:
    text = MODEL.replace("mail.example.net,", f"mail.example.net, extra_names: ['{URL}'],")
    (mistake,) = mistakes(text)
    assert mistake.reason.startswith(f"{URLS} already belongs to the global URL")
    (mistake,) = mistakes(MODEL.replace("selfsigned\n    contact", "acme\n    contact"))[:1]
    assert f"http-01 cannot prove the wildcard *.bücher.example (*.{OWNER})" in mistake.reason


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_commands_tell_both_on_any_terminal(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "etc/proxygen").mkdir(parents=True)
    (tmp_path / "etc/proxygen/proxygen.yaml").write_text(MODEL, encoding="utf-8")
    for command in ("plan", "apply", "status", "check"):
        run = proxygen(
            *("--root", tmp_path, command), env={"PYTHONIOENCODING": encoding, "PATH": "/usr/bin"}
        )
        assert "Traceback" not in run.stderr
        if command != "check" and encoding == "utf-8":
            assert BOTH in run.stdout
    run = proxygen("--root", tmp_path, "status", "--json")
    owners = json.loads(run.stdout)["owners"]
    assert [each["owner"] for each in owners] == [GLOBAL, OWNER]
    assert "(" not in owners[1]["url"]

"""Several services of one kind in a model: their names, and what two of them may not share."""

from __future__ import annotations

import re

import pytest

from proxygen import registry
from proxygen.model.schema import main_type
from proxygen.services.nginx_settings import NginxSettings
from tests.models import mistakes, site

MAIN = "global: {url: mail.example.net, certificate: selfsigned}\n"
FOLDER = "give each service a folder of its own, and name it as `configuration`"
LISTEN = "give each a `listen` of its own; for one that only serves mail write `urls: false`"


def test_a_further_service_is_named_after_its_kind() -> None:
    found = site(
        MAIN + "services: {nginx: {}, postfix: , postfix-out: {configuration: /srv/out},"
        " nginx-mail: {urls: false}, dovecot-2: }"
    ).services
    assert found is not None
    assert list(found) == ["nginx", "postfix", "postfix-out", "nginx-mail", "dovecot-2"]
    front = found["nginx-mail"]
    assert isinstance(front, NginxSettings)
    assert not front.urls


@pytest.mark.parametrize(
    ("services", "where", "field", "reason", "remedy"),
    [
        pytest.param(
            "{postfix: {}, postfix-out: {configuration: /etc/postfix/}}",
            *("2:54", "services.postfix-out.configuration"),
            "the folder /etc/postfix already belongs to postfix, at proxygen.yaml:2:12",
            FOLDER,
            id="one folder",
        ),
        pytest.param(
            "{postfix-a: {configuration: /e/x/main.cf}, postfix-b: {configuration: /e/./x}}",
            *("2:81", "services.postfix-b.configuration"),
            "the folder /e/x already belongs to postfix-a, at proxygen.yaml:2:39",
            FOLDER,
            id="one folder, spelled otherwise",
        ),
        pytest.param(
            "{nginx: {}, nginx-b: {configuration: /etc/nginx/b.conf, urls: false}}",
            *("2:48", "services.nginx-b.configuration"),
            "the folder /etc/nginx already belongs to nginx, at proxygen.yaml:2:12",
            FOLDER,
            id="two main files in one folder",
        ),
        pytest.param(
            "{nginx: {}, nginx-front: {}}",
            *("2:23", "services.nginx-front.listen.http"),
            "port 80 at every IPv4 address already belongs to nginx, at proxygen.yaml:2:12",
            LISTEN,
            id="the usual ports",
        ),
        pytest.param(
            "{nginx: {listen: {http: ['127.0.0.1:81'], https: [444]}},"
            " nginx-b: {listen: {http: [81], https: ['[::]:444']}}}",
            *("2:95", "services.nginx-b.listen.http[0]"),
            "port 81 at every IPv4 address already belongs to nginx, at proxygen.yaml:2:36",
            LISTEN,
            id="one address and all of them",
        ),
        pytest.param(
            "{exim-out: {}}",
            *("2:12", "services.…", "unknown field"),
            "write one of: dovecot, nginx, postfix; the name of a further one begins with its"
            " kind, such as `postfix-out`",
            id="no such kind",
        ),
        pytest.param(
            "{postfix_out: {}}",
            *("2:12", "services.…", "unknown field"),
            "write one of: dovecot, nginx, postfix; the name of a further one begins with its"
            " kind, such as `postfix-out`",
            id="no such name",
        ),
        pytest.param(
            "{nginx-b: {hstss: 0}}",
            *("2:22", "services.nginx-b.hstss", "unknown field `hstss`", "did you mean `hsts`?"),
            id="a field misspelt",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    services: str, where: str, field: str, reason: str, remedy: str
) -> None:
    (found,) = mistakes(f"{MAIN}services: {services}")
    told = str(found.where).removeprefix("proxygen.yaml:"), found.field, found.reason, found.remedy
    assert told == (where, field, reason, remedy)


@pytest.mark.parametrize(
    "services",
    [
        "{nginx: {}, nginx-mail: {urls: false}}",
        "{nginx: {}, nginx-in: {listen: {http: ['127.0.0.1:81'], https: [8443]}}}",
        "{nginx: {listen: {http: ['192.0.2.1:80'], https: ['192.0.2.1:443']}},"
        " nginx-b: {listen: {http: ['192.0.2.2:80'], https: ['192.0.2.2:443', '[::1]:443']}}}",
        "{postfix: {}, postfix-out: {}, dovecot: {configuration: /etc/postfix/dovecot.conf}}",
    ],
)
def test_what_each_has_for_itself_is_right(services: str) -> None:
    site(f"{MAIN}services: {services}")


def test_editors_are_told_of_further_services() -> None:
    schema = main_type(registry.settings()).model_json_schema()["$defs"]["Services"]
    patterns = schema["patternProperties"]
    assert set(schema["properties"]) == {each[1:].partition("-")[0] for each in patterns}
    (nginx,) = (each for each in patterns if re.search(each, "nginx-front"))
    assert patterns[nginx] == schema["properties"]["nginx"]
    assert not any(re.search(each, name) for each in patterns for name in ("exim-out", "nginx-"))

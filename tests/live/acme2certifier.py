"""acme2certifier: an ACME server with renewal information and profiles, which proves nothing.

As a program it serves what ``configure`` wrote: python -m tests.live.acme2certifier FOLDER PORT.
"""

from __future__ import annotations

import json
import ssl
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.live.authority import Authority, key_pem, pem, write_private
from tests.live.pebble import LOCALHOST, opener
from tests.live.processes import Program, environment, made

CONFIG = """\
[DEFAULT]
[CAhandler]
handler_module: acme2certifier.cahandlers.openssl_ca_handler
issuing_ca_key: {folder}/ca.key
issuing_ca_cert: {folder}/ca.pem
issuing_ca_crl: {folder}/crl.pem
cert_validity_days: 30
cert_save_path: {folder}/certs
ca_cert_chain_list: []
[DBhandler]
handler: wsgi
dbfile: {folder}/acme.db
[Challenge]
challenge_validation_disable: True
[Order]
profiles: {{"default": "https://a2c.example/default", "shortlived": "https://a2c.example/short"}}
profiles_check_disable: False
[Renewalinfo]
renewalthreshold_pctg: 70
renewal_window_duration: 2d
retry_after_timeout: {retry_after}
renewal_force: {renew_now}
"""


class Acme2certifier(Program):
    """The server; *renew_now* has it suggest to renew everything at once."""

    name = "acme2certifier"

    def __init__(self, root: Path, *, retry_after: int = 7200, renew_now: bool = False) -> None:
        super().__init__(root)
        self.retry_after = retry_after
        self.renew_now = renew_now

    @property
    def folder(self) -> Path:
        """Where its configuration, its CA and its database lie."""
        return self.root / "etc/acme2certifier"

    @property
    def directory(self) -> str:
        """The URL of its ACME directory."""
        return f"https://{LOCALHOST}:{self.ports[0]}/directory"

    @property
    def trusted_root(self) -> Path:
        """The root of the certificate of its own HTTPS."""
        return self.folder / "api-root.pem"

    def configure(self) -> None:
        """Choose a port; write its configuration, its CA, and the certificate of its HTTPS."""
        self.reserve(1)
        made(self.folder / "certs")
        api = Authority("Acme2certifier API")
        issued = api.issue("localhost", LOCALHOST)
        self.trusted_root.write_bytes(api.root_pem)
        write_private(self.folder / "api.pem", issued.key + issued.fullchain)
        ca = Authority("Acme2certifier").root
        write_private(self.folder / "ca.key", key_pem(ca.key))
        (self.folder / "ca.pem").write_bytes(pem(ca.certificate))
        (self.folder / "acme_srv.cfg").write_text(
            CONFIG.format(
                folder=self.folder, retry_after=self.retry_after, renew_now=self.renew_now
            )
        )

    def argv(self) -> Sequence[str]:
        """Return the command."""
        return (sys.executable, "-m", __spec__.name, str(self.folder), str(self.ports[0]))

    def env(self) -> dict[str, str]:
        """Return its environment: it insists on being told that it validates nothing."""
        return environment(
            PYTHONPATH=str(Path(__file__).parents[2]),
            ACME_SRV_CONFIGFILE=str(self.folder / "acme_srv.cfg"),
            ACME2CERTIFIER_I_KNOW_THE_RISK="1",
        )

    def answers(self) -> bool:
        """Return whether it shows its directory."""
        context = ssl.create_default_context(cafile=str(self.trusted_root))
        client = opener(urllib.request.HTTPSHandler(context=context))
        with client.open(self.directory, timeout=5) as reply:
            return "renewalInfo" in json.load(reply)


def serve(folder: str, port: str) -> None:
    """Serve until the process is ended."""
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIServer, make_server

    from acme2certifier.share.acme2certifier_wsgi import application, get_handler_cls

    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True

    def over_https(environ: dict[str, Any], start_response: Any) -> Any:
        environ["wsgi.url_scheme"] = "https"
        return application(environ, start_response)

    handler = get_handler_cls()
    server = make_server(LOCALHOST, int(port), over_https, Server, handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(folder) / "api.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    serve(*sys.argv[1:])

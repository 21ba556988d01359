"""etcd: a cluster of one or several members on loopback ports, with TLS and users if need be."""

from __future__ import annotations

import json
import os
import signal
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from proxygen.etcd.answers import EtcdError
from proxygen.etcd.client import EtcdClient, permission_request, user_request
from proxygen.etcd.transport import EtcdAccess, EtcdPatience, tls_context
from tests.live import ports
from tests.live.authority import Authority, as_leaf, blank, key_pem, new_key, pem, write_private
from tests.live.needs import path_of
from tests.live.processes import NotReady, Process, made, until

LOCALHOST = "127.0.0.1"
BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
ROOT_PASSWORD = b"the password of root"
IN_TESTS = EtcdPatience(connect=3, answer=3, all=60, silent=5)
"""Everything is waited for until a machine that is busy must have answered, but a silent member."""


@dataclass(frozen=True, slots=True)
class EtcdManners:
    """How a cluster is: *tls* with client certificates, *users* with passwords.

    *server_name* is the common name of the members' certificates, *usages* what these are for.
    *options* are further ones of each member.
    """

    tls: bool = False
    users: bool = False
    server_name: str = ""
    usages: Sequence[x509.ObjectIdentifier] = BOTH
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate with its key, as PEM."""

    certificate: bytes
    key: bytes


class EtcdMember:
    """One member, which may be killed, stopped and started again on the same ports."""

    def __init__(self, name: str, folder: Path, client: int, peer: int) -> None:
        self.name, self.folder = name, folder
        self.client, self.peer = client, peer
        self.process: Process | None = None
        self.argv: tuple[str, ...] = ()

    @property
    def pid(self) -> int:
        """Its process id."""
        if self.process is None:
            raise NotReady(f"{self.name} does not run")
        return self.process.pid

    @property
    def log(self) -> str:
        """What it wrote."""
        path = self.folder / f"{self.name}.out"
        return path.read_text(errors="replace") if path.exists() else ""

    def begin(self) -> None:
        """Start it; whether it answers depends on the others."""
        self.process = Process(self.argv, log=self.folder / f"{self.name}.out")

    def suspend(self) -> None:
        """Have it hang: its connections stay open, and nobody answers there."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill it."""
        self.stop(signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        if self.process is not None:
            if self.process.ended is None:
                self.resume()
            self.process.stop(number)
            self.process = None


@dataclass
class Etcd:
    """A cluster while its ``with`` block runs; *root* is a folder of its own."""

    root: Path
    count: int = 1
    manners: EtcdManners = field(default_factory=EtcdManners)
    members: tuple[EtcdMember, ...] = ()

    @property
    def scheme(self) -> str:
        """How clients speak with it."""
        return "https" if self.manners.tls else "http"

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The URLs of its members."""
        return tuple(f"{self.scheme}://{LOCALHOST}:{each.client}" for each in self.members)

    @cached_property
    def authority(self) -> Authority:
        """Who signs the certificates of members and clients."""
        return Authority("etcd")

    @property
    def authority_pem(self) -> bytes:
        """What members and clients trust."""
        return self.authority.root_pem + pem(self.authority.intermediate.certificate)

    def pair(
        self, *names: str, common_name: str = "", usages: Sequence[x509.ObjectIdentifier] = BOTH
    ) -> KeyPair:
        """Return a certificate for *names*, by default without a common name."""
        key, signer = new_key(), self.authority.intermediate
        issuer = "etcd Intermediate"
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "etcd of a test")]
        if common_name:
            attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
        name = x509.Name(attributes)
        builder = blank(
            name, key, issuer=issuer, signer=signer.key, not_before=None, not_after=None
        )
        whole = as_leaf(builder, names, usages).sign(signer.key, SHA256())
        return KeyPair(pem(whole) + pem(signer.certificate), key_pem(key))

    def access(
        self,
        user: str = "",
        password: bytes = b"",
        *,
        endpoints: Sequence[str] = (),
        patience: EtcdPatience = IN_TESTS,
        client: KeyPair | None = None,
    ) -> EtcdAccess:
        """Return how a client reaches it."""
        context = None
        if self.manners.tls:
            shown = client or self.client_pair
            context = tls_context(self.authority.root_pem, shown.certificate, shown.key)
        return EtcdAccess(tuple(endpoints or self.endpoints), context, user, password, patience)

    def client(self, user: str = "", password: bytes = b"", **more: Any) -> EtcdClient:
        """Return a client."""
        return EtcdClient(self.access(user, password, **more))

    @property
    def root_client(self) -> EtcdClient:
        """A client that may do everything."""
        if self.manners.users:
            return self.client("root", ROOT_PASSWORD)
        return self.client()

    @cached_property
    def client_pair(self) -> KeyPair:
        """The certificate that a client shows."""
        return self.pair("node.example")

    def raw(
        self,
        path: str,
        asked: Mapping[str, Any],
        *,
        token: str = "",
        client: KeyPair | None = None,
        member: int = 0,
    ) -> tuple[int, dict[str, Any]]:
        """Return status and answer of one request that a foreign client makes."""
        headers = {"Authorization": token} if token else {}
        request = urllib.request.Request(
            f"{self.endpoints[member]}{path}", data=json.dumps(asked).encode(), headers=headers
        )
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if self.manners.tls:
            shown = client or self.client_pair
            context = tls_context(self.authority.root_pem)
            context.sslsocket_class = ssl.SSLSocket
            folder = made(self.root / "raw")
            (folder / "pair.pem").write_bytes(shown.certificate + shown.key)
            context.load_cert_chain(folder / "pair.pem")
            handlers.append(urllib.request.HTTPSHandler(context=context))
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=20) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            try:
                return error.code, json.load(error)
            except ValueError:  # not from the gateway
                return error.code, {}

    def user(self, name: str, password: bytes, prefix: str, kind: str = "READWRITE") -> None:
        """Make a user who may read or write below a prefix."""
        root = self.root_client
        root.ask("/v3/auth/user/add", user_request(name, password))
        root.ask("/v3/auth/role/add", {"name": f"role-{name}"})
        root.ask("/v3/auth/role/grant", permission_request(f"role-{name}", prefix, kind))
        root.ask("/v3/auth/user/grant", {"user": name, "role": f"role-{name}"})

    def configure(self) -> None:
        """Choose ports, and write what the members need."""
        self.members = tuple(
            EtcdMember(
                f"m{number}", made(self.root / f"m{number}"), ports.reserve(), ports.reserve()
            )
            for number in range(self.count)
        )
        if self.manners.tls:
            own = self.pair(
                "localhost",
                LOCALHOST,
                common_name=self.manners.server_name,
                usages=self.manners.usages,
            )
            (self.root / "ca.pem").write_bytes(self.authority_pem)
            (self.root / "server.pem").write_bytes(own.certificate)
            (self.root / "server.key").unlink(missing_ok=True)
            write_private(self.root / "server.key", own.key)
        for member in self.members:
            member.argv = self.argv(member)

    def argv(self, member: EtcdMember) -> tuple[str, ...]:
        """Return the command that runs a member."""
        peers = {each.name: f"http://{LOCALHOST}:{each.peer}" for each in self.members}
        url = f"{self.scheme}://{LOCALHOST}:{member.client}"
        tls = (
            *("--cert-file", str(self.root / "server.pem")),
            *("--key-file", str(self.root / "server.key")),
            *("--trusted-ca-file", str(self.root / "ca.pem"), "--client-cert-auth"),
        )
        return (
            path_of("etcd"),
            *("--name", member.name, "--data-dir", str(member.folder / "data")),
            *("--listen-client-urls", url, "--advertise-client-urls", url),
            *("--listen-peer-urls", peers[member.name]),
            *("--initial-advertise-peer-urls", peers[member.name]),
            *("--initial-cluster", ",".join(f"{name}={at}" for name, at in peers.items())),
            *("--initial-cluster-token", f"proxygen-test-{self.members[0].client}"),
            *("--logger", "zap", "--log-level", "warn", "--bcrypt-cost", "4"),
            *(tls if self.manners.tls else ()),
            *self.manners.options,
        )

    def start(self) -> None:
        """Start all members, and return when they answer together."""
        for member in self.members:
            member.begin()
        self.wait()
        if self.manners.users:
            self.enable_users()

    def wait(self) -> None:
        """Return when each member that runs answers."""
        until(self.ready, f"etcd to answer\n{self.log}", 60)

    def ready(self) -> bool:
        """Return whether each member that runs is ready; raise NotReady for one that ended."""
        for number, member in enumerate(self.members):
            if member.process is not None and member.process.ended is not None:
                raise NotReady(f"{member.name} ended\n{member.log}")
            if member.process is not None:
                status, found = self.raw("/v3/maintenance/status", {}, member=number)
                if self.manners.usages == BOTH and (status != 200 or "leader" not in found):
                    return False
        return True

    def enable_users(self) -> None:
        """Have each request be of a user."""
        client = self.client()
        for path, asked in (
            ("/v3/auth/user/add", user_request("root", ROOT_PASSWORD)),
            ("/v3/auth/role/add", {"name": "root"}),
            ("/v3/auth/user/grant", {"user": "root", "role": "root"}),
            ("/v3/auth/enable", {}),
        ):
            client.ask(path, asked)

    @property
    def log(self) -> str:
        """What the members wrote."""
        return "".join(each.log for each in self.members)

    def leader(self) -> EtcdMember:
        """Return the member that leads."""
        found = until(self.leading, "a leader", 60)
        assert found
        return found

    def leading(self) -> EtcdMember | None:
        """Return the member that says of itself that it leads, None while none does."""
        for number, member in enumerate(self.members):
            if member.process is None:
                continue
            try:
                _, found = self.raw("/v3/maintenance/status", {}, member=number)
            except (OSError, EtcdError):
                continue
            if found.get("leader") and found["leader"] == found["header"]["member_id"]:
                return member
        return None

    def __enter__(self) -> Self:
        self.root.mkdir(parents=True, exist_ok=True)
        self.configure()
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        for member in self.members:
            member.stop(signal.SIGKILL)
        ports.release(*(port for each in self.members for port in (each.client, each.peer)))

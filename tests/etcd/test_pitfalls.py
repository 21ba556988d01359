"""What etcd does that would surprise whoever speaks with it, each against a real one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from proxygen.errors import UsageError
from proxygen.etcd.answers import Changes, Code, EtcdAway, EtcdCompacted, EtcdRefused
from proxygen.etcd.client import EtcdClient, permission_request, user_request
from proxygen.etcd.requests import Transaction, is_absent, to_put, to_read
from proxygen.etcd.transport import EtcdAccess, tls_context
from proxygen.etcd.watch import EtcdWatch
from tests.conftest import require
from tests.live.etcd import ROOT_PASSWORD, Etcd, EtcdManners
from tests.live.machine import temporary_root
from tests.live.processes import until
from tests.live.wire import Wire

USER_PASSWORD = b"the password of node"


class Heart:
    """Puts a key again and again, by whichever member answers, while its block runs."""

    def __init__(self, client: EtcdClient, key: str) -> None:
        self.client, self.key = client, key
        self.ended = threading.Event()
        self.beats = 0

    def __enter__(self) -> Heart:
        self.thread = threading.Thread(target=self.beat, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.ended.set()
        self.thread.join()

    def beat(self) -> None:
        """Put the key every now and then."""
        while not self.ended.wait(0.3):
            try:
                self.client.put(self.key, b"%d" % self.beats)
                self.beats += 1
            except OSError:
                continue


def changes_until(watch: EtcdWatch, value: bytes) -> list[Changes]:
    """Return what a watch tells until a key has that value."""
    found: list[Changes] = []
    end = time.monotonic() + 90
    while time.monotonic() < end:
        found.append(watch.next_changes())
        if any(each.value == value for each in found[-1].changes):
            return found
    raise AssertionError(f"{value!r} did not come: {found[-3:]}")


def test_1_a_watch_notices_that_its_member_hangs_and_misses_nothing(
    three: Etcd, prefix: str
) -> None:
    watched, *_others = three.members
    client = three.client()
    elsewhere = three.client(endpoints=three.endpoints[1:])
    watch = EtcdWatch(client, prefix, client.put(prefix + "begin", b""))
    assert watch.member.url == three.endpoints[0]
    with Heart(client, prefix + "alive"):
        watch.next_changes()
        watched.suspend()
        elsewhere.put(prefix + "a", b"while it hangs")
        found = changes_until(watch, b"while it hangs")
        assert watch.member.url in three.endpoints[1:]
        watched.resume()
        elsewhere.put(prefix + "a", b"afterwards")
        found += changes_until(watch, b"afterwards")
    watch.close()
    changes = [each for several in found for each in several.changes]
    revisions = [each.revision for each in changes]
    assert revisions == sorted(set(revisions)), "nothing came twice"
    told = dict.fromkeys(each.value for each in changes if each.key[-1] == "a")
    assert list(told) == [b"while it hangs", b"afterwards"]


def test_1_the_socket_of_a_member_that_hangs_stays_open(alone: Etcd, prefix: str) -> None:
    """Why something must come regularly: nothing else tells it from one with nothing to tell."""
    with Wire(alone.members[0].client) as wire:
        client = EtcdClient(alone.access(endpoints=[wire.url]))
        watch = EtcdWatch(client, prefix, client.put(prefix + "begin", b""))
        watch.opened()
        wire.hold()
        with pytest.raises(EtcdAway, match="no member tells"):
            watch.next_changes()
        watch.close()


def test_1_a_watch_that_waits_can_be_ended(alone: Etcd, prefix: str) -> None:
    client = alone.client()
    watch = EtcdWatch(client, prefix, client.put(prefix + "begin", b""))
    failed: list[BaseException] = []

    def wait() -> None:
        try:
            watch.next_changes()
        except OSError as error:
            failed.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    until(lambda: watch.stream, "the watch")
    watch.end()
    waiting.join(30)
    assert failed


def test_2_a_compare_and_swap_whose_answer_is_lost_is_repeated_and_told_to_have_failed(
    alone: Etcd, prefix: str
) -> None:
    """So who claims something marks it as its own, and reads in the same transaction who has it."""
    key = prefix + "claim"
    claim = Transaction((is_absent(key),), (to_put(key, b"mine, by chance"),), (to_read(key),))
    with Wire(alone.members[0].client) as wire:
        client = EtcdClient(alone.access(endpoints=[wire.url, *alone.endpoints]))
        client.get(key)
        wire.lose_answer_to = b"/v3/kv/txn"
        became = client.transact(claim)
        assert wire.lost
    assert not became.succeeded
    assert [each and each.value for each in became.read] == [b"mine, by chance"]


def test_3_a_client_certificate_with_a_common_name_is_refused_by_etcd_and_before(
    guarded: Etcd,
) -> None:
    named = guarded.pair("node.example", common_name="node")
    nameless = guarded.pair("node.example")
    _, answer = guarded.raw("/v3/auth/authenticate", user_request("root", ROOT_PASSWORD))
    asked = {"key": "YQ=="}
    assert guarded.raw("/v3/kv/range", asked, token=answer["token"], client=nameless)[0] == 200
    assert guarded.raw("/v3/kv/range", asked, token=answer["token"], client=named)[0] != 200
    with pytest.raises(UsageError, match="the common name 'node'"):
        tls_context(guarded.authority.root_pem, named.certificate, named.key)


def test_4_without_a_token_a_request_is_that_of_who_is_called_like_the_members_certificate(
    root_named: Etcd,
) -> None:
    asked = {"key": "YQ=="}
    status, _ = root_named.raw("/v3/kv/range", asked)
    assert status == 200, "nobody showed a password"
    client = root_named.client("root", b"not the password of root")
    with pytest.raises(EtcdRefused):
        client.get("a")
    assert "has the common name of the user 'root'" in root_named.root_client.certificate_flaws()[0]


@pytest.fixture
def root_named() -> Iterator[Etcd]:
    """Return a cluster whose member's certificate has the name of a user."""
    require(["etcd"])
    manners = EtcdManners(tls=True, users=True, server_name="root")
    with temporary_root() as root, Etcd(root, manners=manners) as running:
        yield running


def test_4_a_token_is_asked_for_before_anything_else(guarded: Etcd) -> None:
    status, refused = guarded.raw("/v3/kv/range", {"key": "YQ=="})
    assert status != 200
    assert refused["code"] in (Code.INVALID, Code.FORBIDDEN, Code.UNAUTHENTICATED)
    assert guarded.client("root", ROOT_PASSWORD).get("a") is None
    assert guarded.root_client.certificate_flaws() == ()


def test_5_the_certificate_of_a_member_must_be_for_clients_too() -> None:
    require(["etcd"])
    from cryptography.x509.oid import ExtendedKeyUsageOID

    manners = EtcdManners(tls=True, usages=[ExtendedKeyUsageOID.SERVER_AUTH])
    with temporary_root() as root, Etcd(root, manners=manners) as running:
        until(lambda: running.raw("/v3/kv/range", {"key": "YQ=="}), "an answer")
        client = running.client(patience=SHORT)

        def refused() -> bool:
            """Return whether the gateway says so; a busy machine may not answer in time."""
            with pytest.raises(EtcdAway) as away:
                client.get("a")
            return f"code {Code.UNAVAILABLE:d}" in str(away.value)

        until(refused, "the gateway to be refused")
        assert "not for clients (clientAuth)" in client.certificate_flaws()[0]


SHORT = EtcdAccess(()).patience


@pytest.fixture
def hasty() -> Iterator[Etcd]:
    """Return a cluster whose tokens are over after a second or two."""
    require(["etcd"])
    manners = EtcdManners(tls=True, users=True, options=("--auth-token-ttl", "1"))
    with temporary_root() as root, Etcd(root, manners=manners) as running:
        yield running


def test_6_a_token_that_is_over_is_replaced_and_an_open_watch_outlives_it(hasty: Etcd) -> None:
    prefix = "/node/"
    hasty.user("node", USER_PASSWORD, prefix)
    client = hasty.client("node", USER_PASSWORD)
    watch = EtcdWatch(client, prefix, client.put(prefix + "a", b"1"))
    watch.opened()
    first = client.token
    asked = {"key": "L25vZGUvYQ=="}
    until(
        lambda: hasty.raw("/v3/kv/range", asked, token=first)[0] != 200 or waited(2), "its end", 60
    )
    assert client.get(prefix + "a")
    assert client.token != first
    client.put(prefix + "a", b"2")
    assert [each.value for each in watch.next_changes().changes] == [b"2"]
    watch.close()


def waited(seconds: float) -> bool:
    """Wait, as a token lives on when it is used; return False."""
    time.sleep(seconds)
    return False


def test_6_a_watch_begins_with_a_new_token_where_the_known_one_is_over(hasty: Etcd) -> None:
    prefix = "/node/"
    hasty.user("node", USER_PASSWORD, prefix)
    client = hasty.client("node", USER_PASSWORD)
    at = client.put(prefix + "a", b"1")
    client.token = "not-a-token.1"
    watch = EtcdWatch(client, prefix, at)
    watch.opened()
    client.put(prefix + "a", b"2")
    assert [each.value for each in watch.next_changes().changes] == [b"2"]
    watch.close()


def test_6_a_token_made_before_users_were_changed_is_replaced(guarded: Etcd) -> None:
    client = guarded.client("root", ROOT_PASSWORD)
    client.get("a")
    guarded.root_client.ask("/v3/auth/role/add", {"name": "another"})
    assert client.get("a") is None


def test_6_what_a_user_may_not_do_is_refused_and_no_other_member_is_asked(guarded: Etcd) -> None:
    guarded.user("reader", USER_PASSWORD, "/reader/", "READ")
    client = guarded.client("reader", USER_PASSWORD)
    assert client.get("/reader/a") is None
    for use in (lambda: client.put("/reader/a", b""), lambda: client.get("/other/a")):
        with pytest.raises(EtcdRefused) as refused:
            use()
        assert refused.value.code == Code.FORBIDDEN
    with pytest.raises(EtcdRefused):
        EtcdWatch(client, "/other/", 1).next_changes()


def test_7_a_watch_from_what_was_compacted_says_so(alone: Etcd, prefix: str) -> None:
    client = alone.client()
    first = client.put(prefix + "a", b"1")
    client.put(prefix + "a", b"2")
    last = client.put(prefix + "a", b"3")
    client.compact(last)
    client.compact(last)
    with pytest.raises(EtcdCompacted) as compacted:
        EtcdWatch(client, prefix, first).next_changes()
    assert compacted.value.revision == last
    listed = client.below(prefix)
    watch = EtcdWatch(client, prefix, listed.revision)
    client.put(prefix + "a", b"4")
    assert [each.value for each in watch.next_changes().changes] == [b"4"]
    watch.close()


def test_8_nothing_is_compacted_by_itself_and_a_full_member_takes_nothing_more() -> None:
    require(["etcd"])
    manners = EtcdManners(options=("--quota-backend-bytes", str(4 * 1024 * 1024)))
    with temporary_root() as root, Etcd(root, manners=manners) as running:
        client = running.client()
        assert client.raised() == ()
        with pytest.raises(EtcdRefused) as refused:
            put_again_and_again(client)
        assert refused.value.code == Code.FULL
        assert client.raised() == ("NOSPACE",)
        assert client.get("/a")
        client.compact(client.below("/a").revision)
        client.ask("/v3/maintenance/defragment", {})
        alarms = client.ask("/v3/maintenance/alarm", {"action": "GET"})["alarms"]
        client.ask("/v3/maintenance/alarm", {"action": "DEACTIVATE", **alarms[0]})
        client.put("/a", b"")


def put_again_and_again(client: EtcdClient) -> None:
    """Put the same key a hundred times: all its former values are kept."""
    for _ in range(100):
        client.put("/a", b"x" * 512 * 1024)


def test_9_errors_are_told_apart_by_codes(alone: Etcd, prefix: str) -> None:
    client = alone.client()
    at = client.put(prefix + "a", b"1")
    client.compact(client.put(prefix + "a", b"2"))
    both = (to_put(prefix + "b", b"1"), to_put(prefix + "b", b"2"))
    many = tuple(to_put(f"{prefix}{number}", b"") for number in range(200))
    for ask, code in (
        (lambda: client.ask("/v3/kv/range", {"key": "YQ==", "revision": str(at)}), Code.COMPACTED),
        (lambda: client.ask("/v3/lease/revoke", {"ID": "7"}), Code.NOT_FOUND),
        (lambda: client.transact(Transaction((), both)), Code.INVALID),
        (lambda: client.transact(Transaction((), many)), Code.INVALID),
        (
            lambda: client.ask("/v3/kv/range", {"key": "YQ==", "revision": "9999999"}),
            Code.COMPACTED,
        ),
    ):
        with pytest.raises(EtcdRefused) as refused:
            ask()
        assert refused.value.code == code


def test_a_killed_leader_is_waited_out(three: Etcd, prefix: str) -> None:
    client = three.client()
    client.put(prefix + "a", b"1")
    three.leader().kill()
    client.put(prefix + "a", b"2")
    found = client.get(prefix + "a")
    assert found
    assert found.value == b"2"


def test_without_a_quorum_nothing_is_written_and_one_member_still_reads(
    three: Etcd, prefix: str
) -> None:
    client = three.client(patience=SHORT)
    client.put(prefix + "a", b"1")
    for member in three.members[:2]:
        member.kill()
    with pytest.raises(EtcdAway) as away:
        client.put(prefix + "a", b"2")
    assert away.value.unsure
    found = client.get(prefix + "a", serializable=True)
    assert found
    assert found.value == b"1"


def test_permissions_are_of_a_prefix() -> None:
    asked = permission_request("role", "/proxygen/x/", "READ")
    assert asked["perm"]["range_end"] == "L3Byb3h5Z2VuL3gw"

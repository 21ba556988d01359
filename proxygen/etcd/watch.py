"""EtcdWatch: what changes below a prefix, whichever member tells it, and whichever falls silent.

A member that hangs leaves its connections open, and tells nothing for ever. So something must come
regularly, as the own heartbeat of who watches does; where nothing came for a while, the next member
is asked, from the revision on that came last.
"""

from __future__ import annotations

import json
import threading

from proxygen.etcd.answers import (
    Changes,
    Code,
    EtcdAway,
    EtcdChange,
    EtcdCompacted,
    EtcdError,
    EtcdRefused,
    Json,
    changes_in,
    header_of,
    number,
    parsed,
    part,
    parts,
    refused,
    refused_by,
)
from proxygen.etcd.client import ANOTHER_MEMBER, ANOTHER_TOKEN, EtcdClient, told
from proxygen.etcd.requests import end_of, range_request
from proxygen.etcd.transport import FAILED, Member, Stream

MOST_GATHERED = 256 * 1024 * 1024
"""Octets of the parts of one revision; all of a transaction has 1.5 MiB by default."""


class EtcdWatch:
    """Tells the changes below *prefix* after a revision; one thread uses it, any may end it."""

    def __init__(self, client: EtcdClient, prefix: str, after: int) -> None:
        self.client = client
        self.prefix = prefix
        self.after = after
        self.stream: Stream | None = None
        self.at = client.first
        self.token = ""
        self.ended = threading.Event()

    def next_changes(self) -> Changes:
        """Return what changes next, complete to a revision; nothing but that is a sign of life.

        Raise EtcdAway when each member in turn fell silent or did not answer, or the watch was
        ended; EtcdCompacted when what came after the last revision is forgotten; EtcdRefused.
        """
        failed: Exception | None = None
        for _ in range(len(self.client.members) + 1):
            if self.ended.is_set():
                raise EtcdAway("the watch was ended")
            try:
                return self.gathered(self.opened())
            except (EtcdCompacted, EtcdRefused):
                raise
            except (EOFError, *FAILED) as error:
                failed = error
            self.give_up()
        raise EtcdAway(f"no member tells what changes: {told(failed or EOFError())}")

    def opened(self) -> Stream:
        """Return the stream that is read from, a new one if there is none."""
        if self.stream is None:
            self.stream = self.created(self.member)
        return self.stream

    @property
    def member(self) -> Member:
        """The member that is asked."""
        return self.client.members[self.at]

    def give_up(self) -> None:
        """Leave a member, and turn to the next one."""
        self.close()
        self.at = (self.at + 1) % len(self.client.members)

    def created(self, member: Member) -> Stream:
        """Return a new stream, with a new token if the known one is over; raise EtcdError."""
        self.token = self.client.token_of(member, self.client.end())
        try:
            return self.begun(member)
        except EtcdRefused as error:
            if not self.token or error.code not in (*ANOTHER_TOKEN, Code.FORBIDDEN):
                raise
        self.token = self.client.token_of(member, self.client.end(), self.token)
        return self.begun(member)

    def begun(self, member: Member) -> Stream:
        """Return a stream that the member says it created; raise EtcdError."""
        seconds = self.client.access.patience.answer
        stream = member.stream("/v3/watch", self.request(), self.token)
        try:
            if stream.status != 200:
                raise away_or_refused(refused(stream.status, stream.body(seconds)))
            self.accepted(stream.line(seconds))
        except BaseException:
            stream.close()
            raise
        return stream

    def request(self) -> bytes:
        """Return what is asked: changes in parts that are bounded."""
        asked: Json = range_request(self.prefix, end_of(self.prefix))
        asked |= {"start_revision": str(self.after + 1), "fragment": True}
        return json.dumps({"create_request": asked}).encode()

    def accepted(self, line: bytes) -> Json:
        """Return what a line tells; raise EtcdError for the end of the watch."""
        found = parsed(line)
        if "error" in found:
            raise away_or_refused(refused_by(found))
        result = part(found, "result")
        if compacted := number(result, "compact_revision"):
            raise EtcdCompacted(compacted)
        if result.get("canceled"):
            words = str(result.get("cancel_reason", "the watch was cancelled"))[:300]
            raise EtcdRefused(Code.FORBIDDEN, words)
        return result

    def gathered(self, stream: Stream) -> Changes:
        """Return the next changes, whose parts are put together."""
        changes: list[EtcdChange] = []
        size = 0
        while True:
            line = stream.line(self.client.access.patience.silent)
            result = self.accepted(line)
            size += len(line)
            if size > MOST_GATHERED:
                raise EtcdError("etcd told of more changes at once than anybody makes")
            changes += changes_in(parts(result, "events"))
            if not result.get("fragment"):
                break
        revision, cluster = header_of(result)
        last = max((each.revision for each in changes), default=revision)
        self.after = max(self.after, last)
        return Changes(last, cluster, tuple(changes))

    def end(self) -> None:
        """End the watch, also while another thread waits for changes."""
        self.ended.set()
        if stream := self.stream:
            stream.cut()

    def close(self) -> None:
        """Close the stream; the next changes come by a new one."""
        stream, self.stream = self.stream, None
        if stream:
            stream.close()


def away_or_refused(error: EtcdRefused) -> EtcdError:
    """Return an error of one member as such: another one may do what was asked."""
    return EtcdAway(str(error)) if error.code in ANOTHER_MEMBER else error

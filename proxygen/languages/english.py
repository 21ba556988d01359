"""English about names: what a line of the terminal says of a finding, and why it is so.

It is at hand wherever a line is made, without a file being read. ``en.yaml`` has the rest.
"""

from __future__ import annotations

FINDINGS = {
    "nxdomain": "{name} does not exist in the zone {zone}",
    "no-delegation": "{domain} is not registered, or not delegated to any name server",
    "no-address": "the name has neither an A nor an AAAA record",
    "servers-silent": "the name servers of {zone} do not answer ({why})",
    "servers-lame": "the name servers of {zone} do not know the zone ({why})",
    "servfail": "the name servers fail: {why}",
    "dnssec": "the DNSSEC signatures of {zone} are wrong: {why}",
    "differing": "the name servers of {zone} give different answers ({why})",
    "cname-loop": "the CNAME records lead in a circle ({chain})",
    "chain-too-long": "too many CNAME records lead from one to the next ({chain})",
    "elsewhere": "the {type} record {address} leads to another server ({why})",
    "not-answered": "the challenge was not answered at {address}: {why}",
    "private": "{address} cannot be reached from the internet",
    "caa": "the CAA records of {domain} do not allow {needed} ({records}): {why}",
    "caa-lookup": "the CAA records of {domain} cannot be looked up: {why}",
    "acme-challenge": "no record can be written for {name}: {why}",
    "persist": "the TXT record {name} with {record} is missing",
    "too-many": "only {most} of its {count} {type} records were looked at",
    "cannot-look": "it could not be looked up from here: {why}",
    "not-fetched": "{address} could not be reached from here: {why}",
    "through-proxy": "{address} is none of our addresses, but leads here",
    "unknown": "something was found that this version of proxygen does not know: {code}",
}
"""By the code of a finding; in braces its facts, and as *why* what its causes say.

The four before the last are no reason to wait, nor is any other whose finding says so: an
authority can do without what is wrong there. The last one stands for each that has no phrase.
Further facts, for who tells more: *record* of ``caa`` is the record that would allow it, *type* of
``private`` that of the record, *zone* of ``servfail`` where it is.
"""

CAUSES = {
    # what others said
    "said": "{words}",
    "system": "{words}",
    "bug": "a bug of proxygen: {words}",
    "unknown": "a reason that this version of proxygen does not know: {code}",
    # connections
    "refused": "connection refused",
    "reset": "the connection was broken off",
    "timed-out": "connection timed out",
    "no-route": "no route to host",
    "no-network": "network is unreachable",
    "no-tls": "no TLS connection: {words}",
    "no-time": "no time was left",
    "in-time": "there was no answer in time",
    "no-answer": "no answer within {seconds} s",
    "cut-short": "the connection ended before the answer did",
    # a challenge that is fetched
    "answered": "{status}",
    "answered-by": "{status} ({server})",
    "content": "{why}, but with another content",
    "long-head": "the head of the answer is longer than {size} KiB",
    "no-web-server": "what answers there is no web server",
    "redirected": "after a redirect to {place}: {why}",
    "no-url": "a redirect to what is no URL",
    "off-web": "a redirect to {place}, which is not on the web",
    "other-port": "a redirect to port {port}, where authorities do not ask",
    "redirects": "more than {most} redirects",
    "not-public": "its address cannot be reached from the internet",
    "unroutable": "it has no address that can be asked from here",
    "none-of-ours": "it is none of our addresses",
    "no-family": "no {family} here",
    "nobody-answers": "nobody answers challenges here now",
    # the records that prove a name
    "alias": "its CNAME record leads to {target}: {why}",
    "alias-astray": (
        "its CNAME record leads to {target}, which is in none of the zones of `delegated`"
    ),
    "no-identity": "the authority does not tell the name by which records call it",
    "no-account": "there is no account yet that the record could name",
    # CAA records
    "not-among": "{who} is not among them",
    "unreadable": "one of them cannot be read, and so allows nobody",
    "critical": "the property {tag} is critical and not known",
    "malformed": "the value of {tag} is malformed, and so allows nobody",
    "accounts": "accounturi stands there more than once, and so allows nobody",
    "account": "accounturi is not that of this installation, {account}",
    "methods": "validationmethods is malformed, and so allows nobody",
    "method": "validationmethods does not name {challenge}",
    # name servers
    "servers": "{servers}",
    "server": "{server}: {why}",
    "zone": "zone {zone}: {why}",
    "resolvers": "resolvers: {why}",
    "shows": "{server}: {records}",
    "shows-nothing": "{server}: nothing",
    "shows-no-name": "{server}: no such name",
    "homeless": "{server}: no public address",
    "no-servers": "it has no name servers",
    "no-resolvers": "there is no resolver to ask",
    "no-resolver": "it is no resolver for this host",
    "answers": "answers {rcode}",
    "answers-with": "answers {rcode}; {words}",
    "refers": "refers to {zone}",
    "not-authoritative": "is not authoritative for {zone}",
    "hostless": "the CNAME record leads to no host name",
    "no-ns": "{server} serves {zone}, which has no NS record",
    "unknown-name": "the servers of {zone} know no {name}",
    "no-such-name": "there is no {name}",
    "too-deep": "{name} lies below too many zones",
    "circle": "the CNAME records lead in a circle: {chain}",
    "aliases": "more than {most} CNAME records follow each other",
    "way-ends": "the chain of CNAME records ends at {name}",
    "silent-lately": "did not answer a moment ago",
    "crowded": "too many other questions waited",
    "crowded-out": (
        "the time was over before all servers could be asked: too many questions waited"
    ),
    "many-questions": "it takes more questions than any right name does",
    "much-said": "its servers say more than those of any right name do",
    "no-question": "this is no question for the DNS: {words}",
    "no-name": "this is no name for the DNS",
    # messages
    "over-tcp": "its answer does not fit into a datagram, and over TCP: {why}",
    "no-message": "what came is no DNS message: {words}",
    "other-question": "what came answers another question",
    "too-heavy": "what came is no DNS message to read: {why}",
    "large": "it has more than {size} KiB",
    "many-records": "it has more than {most} records",
    "endless-name": "a name in it has no end",
    "long-names": "its names and strings are longer than any right ones",
    "shorter": "it is shorter than it says",
    # DNSSEC
    "not-validated": (
        "the resolver answers only without DNSSEC: what the servers gave could not be validated"
        " ({why})"
    ),
    "no-keys": "the keys of {zone} cannot be had: {why}",
    "no-dnskey": "its parent has a DS record (key tag {tags}), but the zone has no DNSKEY",
    "no-match": "no DNSKEY of the zone matches the DS record of its parent (key tag {tags})",
    "unsigned": "the {type} record is not signed",
    "expired": "the signature of the {type} record expired on {at}",
    "early": "the signature of the {type} record is valid only from {at}",
    "foreign-key": (
        "the signature of the {type} record is by a key that is not the zone's (key tag {tag})"
    ),
    "long-key": "the signature of the {type} record is by a key that is too long (key tag {tag})",
    "wrong-signature": "the signature of the {type} record is wrong ({words})",
    "unchecked": "the signature of the {type} record cannot be checked ({words})",
}
"""By the code of a cause; in braces its facts, and as *why* what its own causes say."""
